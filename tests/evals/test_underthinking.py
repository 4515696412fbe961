"""Switches and right thoughts, read off the trace of an evaluation."""

import pytest
import trio
from support import QUESTION, attempt, virtual

from ponder.engines.scripted import Scripted
from ponder.evals.report import render
from ponder.evals.study import item_body, study
from ponder.evals.underthinking import responses, score
from ponder.evals.values import Item
from ponder.store import RunFile, RunWriter
from ponder.thinking import answers

WRONG = "It is 6 + 7. That makes 13. Alternatively, 6 * 7 is 42. Alternatively, it is 41. The answer is 41."
RIGHT = "It is 42. The answer is 42."


class Plain:
    async def grades(self, item, given):
        return [answer is not None and answers.key(answer) == answers.key(item.gold) for answer in given]


@pytest.fixture
def run(tmp_path):
    item = Item(QUESTION, "42", "sums")
    writer = RunWriter.create(tmp_path, command=[], versions={}, meta={"evaluation": {"seeds": [0]}})
    writer.item(QUESTION.id, item_body(item))
    for text, right in ((WRONG, False), (RIGHT, True)):
        recording = writer.attempt()
        _, events = virtual(attempt, "chain-of-thought", Scripted({text: 1.0}))
        for event in events:
            recording(event)
        writer.grade(recording.id, "", right)
    recording = writer.attempt()
    _, events = virtual(attempt, "budget-forcing:waits=2", Scripted({"Hm, it is 41.": 1.0}))
    for event in events:
        recording(event)
    writer.grade(recording.id, "", False)
    writer.close()
    with RunFile.open(writer.path) as file:
        yield file


def test_thoughts_of_right_and_wrong_responses(run):
    wrong, right, forced = trio.run(responses, run, Plain())
    assert (wrong.right, wrong.switches) == (False, 2)
    assert wrong.first == pytest.approx(
        wrong.tokens * len(WRONG[: WRONG.index("Alternatively, it")]) / len(WRONG)
    )
    assert (right.right, right.switches) == (True, 0)
    assert (forced.switches, forced.first) == (0, None), (
        "what a strategy wrote is no switch of the model's own"
    )
    value, _ = score([wrong, forced])
    assert value == pytest.approx((1 - wrong.first / wrong.tokens) / 2)


def test_the_report_has_switches_and_loops(tmp_path):
    loop = "So it is 41, or it is 42, or 43. " * 30
    writer = RunWriter.create(tmp_path, command=[], versions={}, meta={"evaluation": {"seeds": [0]}})
    item = Item(QUESTION, "42", "sums")
    writer.item(QUESTION.id, item_body(item))
    for how, text in (("chain-of-thought", WRONG), ("budget-forcing:waits=0", loop)):
        recording = writer.attempt()
        _, events = virtual(attempt, how, Scripted({text: 1.0}))
        for event in events:
            recording(event)
        writer.grade(recording.id, "", False)
    writer.close()
    with RunFile.open(writer.path) as file:
        found = study(file)
    assert [(o.switches, o.looped) for o in found.outcomes] == [(2, False), (0, True)]
    assert "Figure 9" in render(found)
