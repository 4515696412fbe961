"""`ponder calibrate`, as a person types it, and `auto` with what it learnt."""

import json
import re
import tomllib

import pytest

CALIBRATE = (
    "calibrate", "simulated", "-m", "simulated:skill=0.35", "-b", "300",
    "-s", "chain-of-thought", "--limit", "40", "-q",
)  # fmt: skip


def test_a_policy_is_learnt_and_written(ponder):
    done = ponder(*CALIBRATE, "-o", "mine", "--report", "cal.html")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\s*300\s+.*0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", done.stdout, re.MULTILINE)
    assert "These figures are simulated." in done.stdout
    assert "oracle" in done.stdout
    policy = tomllib.loads((ponder.home / "policies" / "mine.toml").read_text())
    assert (policy["model"], policy["simulated"], policy["graded"]) == ("simulated:skill=0.35", True, "gold")
    assert {rule["budget"] for rule in policy["rule"]} == {300}
    assert all(0 <= low <= right <= high <= 1 for right, low, high in (r["right"] for r in policy["rule"]))
    section = (
        (ponder.folder / "cal.html").read_text().partition('id="calibration"')[2].partition("</section>")[0]
    )
    assert "What to use" in section
    assert "it knows the answers, and is no method" in section
    assert "mark c3 oracle" in section
    run = max((ponder.home / "runs").glob("*.sqlite")).stem
    again = ponder(*CALIBRATE, "-o", "mine", "--from", run)
    assert again.stderr.count("is complete already") == 1
    assert again.stdout == done.stdout
    other = ponder(
        "calibrate", "simulated", "-m", "simulated:skill=0.5", "--limit", "40", "-q", "--from", run
    )
    assert (other.returncode, "was made with the model simulated:skill=0.35" in other.stderr) == (2, True)


def test_budgets_that_nothing_spends_are_said_to_tell_nothing(ponder):
    words = ("-s", "chain-of-thought", "--wide", "8", "-b", "50k", "-b", "100k", "--limit", "40", "-q")
    done = ponder("calibrate", "simulated", "-m", "simulated:skill=0.35", *words, "-o", "mine")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ *(50,000|100,000)  \S+  +(.*)", done.stdout, re.MULTILINE)
    assert [budget for budget, _ in rows] == ["50,000", "100,000"]
    assert rows[0][1] == rows[1][1]
    assert re.search(
        r"spends more than [\d,]+ tokens on a question, so 100,000 tokens buy the same", done.stdout
    )
    assert re.search(r"^  50,000 and 100,000: -s \S+", done.stdout, re.MULTILINE)
    assert "More compute than 50,000 tokens" in done.stdout


def test_one_file_teaches_anew_without_the_model_or_anything_else(ponder, tmp_path):
    assert ponder(*CALIBRATE, "-o", "mine").returncode == 0
    [run] = (ponder.home / "runs").glob("*.sqlite")
    alone = run.rename(tmp_path / "calibrated.sqlite")
    again = ponder("calibrate", "--replay", alone, "-o", "again")
    assert again.returncode == 0, again.stderr
    assert not list((ponder.home / "runs").glob("*.sqlite")), "nothing was measured"

    def rules(name):
        return tomllib.loads((ponder.home / "policies" / f"{name}.toml").read_text())

    assert rules("again") == rules("mine")
    other = ponder("calibrate", "--replay", alone, "--sign", "length", "-o", "length")
    assert other.returncode == 0, other.stderr
    assert not rules("length").get("difficulty", {}).get("agreement")
    both = ponder("calibrate", "simulated", "--replay", alone)
    assert (both.returncode, "Leave yours out" in both.stderr) == (2, True)
    neither = ponder("calibrate")
    assert (neither.returncode, "Name a task" in neither.stderr) == (2, True)
    assert (
        ponder("eval", "simulated", "-m", "simulated", "-s", "direct", "--limit", "2", "-q").returncode == 0
    )
    no = ponder("calibrate", "--replay", max((ponder.home / "runs").glob("*.sqlite")).stem)
    assert (no.returncode, "is no calibration" in no.stderr) == (2, True)


def test_the_policy_of_a_model_is_found_and_a_broken_one_named(ponder):
    (ponder.home / "policies").mkdir(parents=True)
    file = ponder.home / "policies" / "mine.toml"
    words = ("eval", "simulated", "-m", "simulated", "-s", "auto", "-b", "300", "--limit", "3", "-q")
    file.write_text(
        'model = "simulated"\n[[rule]]\nbudget = 1\nabove = 0\nalone = true\nstrategy = "direct"\n'
    )
    found = ponder(*words)
    assert found.returncode == 0, found.stderr
    assert re.search(r"^auto\s+300\s+3\s+\S+\s+\S+ to \S+\s+[1-9]\s", found.stdout, re.MULTILINE), (
        "a few tokens"
    )
    file.write_text(file.read_text().replace("alone = true", "alone = 1"))
    broken = ponder(*words)
    assert (broken.returncode, "mine.toml, line 5: alone takes true or false" in broken.stderr) == (2, True)


def test_a_policy_is_followed_and_another_one_is_another_evaluation(ponder):
    file = ponder.folder / "mine.toml"
    rule = "[[rule]]\nbudget = 1\nabove = 0\nalone = true\nstrategy = "
    words = (
        "eval",
        "simulated",
        "-m",
        "simulated",
        "-s",
        "auto:policy=mine.toml",
        "-b",
        "900",
        "--limit",
        "5",
        "-q",
    )
    file.write_text(f'{rule}"direct"\n')
    first = ponder(*words)
    assert (first.returncode, "does not fit" in first.stderr) == (0, False), first.stderr
    file.write_text(f'model = "another"\n{rule}"direct"\n')
    second = ponder(*words)
    assert "does not fit: it was learnt on the model another, and this is simulated" in second.stderr
    assert "is complete already" not in second.stderr
    assert second.stdout != first.stdout
    file.write_text(f'{rule}"dierct"\n')
    third = ponder(*words)
    assert (third.returncode, "mine.toml, line 5: There is no strategy" in third.stderr) == (2, True)


def test_without_right_answers_it_learns_from_agreement_and_says_so(ponder):
    lines = [json.dumps({"question": f"Which digit, {i}?"}) for i in range(40)]
    (ponder.folder / "open.jsonl").write_text("\n".join(lines))
    done = ponder(
        "calibrate", "open.jsonl", "-m", "simulated", "-b", "30", "-s", "direct", "-q", "-o", "open.toml"
    )
    assert done.returncode == 0, done.stderr
    assert "consistency, not accuracy" in done.stdout
    text = (ponder.folder / "open.toml").read_text()
    assert "BY AGREEMENT" in text
    assert tomllib.loads(text)["graded"] == "agreement"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-b", "30s"), "budgets of completion tokens"),
        (("--bins", "0"), "Bins are a number"),
        (("--limit", "5", "-b", "100"), "too few"),
        (("--sign", "agrement"), "Did you mean agreement"),
        (("--scorer", "nobody"), "no scorer named"),
        (("--wide", "4"), "no wider than the probe"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(ponder, words, said):
    done = ponder("calibrate", "simulated", "-m", "simulated", "-q", *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
