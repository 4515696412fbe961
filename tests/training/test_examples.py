"""Training examples: what is right is right, what is wrong is wrong in its stated way, and masks cover just that."""

import random
from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import UsageError
from ponder.evals.countdown import GOAL, Countdown, Line, Puzzle, check, leads_there, solutions
from ponder.evals.countdown.puzzle import value, without
from ponder.training.examples import MARKER, MISTAKES, examples, gone_wrong, prompt, solved

FAMILIES = [Countdown(), Countdown(high=15, last=75, largest=225), Countdown(numbers=4, seed=2)]


@st.composite
def made(draw):
    """An example of a solution by any seed, and one that goes wrong after it."""
    family = draw(st.sampled_from(FAMILIES))
    rng = random.Random(draw(st.integers()))
    puzzle = next(islice(family.puzzles("train"), rng.randrange(50), None))
    right = solved(puzzle, rng, family.largest)
    return family, right, gone_wrong(right, draw(st.sampled_from(MISTAKES)), rng, family.largest)


@given(made())
def test_every_solution_checks_and_its_beginning_leads_there(made):
    family, right, wrong = made
    assert right.text == prompt(right.puzzle) + "".join(f"{line}\n" for line in right.lines) + GOAL
    assert check(right.puzzle, right.text.removeprefix(prompt(right.puzzle))) is None
    assert len(right.lines) == family.numbers - 1
    if wrong is not None:
        assert wrong.lines == right.lines[: len(wrong.lines)]
        assert len(wrong.lines) < len(right.lines)


@given(made())
def test_every_wrong_line_is_wrong_in_its_stated_way(made):
    family, _, example = made
    if example is None:
        return
    body = "".join(f"{line}\n" for line in [*example.lines, example.wrong])
    assert example.text == f"{prompt(example.puzzle)}{body}{MARKER}"
    wrong, numbers = example.wrong, example.puzzle.numbers
    for line in example.lines:
        numbers = (*without(numbers, line.left, line.right), line.result)
    assert leads_there(numbers, example.puzzle.target, family.largest), "it was right so far"
    right_result = value(wrong.left, wrong.sign, wrong.right)
    fault = check(example.puzzle, body + GOAL)
    match example.mistake:
        case "exploration":
            assert fault in ("unused", "target")
            rest = (*without(numbers, wrong.left, wrong.right), wrong.result)
            assert not list(solutions(Puzzle(rest, example.puzzle.target)))
        case "computation":
            assert fault == "computation"
            assert without(numbers, wrong.left, wrong.right) is not None
            assert 0 < abs(wrong.result - right_result) <= 10
        case "rule":
            assert fault == "rule"
            assert right_result == wrong.result
            assert wrong.left in numbers or wrong.right in numbers
    assert 0 <= wrong.result <= family.largest


@given(made())
def test_masks_cover_the_question_and_the_wrong_line_and_nothing_else(made):
    for example in made[1:]:
        if example is None:
            continue
        text = example.text
        hidden = set(range(len(prompt(example.puzzle))))
        if example.wrong is not None:
            last = text.rindex("\n")
            hidden |= set(range(text.rindex("\n", 0, last) + 1, last))
        characters = [(i, i + 1) for i in range(len(text))]
        assert example.learnt(characters) == [i not in hidden for i in range(len(text))]
        assert "".join(part for part, _ in example.parts) == text


@given(made(), st.data())
def test_a_token_is_learnt_if_all_its_characters_are(made, data):
    example = made[1]
    end = len(example.text)
    cuts = sorted({0, end, *data.draw(st.lists(st.integers(0, end), max_size=20))})
    spans = list(pairwise(cuts))
    single = example.learnt([(i, i + 1) for i in range(end)])
    assert example.learnt(spans) == [all(single[a:b]) for a, b in spans]
    assert example.learnt([(3, 3)]) == [False], "a token that writes nothing"


def test_half_go_wrong_and_each_mistake_is_as_frequent():
    count = Counter(e.mistake for e in islice(examples(FAMILIES[1]), 3_000))
    assert 1_400 < count[None] < 1_600
    assert all(420 < count[mistake] < 580 for mistake in MISTAKES)
    assert {e.mistake for e in islice(examples(FAMILIES[1], share=0), 200)} == {None}
    assert None not in {e.mistake for e in islice(examples(FAMILIES[1], share=1), 200)}


def test_the_same_seed_gives_the_same_examples():
    one, two = (list(islice(examples(Countdown(seed=5)), 40)) for _ in range(2))
    assert one == two


def test_one_in_full():
    puzzle = Puzzle((12, 7, 25), 44)
    example = solved(puzzle, random.Random(0))
    assert example.text == (
        f"###Question: numbers [12, 7, 25]->target 44\n###Response:\n{example.lines[0]}\n{example.lines[1]}\n"
        "Goal Reached!"
    )
    assert example.lines[0] in (Line(12, "+", 7, 19), Line(7, "+", 25, 32), Line(12, "+", 25, 37))


def test_nonsense_is_named():
    with pytest.raises(UsageError, match="no solution"):
        solved(Puzzle((1, 1), 50), random.Random(0))
    with pytest.raises(UsageError, match="between 0 and 1"):
        next(examples(Countdown(), share=2))
