"""Data sets of the hub without a network: the way there is refused clearly, and rows are read as each set has them."""

from __future__ import annotations

import sys
import types

import pytest

from ponder.core.errors import UnknownName, UsageError
from ponder.evals.tasks import hub, load

ROWS = {
    "openai/gsm8k": [{"question": "3 * 4?", "answer": "It is 12.\n#### 12"}],
    "HuggingFaceH4/MATH-500": [
        {
            "problem": "Half?",
            "solution": "...",
            "answer": "\\frac{1}{2}",
            "subject": "Algebra",
            "level": 5,
            "unique_id": "test/1",
        }
    ],
    "HuggingFaceH4/aime_2024": [
        {"id": 60, "problem": "Find it.", "solution": "...", "answer": "204", "url": "", "year": "2024"}
    ],
    "math-ai/aime25": [{"id": "0", "problem": "Find it.", "answer": "70"}],
    "Idavidrein/gpqa": [
        {
            "Question": f"Which of {n}?",
            "Correct Answer": "right\n",
            "Incorrect Answer 1": "wrong 1",
            "Incorrect Answer 2": "wrong 2",
            "Incorrect Answer 3": "wrong 3",
            "Record ID": f"rec{n}",
            "High-level domain": "Physics",
        }
        for n in range(20)
    ],
    "me/mine": [{"ask": "x?", "gold": "7"}],
    "openai/openai_humaneval": [
        {
            "task_id": "HumanEval/0",
            "prompt": 'def one(n):\n    """\n    >>> one(1)\n    1\n    """\n',
            "canonical_solution": "    return n\n",
            "test": "def check(candidate):\n    assert candidate(2) == 2\n",
            "entry_point": "one",
        }
    ],
    "google-research-datasets/mbpp": [
        {
            "task_id": 11,
            "text": "Write it.",
            "code": "def one(n): return n",
            "test_list": ["assert one(1) == 1", "assert one(2) == 2"],
            "test_setup_code": "",
            "challenge_test_list": [],
        }
    ],
}


@pytest.fixture
def offline(monkeypatch):
    """A package of that name whose rows are those above; what was asked for is kept."""
    asked = []

    def load_dataset(name, config, *, split, revision):
        asked.append((name, config, split, revision))
        if name not in ROWS:
            raise ConnectionError("Couldn't reach the hub\nand more lines")
        return ROWS[name]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return asked


def test_without_the_package_a_file_is_named_as_the_way(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    for spec in ("gsm8k", "hf:me/mine"):
        with pytest.raises(UsageError, match=r"pip install .*mine\.jsonl"):
            load(spec)


def test_without_a_network_too(offline):
    with pytest.raises(UsageError, match=r"Couldn't reach the hub.*mine\.jsonl") as raised:
        load("hf:nobody/nothing")
    assert "\n" not in str(raised.value)
    with pytest.raises(UsageError, match="hf:owner/name"):
        load("hf:nothing")


@pytest.mark.parametrize(
    ("spec", "asked", "gold", "name"),
    [
        ("gsm8k", ("openai/gsm8k", "main", "test", None), "12", "gsm8k/1"),
        ("math-500", ("HuggingFaceH4/MATH-500", None, "test", None), "\\frac{1}{2}", "math-500/test/1"),
        ("aime24", ("HuggingFaceH4/aime_2024", None, "train", None), "204", "aime24/60"),
        ("aime25:revision=abc", ("math-ai/aime25", None, "test", "abc"), "70", "aime25/0"),
    ],
)
def test_the_usual_ones_by_short_name(offline, spec, asked, gold, name):
    item = load(spec).items[0]
    assert offline == [asked]
    assert (item.gold, item.problem.id, item.problem.kind, item.grader) == (gold, name, "math", "math")


def test_programming_problems_are_graded_by_their_tests(offline):
    for name, question in (("humaneval", ">>> one(1)"), ("mbpp", "assert one(1) == 1")):
        (item,) = load(name).items
        assert (item.grader, item.problem.kind, item.meta["function"]) == ("tests", "code", "one")
        assert question in item.problem.question
        assert "2" not in item.problem.question
    assert "assert one(2)" in load("mbpp:shown=2").items[0].problem.question


def test_any_other_with_its_split_and_fields(offline):
    item = load("hf:me/mine:split=dev,config=c,question=ask,kind=math").items[0]
    assert offline == [("me/mine", "c", "dev", None)]
    assert (item.problem.question, item.gold, item.task) == ("x?", "7", "mine")
    with pytest.raises(UnknownName, match="split"):
        load("hf:me/mine:splt=dev")


def test_gpqa_shuffles_its_choices_by_the_seed(offline):
    first, again, other = load("gpqa-diamond"), load("gpqa-diamond"), load("gpqa-diamond", seed=1)
    assert first == again
    assert [i.gold for i in first.items] != [i.gold for i in other.items]
    assert {i.gold for i in first.items} == set("ABCD")
    for item in first.items:
        assert f"{item.gold}) right" in item.problem.question
        assert item.problem.choices == 4
    assert first.items[0].family == "Physics"


def test_every_short_name_is_known_with_its_fields():
    assert set(hub.KNOWN) == {*("gsm8k", "math-500", "aime24", "aime25", "gpqa-diamond", "humaneval", "mbpp")}
    assert {source.name for source in hub.KNOWN.values()} <= set(ROWS)
