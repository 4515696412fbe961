"""Logs for Inspect: by their form here, and by its own reader where that is installed."""

import json

import anyio
import pytest
from evals.test_harness import ARMS, evaluated, items, script, writer

from ponder.engines.layers import Faulty
from ponder.engines.scripted import Scripted
from ponder.evals.inspect_logs import inspect_logs
from ponder.evals.plan import Plan
from ponder.evals.study import study
from ponder.store import RunFile

READER = "inspect_ai.log"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study in which some attempts broke, and its logs."""
    folder = tmp_path_factory.mktemp("runs")
    plan = Plan(items(6), ARMS[:3], (0, 1))
    engine = Faulty(Scripted(script), 3, errors=0.1, fatal=1.0)
    with writer(folder, plan) as to:
        anyio.run(evaluated, plan, engine, to)
    with RunFile.open(to.path) as run:
        return study(run), dict(inspect_logs(run))


def test_there_is_a_log_for_each_arm_with_what_was_measured(made):
    found, logs = made
    assert len(logs) == 3
    assert any(outcome.correct is None for outcome in found.outcomes)
    for name, log in logs.items():
        assert json.loads(json.dumps(log, allow_nan=False)) == log, "plain JSON, and no NaN"
        assert name.startswith(log["eval"]["created"][:13])
        assert name.isascii()
        mine = [o for o in found.outcomes if o.arm.strategy == log["eval"]["solver"]]
        assert len(log["samples"]) == len(mine) == 12
        assert {(s["id"], s["epoch"]) for s in log["samples"]} == {(o.item, o.seed + 1) for o in mine}
        graded = [o.correct for o in mine if o.correct is not None]
        marks = [s["scores"]["ponder"]["value"] for s in log["samples"] if "scores" in s]
        assert sorted(marks) == sorted("C" if right else "I" for right in graded)
        assert sum("error" in s for s in log["samples"]) == sum(o.stop == "failed" for o in mine)
        usage = log["stats"]["model_usage"][found.model]
        assert usage["output_tokens"] == sum(o.usage.completion for o in mine)
        by_item = {
            o.item: [p.correct for p in mine if p.item == o.item and p.correct is not None] for o in mine
        }
        means = [sum(right) / len(right) for right in by_item.values() if right]
        about = log["results"]["scores"][0]["metrics"]["accuracy"]["value"]
        assert about == pytest.approx(sum(means) / len(means))
        for sample, outcome in zip(log["samples"], mine, strict=True):
            choices = sample["output"]["choices"]
            if not outcome.error:
                assert sample["messages"][-1] == choices[0]["message"], "the chosen text is the first"
                assert (outcome.answer or "I do not know") in choices[0]["message"]["content"]
                assert len(choices) == outcome.usage.calls - outcome.failed


def test_its_own_reader_reads_them(made, tmp_path):
    reader = pytest.importorskip(READER, reason="inspect-ai is not installed")
    found, logs = made
    for name, log in logs.items():
        (tmp_path / name).write_text(json.dumps(log))
    listed = reader.list_eval_logs(str(tmp_path))
    assert len(listed) == len(logs)
    for info in listed:
        log = reader.read_eval_log(info)
        assert log.status == "success"
        assert len(log.samples) == 12
        assert log.eval.model == found.model
        assert log.samples[0].output.completion
        assert len(reader.read_eval_log_sample_summaries(info)) == 12
