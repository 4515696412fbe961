"""`ponder eval`, as a person types it: measured, stopped, taken up again, reported and exported."""

import json
import random
import re
import signal
import sys
import time
from importlib.util import find_spec

import pytest

ARMS = ("-s", "direct", "-s", "cot", "-s", "self-consistency:n=8", "-b", "4k")
MADE_UP = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")
SIMULATED = ("eval", "simulated", "-m", "simulated", *ARMS, "--limit", "30")


def test_a_simulation_is_measured_reported_and_exported(ponder):
    done = ponder(*SIMULATED, "--report", "report.html")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][:3] == ["strategy", "budget", "n"]
    assert re.search(r"direct\s+4k\s+30\s+0\.\d{3}\s+0\.\d{3} to 0\.\d{3}", done.stdout)
    page = (ponder.folder / "report.html").read_text()
    assert "simulat" in page.lower()
    assert len(page) < 1_500_000
    [run] = json.loads(ponder("runs", "--json").stdout)
    again = ponder(*SIMULATED)
    assert "is complete already" in again.stderr
    assert again.stdout == done.stdout
    assert len(json.loads(ponder("runs", "--json").stdout)) == 1
    exported = ponder("export", run["run"], "-o", "outcomes.jsonl")
    assert exported.stdout == "outcomes.jsonl\n"
    outcomes = [json.loads(line) for line in (ponder.folder / "outcomes.jsonl").read_text().splitlines()]
    assert len(outcomes) == 90
    assert all(outcome["simulated"] for outcome in outcomes)
    by_direct = [outcome["correct"] for outcome in outcomes if outcome["strategy"].startswith("direct")]
    assert f"{sum(by_direct) / 30:.3f}" in done.stdout
    assert ponder("export", "-o", "outcomes.parquet").stdout == "outcomes.parquet\n"
    logs = ponder("export", run["run"], "--format", "inspect").stdout.splitlines()
    assert len(logs) == 3
    assert all(json.loads((ponder.folder / name).read_text())["version"] == 2 for name in logs)
    assert ponder("report", run["run"]).stdout.strip() == f"{run['run']}.html"
    assert "no form" in ponder("export", "-o", "outcomes.doc").stderr
    other = ponder(*SIMULATED, "--fresh")
    assert other.stdout == done.stdout  # the same seeds, the same figures
    assert len(json.loads(ponder("runs", "--json").stdout)) == 2


def test_a_run_is_voted_and_graded_anew_without_its_model(ponder):
    first = ponder(*SIMULATED)
    [run] = json.loads(ponder("runs", "--json").stdout)
    again = ponder("eval", "--replay", run["run"], *ARMS)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    fewer = ponder("eval", "--replay", run["run"], "-s", "self-consistency:n=3", "-b", "4k")
    asked_a_model = ponder(
        "eval", "simulated", "-m", "simulated", "-s", "self-consistency:n=3", "-b", "4k", "--limit", "30"
    )
    assert fewer.stdout == asked_a_model.stdout
    more = ponder("eval", "--replay", run["run"], "-s", "self-consistency:n=9", "-b", "4k")
    assert more.returncode == 2
    assert "has no such sample" in more.stderr
    assert "Traceback" not in more.stderr
    assert ponder("eval", "chain_sum", "--replay", run["run"]).returncode == 2
    assert "no such evaluation" in ponder("eval", "--replay", "none").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_what_ctrl_c_ends_the_same_command_goes_on_with(ponder):
    slow = ("eval", "simulated", "-m", "simulated:rate=100", *ARMS, "--limit", "40")
    process = ponder.start(*slow)
    started = ponder.until(process, lambda run: run.finished)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Finishing the attempts that run" in said
    assert re.search(r"Stopped after \d+ of 120 attempts\. Go on: .*ponder eval simulated", said)
    assert "Traceback" not in said
    done = ponder(*slow)
    assert done.returncode == 0, done.stderr
    assert f"Going on with the run {started.id}" in done.stderr
    assert len(json.loads(ponder("runs", "--json").stdout)) == 1
    fast = ponder("eval", "simulated", "-m", "simulated", *ARMS, "--limit", "40")
    assert [line.split()[:4] for line in fast.stdout.splitlines()] == [
        line.split()[:4] for line in done.stdout.splitlines()
    ]


def test_a_malformed_line_is_named_and_the_rest_runs(ponder):
    lines = [
        '{"question": "What is 2 + 3?", "answer": "5"}',
        "{oops",
        '{"question": "What is 1 + 1?", "answer": 2}',
    ]
    (ponder.folder / "sums.jsonl").write_text("\n".join(lines))
    done = ponder("eval", "sums.jsonl", "-m", "simulated", "-s", "direct")
    assert done.returncode == 0, done.stderr
    assert "sums.jsonl" in done.stderr
    assert re.search(r"line 2\b", done.stderr)
    assert re.search(r"direct\s+4k\s+2\s", done.stdout)


@MADE_UP
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("eval", "chain_sun", "-m", "simulated"), "chain_sum"),
        (("eval", "none.jsonl", "-m", "simulated"), "none.jsonl"),
        (("eval", "-m", "simulated", "-s", "direkt"), "direct"),
        (("eval", "-m", "simulated:skil=1"), "skill"),
        (("eval", "-m", "simulated", "-b", "4x"), "4x"),
        (("eval", "-m", "simulated", "--limit", "9-3"), "eleventh to the twentieth"),
        (("eval", "-m", "simulated", "--sample-id", "none"), "no problem named 'none'"),
        (("eval", "chain_sum", "-m", "simulated", "--limit", "2", "--limit", "3"), "one for each"),
        (("report",), "ponder eval"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(ponder, words, said):
    done = ponder(*words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (ponder.home / "runs").exists()


@MADE_UP
def test_a_real_model_on_real_sums(ponder, model):
    words = (
        "eval",
        "chain_sum:min_terms=2,max_terms=2",
        "-m",
        model,
        "-s",
        "direct",
        "-s",
        "cot",
        "--limit",
        "3",
    )
    done = ponder(*words)
    assert done.returncode == 0, done.stderr
    assert re.search(r"direct\s+4k\s+3\s", done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills otherwise")
def test_a_report_or_table_is_written_whole_or_not_at_all(ponder):
    """Reliability row R3, at its smaller figure."""
    ponder(*SIMULATED)
    whole = {}
    for command, name in ((("report", "-o"), "page.html"), (("export", "-o"), "table.jsonl")):
        ponder(*command, name)
        path = ponder.folder / name
        whole[name] = path.read_bytes()
        chance = random.Random(name)
        for _ in range(6):
            path.unlink(missing_ok=True)
            process = ponder.start(*command, name)
            time.sleep(chance.random() * 1.5)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert not path.exists() or path.read_bytes() == whole[name]
        ponder(*command, name)
        assert path.read_bytes() == whole[name]


def test_a_total_budget_is_for_all_problems_together(ponder):
    words = ("eval", "simulated", "-m", "simulated", "-s", "self-consistency:n=16", "--limit", "6", "-q")
    done = ponder(*words, "--total-budget", "1k")
    assert done.returncode == 0, done.stderr
    assert "1k in all" in done.stdout
    again = ponder(*words, "--total-budget", "1k")
    assert again.stdout == done.stdout
    assert "Going on with the run" in again.stderr
    for more, said in ((("-b", "1k"), "not both"), (("-s", "beam-search"), "cannot share a total budget")):
        refused = ponder(*words, "--total-budget", "1k", *more)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
