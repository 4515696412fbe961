"""Generated tasks: any by name, the same for the same seed, in any process; and scorers that know their own answers."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from importlib.util import find_spec

import anyio
import pytest
from support import PATIENT

from ponder.core.errors import UnknownName, UsageError
from ponder.evals.graders import Graders
from ponder.evals.tasks import DEFAULT, _gym, gym, load, suites
from ponder.evals.tasks.gym_kinds import EQUAL
from ponder.evals.tasks.spec import Spec, read
from ponder.runtime.equality import Equality
from ponder.thinking.answers import find
from ponder.thinking.numbers import number_key

pytestmark = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")


def test_nothing_said_is_sums_of_three_terms_of_two_digits():
    tasks = load("", limit=50)
    assert tasks.name == DEFAULT == load("chain_sum", limit=1).name
    for item in tasks.items:
        sum_ = re.search(r": ([\d +-]+) =", item.problem.question)[1]
        terms = re.findall(r"\d+", sum_)
        assert [len(term) for term in terms] == [2, 2, 2]
        signs = [1, *(1 if sign == "+" else -1 for sign in re.findall(r"[+-]", sum_))]
        assert int(item.gold) == sum(sign * int(term) for sign, term in zip(signs, terms, strict=True))
        assert (item.problem.kind, item.grader, item.family) == ("math", "math", "arithmetic")
        assert item.meta == {}


def test_the_same_seed_gives_the_same_items_and_another_seed_others():
    spec = "chain_sum:min_terms=2,max_terms=4"
    first, again, other = (
        load(spec, limit=30, seed=3),
        load(spec, limit=30, seed=3),
        load(spec, limit=30, seed=4),
    )
    assert first == again
    questions = [{i.problem.question for i in tasks.items} for tasks in (first, other)]
    assert not questions[0] & questions[1]
    assert not {i.problem.id for i in first.items} & {i.problem.id for i in other.items}


def test_an_item_is_named_by_task_parameters_seed_and_index_whatever_else_is_loaded():
    few = load("chain_sum:max_terms=2,min_terms=2", limit=3, offset=5, seed=2)
    many = load("chain_sum: min-terms=2, max-terms=2", limit=20, seed=2)
    assert few.items == many.items[5:8]
    assert few.items[0].problem.id == "chain_sum:max_terms=2,min_terms=2/s2/5"


def test_items_do_not_depend_on_the_hash_seed_of_a_process():
    program = (
        "from ponder.evals.tasks import load\n"
        "print([i.problem.question for s in ('knights_knaves', 'word_sorting', 'graph_color') for i in load(s, limit=3).items])\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=500,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_unknown_names_are_suggested():
    with pytest.raises(UnknownName, match="chain_sum"):
        load("chain_sums")
    with pytest.raises(UnknownName, match="min_terms"):
        load("chain_sum:min_term=3")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("chain_sum:min_terms=9", "max_terms"),
        ("chain_sum:min_terms", "option"),
        ("chain_sum:size=0", "whole number"),
        ("chain_sum:seed=3", "--seed 3"),
        ("countdown:operators=(+", "parentheses"),
        ("some/where", "hf:owner/name"),
    ],
)
def test_parameters_that_make_no_sense_say_what_would(spec, says):
    with pytest.raises(UsageError, match=says):
        load(spec)


def test_a_value_has_the_type_of_its_default():
    assert _gym.value("3", 1) == 3
    assert _gym.value("3", 1.0) == 3.0
    assert _gym.value("true", False) is True
    assert _gym.value("(+,-)", ("*",)) == ("+", "-")
    assert _gym.value("(1, 2)", [5]) == [1, 2]
    assert _gym.value("12", None) == 12
    for text, default in (("three", 1), ("perhaps", True), ("+", ("*",)), ("(1,b)", [5])):
        with pytest.raises(ValueError):
            _gym.value(text, default)


def test_parameters_are_told_as_they_are_written():
    family, told = gym.about("countdown")
    assert family == load("countdown", limit=1).items[0].family == gym.names()["countdown"]
    assert {"name": "operators", "type": "list", "default": "(+,-,*,/)"} in told
    assert told[-1]["name"] == "size"
    _, told = gym.about("word_sorting")
    [transformation] = [p for p in told if p["name"] == "transformation"]
    assert transformation["default"] in transformation["type"].split(" | ")
    assert {p["name"] for p in gym.about("time_intervals")[1]}.isdisjoint({"min_time", "max_date"})
    with pytest.raises(UnknownName, match=r"chain_sum.*List them: ponder tasks"):
        gym.about("chain_sums")


def test_every_parameter_can_be_said_at_its_default():
    pytest.importorskip("reasoning_gym")
    for name in _gym.names():
        for told in _gym.parameters(name):
            if told["default"] is not None:
                [(key, text)] = read(f"{name}:{told['name']}={told['default']}").options.items()
                default = _gym._defaults(name)[key]
                assert _gym.value(text, default) == default, (name, key)


@pytest.mark.parametrize("default", [dt.time(3), [(0, 1)], object(), ("a,b",)])
def test_what_no_line_can_say_is_no_parameter(default):
    assert _gym.written(default) is None


def test_lists_flags_and_size():
    tasks = load("countdown:operators=(+,-),min_numbers=3,max_numbers=3,size=7")
    assert len(tasks.items) == 7
    assert not any(set("*/") & set(item.gold) for item in tasks.items)
    assert any("-" in i.problem.question for i in load("chain_sum:allow_negation=true", limit=20).items)


def test_without_the_package_a_file_is_named_as_the_way(monkeypatch):
    monkeypatch.setattr(gym.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"ponder\[evals\].*mine\.jsonl"):
        load("chain_sum")


def test_a_suite_goes_round_its_families_and_its_tasks():
    tasks = load("sys2bench", limit=30)
    families = list(suites.SUITES["sys2bench"])
    assert [i.family for i in tasks.items] == families * 6
    by_family = {f: {i.task for i in tasks.items if i.family == f} for f in families}
    assert by_family == {f: set(names) for f, names in suites.SUITES["sys2bench"].items()}
    assert len({i.problem.id for i in tasks.items}) == 30
    assert load("sys2bench", limit=7, offset=11).items == tasks.items[11:18]


def test_one_family_of_a_suite():
    tasks = load("sys2bench:family=logic", limit=4)
    assert {i.family for i in tasks.items} == {"logic"}
    with pytest.raises(UnknownName, match="logic"):
        load("sys2bench:family=logics")


def test_every_data_set_knows_its_own_answer_in_a_text_that_gives_it_as_asked():
    """From the question to the grade, for all of them: what is found in the text is what the grader takes."""
    names = gym.names()
    assert len(names) >= 100
    items, complaints = gym.make([gym.Wanted(Spec(name), 5, 0, 2) for name in names])
    assert complaints == []
    assert len(items) == 2 * len(names)

    async def judge():
        equality = Equality(limit=PATIENT)
        graders = Graders(equality, workers=2, limit=PATIENT)
        wrong, fooled = [], []

        async def some(start):
            for item in items[start::2]:
                if item.gold == gym.ANY:
                    fooled.extend([item.task] if await graders.grade(item, gym.ANY) else [])
                    continue
                fenced = item.problem.kind == "code"
                text = (
                    f"Let me think.\n```\n{item.gold}\n```"
                    if fenced
                    else f"Let me think.\nThe answer is {item.gold}."
                )
                found = find(text if item.problem.kind != "json" else item.gold, item.problem.kind)
                if found is None or await graders.grade(item, found.text) is not True:
                    wrong.append((item.task, item.gold[:60], found))
                fooled.extend([item.task] if await graders.grade(item, "nonsense") else [])

        async with anyio.create_task_group() as group:
            group.start_soon(some, 0)
            group.start_soon(some, 1)
        await graders.aclose()
        await equality.aclose()
        return wrong, fooled

    wrong, fooled = anyio.run(judge)
    assert wrong == []
    assert fooled == []


def test_data_sets_that_are_said_to_have_numbers_have_numbers():
    plain = [name for name, kind in EQUAL.items() if kind == "math"]
    items, _ = gym.make([gym.Wanted(Spec(name), 1, 0, 5) for name in plain])
    assert all(number_key(item.gold) for item in items)


def test_an_item_is_left_out_as_soon_as_its_program_gives_something_else():
    def entry(answer, given="{'n': 1}"):
        return {"question": "q", "answer": answer, "metadata": {"input_data": given, "output_data": answer}}

    for nth in range(_gym.AGAIN):
        answers = iter(["same"] * nth + ["another"])
        assert "something else" in _gym._unsound(entry("same"), lambda told=answers: entry(next(told)))
    assert _gym._unsound(entry("same"), lambda: entry("same")) == ""
    assert "fails" in _gym._unsound(entry("", given=""), lambda: entry("", given=""))


def test_what_the_programs_write_stays_out_of_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gym.make([gym.Wanted(Spec("codeio"), 0, 0, 60)])
    assert list(tmp_path.iterdir()) == []


def test_codeio_takes_json_however_it_is_written_and_leaves_out_what_its_programs_do_not_settle():
    items, complaints = gym.make([gym.Wanted(Spec("codeio"), 0, 0, 60)])
    # One of these programs follows the order of a set of objects: once in a great while it gives the same five times.
    assert [complaint.partition("(")[2] for complaint in complaints] in (
        [],
        ["its program gives something else each time)."],
    )
    assert len(items) + len(complaints) == 60
    lists = [item for item in items if item.gold.startswith("[") and ", " in item.gold]
    assert len(lists) > 3

    async def judge():
        equality = Equality(limit=PATIENT)
        graders = Graders(equality, limit=PATIENT)
        for item in lists:
            found = find(f"So it is\n```json\n{item.gold.replace(', ', ',')}\n```", item.problem.kind)
            assert await graders.grade(item, found.text) is True
            assert await graders.grade(item, "[]") is False
        await equality.aclose()

    anyio.run(judge)
