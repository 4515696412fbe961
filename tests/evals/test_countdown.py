"""Countdown: the solver and the checker against all there is, and splits that keep apart what they should."""

from fractions import Fraction
from itertools import islice, permutations, product

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import PATIENT

from ponder import Problem, UnknownName, UsageError
from ponder.evals.countdown import (
    GOAL,
    Countdown,
    Line,
    Puzzle,
    Verifier,
    check,
    leads_there,
    moves,
    solutions,
)
from ponder.evals.graders import Graders
from ponder.evals.tasks import load
from ponder.evals.values import Item
from ponder.runtime.equality import Equality

SMALL = Countdown(high=15, last=75, largest=225)

numbers = st.lists(st.integers(1, 20), min_size=2, max_size=4).map(tuple)


def written(lines):
    return "".join(f"{line}\n" for line in lines) + GOAL


@st.composite
def walks(draw):
    """A puzzle and legal lines that use up all its numbers: a solution, if the last result is the target."""
    start = left = draw(numbers)
    lines = []
    while len(left) > 1:
        line, left = draw(st.sampled_from(list(moves(left))))
        lines.append(line)
    return start, lines


@given(walks(), st.integers(0, 100))
def test_a_walk_to_the_target_is_right_and_another_is_not(walk, other):
    start, lines = walk
    assert check(Puzzle(start, lines[-1].result), written(lines)) is None
    expected = None if other == lines[-1].result else "target"
    assert check(Puzzle(start, other), written(lines)) == expected
    assert check(Puzzle(start, other), written(lines[:-1])) == "unused"
    assert check(Puzzle(start, other), written(lines).removesuffix(GOAL)) == "not reached"
    assert check(Puzzle(start, lines[-1].result), written(lines) + "\n1+1=3") is None


@given(walks(), st.data())
def test_what_is_wrong_first_is_named(walk, data):
    start, lines = walk
    at = data.draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    puzzle = Puzzle(start, lines[-1].result)

    def mended(new):
        return written([*lines[:at], new, *lines[at + 1 :]])

    off = data.draw(st.integers(0, 500).filter(lambda n: n != line.result))
    assert check(puzzle, mended(Line(line.left, line.sign, line.right, off))) == "computation"
    assert check(puzzle, mended(Line(997, line.sign, line.right, line.result))) == "rule"
    for nonsense in ("", "so", "1+1", "-1+2=1", "1+1+1=3", "1/2=0.5", f"1+1={'9' * 50}", "1 + 1 = 2"):
        if nonsense:
            assert check(puzzle, mended(nonsense)) == "unreadable"


def test_the_same_number_twice_needs_to_be_there_twice():
    assert check(Puzzle((3, 5), 6), f"3+3=6\n{GOAL}") == "rule"
    assert check(Puzzle((3, 3), 6), f"3+3=6\n{GOAL}") is None


def test_results_that_are_no_whole_numbers_from_0_up_are_wrong():
    for line in ("3-5=2", "3/5=0", "5/3=1", "5/0=0"):
        assert check(Puzzle((3, 5, 0), 2), f"{line}\n{GOAL}") == "computation"


def everything(start):
    """All values of all trees of operations with whole results from 0 up: by brute force over orders and shapes."""

    def trees(given):
        if len(given) == 1:
            yield Fraction(given[0])
            return
        for cut in range(1, len(given)):
            for a, b, sign in product(trees(given[:cut]), trees(given[cut:]), "+-*/"):
                if sign == "/" and b == 0:
                    continue
                value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[sign]
                if value >= 0 and value.denominator == 1:
                    yield value

    return {int(v) for order in set(permutations(start)) for v in trees(order)}


@given(st.lists(st.integers(1, 12), min_size=2, max_size=3).map(tuple))
def test_the_solver_finds_what_brute_force_finds(start):
    able = everything(start)
    for target in range(151):
        found = list(solutions(Puzzle(start, target)))
        assert bool(found) == leads_there(start, target) == (target in able)
        assert len(set(found)) == len(found)
        for lines in found:
            assert check(Puzzle(start, target), written(lines)) is None


def test_no_result_is_above_the_largest():
    for lines in solutions(Puzzle((12, 12, 6), 24), largest=100):
        assert max(line.result for line in lines) <= 100
    assert any(line.result == 144 for lines in solutions(Puzzle((12, 12, 6), 24)) for line in lines)


@pytest.mark.parametrize("family", [SMALL, Countdown(numbers=4), Countdown(seed=3)], ids=str)
def test_training_never_sees_what_is_held_out(family):
    some = {split: list(islice(family.puzzles(split), 300)) for split in ("train", "seen", "new")}
    for puzzle in some["train"]:
        assert puzzle.target not in family.new
        assert not family.held_out(puzzle.numbers[::-1])
    for puzzle in some["seen"]:
        assert puzzle.target not in family.new
        assert family.held_out(puzzle.numbers)
    assert {puzzle.target for puzzle in some["new"]} <= family.new
    for puzzle in some["train"] + some["seen"] + some["new"]:
        assert family.first <= puzzle.target <= family.last
        assert leads_there(puzzle.numbers, puzzle.target, family.largest)
    assert len(set(some["train"])) > 250


def test_a_seed_gives_the_same_puzzles_and_another_gives_others():
    first = list(islice(SMALL.puzzles("train"), 50))
    assert list(islice(Countdown(high=15, last=75, largest=225).puzzles("train"), 50)) == first
    assert list(islice(Countdown(high=15, last=75, largest=225, seed=1).puzzles("train"), 50)) != first


def test_items_are_all_different_and_a_verifier_grades_them():
    items = load("countdown-lines:split=new,high=15,last=75,largest=225", limit=60, offset=5).items
    assert len({item.problem.id for item in items}) == 60
    assert items == tuple(SMALL.items("new", 65)[5:])
    puzzle = Puzzle.read(items[0].problem.question)
    right = written(next(solutions(puzzle)))

    async def grade():
        graders = Graders(Equality(), limit=PATIENT)
        answers = [right, right.replace("=", "=1"), right.removesuffix(GOAL), "", None]
        return await graders.grades(items[0], answers)

    assert anyio.run(grade) == [True, False, False, False, False]


def test_the_question_is_read_as_it_is_written():
    puzzle = Puzzle((3, 5, 8), 23)
    assert puzzle.question == "numbers [3, 5, 8]->target 23"
    assert Puzzle.read(puzzle.question) == puzzle
    with pytest.raises(UsageError, match="no puzzle"):
        Puzzle.read("numbers []->target 3")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("countdown-lines:split=test", UnknownName, "seen"),
        ("countdown-lines:number=3", UnknownName, "numbers"),
        ("countdown-lines:numbers=three", UsageError, "takes a number"),
        ("countdown-lines:numbers=9", UsageError, "2 to 5"),
        ("countdown-lines:low=9,high=3", UsageError, "low <= high"),
        ("countdown-lines:share=0", UsageError, "between 0 and 1"),
        ("countdown-lines:low=1,high=1", UsageError, "no puzzle"),
        ("countdown-lines:high=4,last=12,split=new", UsageError, "There are only"),
        ("countdown-line", UnknownName, "countdown-lines"),
    ],
)
def test_nonsense_is_named(text, error, says):
    with pytest.raises(error, match=says):
        load(text)


def test_the_verifier_refuses_an_item_of_another_task():
    async def grade():
        await Verifier().grade(Item(Problem.of("1+1"), "2"), "2")

    with pytest.raises(UsageError, match="math"):
        anyio.run(grade)
