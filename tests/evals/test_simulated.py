"""The simulated world is the same everywhere, its engine keeps the laws of engines, and any text can be gone on from."""

import itertools
import math
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial

import anyio
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import attempt, virtual

from ponder import Budget, Prefix, Prompt, Sampling, Usage, UsageError
from ponder.core.errors import EngineClosed, UnknownName
from ponder.core.problem import Message, Problem
from ponder.engines.laws import check_engine
from ponder.evals.simulated import Chain, Simulated, Traits, World, find, named, tokens
from ponder.evals.simulated.reading import stand
from ponder.strategies import CATALOGUE
from ponder.thinking import answers
from ponder.thinking.prompts import ask

SURE = Traits(skill=1.0, spread=0.0, wordy=0.0)
PUZZLES = st.builds(lambda world, index: World(world).puzzle(index), st.integers(0, 9), st.integers(0, 999))


def prompt(puzzle, style="cot"):
    return ask(puzzle.problem, style)


def draw(engine, prefix, **sampling):
    return anyio.run(engine.extend, prefix, Sampling(**sampling))


def draws(engine, prefix, n, **sampling):
    async def every():
        return [await engine.extend(prefix, Sampling(seed=i, **sampling)) for i in range(n)]

    return anyio.run(every)


def read(segment):
    return answers.extract(segment.text, "math")


# -- the world ------------------------------------------------------------------------------------------------------


@given(PUZZLES)
def test_a_gold_answer_is_what_its_question_comes_to(puzzle):
    start = int(re.search(r"Start with (\d+)", puzzle.question)[1])
    added = sum(map(int, re.findall(r"Add (\d+)", puzzle.question)))
    taken = sum(map(int, re.findall(r"Take (\d+) away", puzzle.question)))
    assert puzzle.gold == str(start + added - taken)
    assert len(re.findall(r"Add|Take", puzzle.question)) == puzzle.steps
    assert 0 <= puzzle.difficulty <= 1
    assert len(set(puzzle.slips)) == 3
    assert 0 not in puzzle.slips


@given(PUZZLES)
def test_a_puzzle_is_found_by_its_text_and_by_its_id_and_by_no_other_text(puzzle):
    assert find(f"Please answer this.\n\n{puzzle.question} Thank you.") == puzzle
    assert named(puzzle.problem.id) == puzzle
    first = puzzle.question.index("Start with ") + len("Start with ")
    other = puzzle.question[:first] + "1" + puzzle.question[first:]
    assert find(other) is None
    assert named("q-12") is None


def test_the_last_puzzle_of_a_text_is_the_one_it_asks():
    one, two = World(0).puzzle(1), World(5).puzzle(7)
    assert find(f"{one.question} {two.question}") == two


def test_items_are_distinct_and_difficulty_is_uniform_and_costs_steps():
    items = World(3).items(2000)
    assert len({item.problem.id for item in items}) == len({item.problem.question for item in items}) == 2000
    assert items[10:20] == World(3).items(10, start=10)
    levels = sorted(item.level for item in items)
    assert max(abs(level - i / 2000) for i, level in enumerate(levels)) < 1.95 / math.sqrt(2000)  # p = 0.001
    ranked = sorted(items, key=lambda item: item.level)
    steps = [item.meta["steps"] for item in ranked]
    assert steps == sorted(steps)
    assert set(steps) == set(range(2, 9))
    with pytest.raises(UsageError, match="seed"):
        World(-1)


SHOWN = """
import anyio
from ponder import Sampling
from ponder.evals.simulated import Simulated, World
from ponder.thinking.prompts import ask

engine = Simulated.named("simulated:seed=3")
items = World(3).items(40)

async def main():
    for item in items:
        for seed in range(3):
            path = ask(item.problem, "cot")
            segment = await engine.extend(path, Sampling(temperature=1.0, seed=seed, logprobs=2))
            print(item, segment.text, segment.token_ids, segment.logprobs, segment.top_logprobs)

anyio.run(main)
"""


def test_the_same_seed_is_the_same_world_and_model_in_another_process():
    def shown(hashes):
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        command = [sys.executable, "-c", SHOWN]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    one = shown("1")
    assert one == shown("2")
    assert one.count("The answer is") == 120


# -- traits ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 9), st.floats(0, 1), st.floats(0, 0.5), st.floats(1, 9), st.floats(0, 1e6))
def test_traits_are_read_as_they_are_written(seed, skill, notice, draft, rate):
    traits = Traits(seed=seed, skill=skill, notice=notice, draft=draft, rate=rate)
    assert Traits.parse(str(traits)) == traits


def test_traits_that_make_no_sense_are_named():
    assert Traits.parse("simulated") == Traits()
    assert Simulated.named("simulated:seed=3, skill=0.8").capabilities.name == "simulated:seed=3,skill=0.8"
    for text, error, said in (
        ("simulatet", UnknownName, "simulated"),
        ("simulated:skil=1", UnknownName, "skill"),
        ("simulated:skill", UsageError, "trait=value"),
        ("simulated:seed=a", UsageError, "whole number"),
        ("simulated:skill=good", UsageError, "a number"),
        ("simulated:skill=2", UsageError, "0 to 1"),
        ("simulated:skill=nan", UsageError, "0 to 1"),
        ("simulated:notice=0.9", UsageError, "0 to 0.5"),
        ("simulated:rate=inf", UsageError, ">= 0"),
    ):
        with pytest.raises(error, match=said):
            Simulated.named(text)


# -- tokens ---------------------------------------------------------------------------------------------------------


@given(
    st.text(max_size=60) | st.text(alphabet="The answer is 412.\n Wait+=<>|/\\{}thinkim_stard#", max_size=80)
)
@settings(max_examples=300)
def test_any_text_is_its_tokens(text):
    ids = tokens.encode(text)
    assert tokens.decode(ids) == text
    assert ids == tuple(tokens.number(token) for token in tokens.split(text))
    assert tokens.EOS not in ids


def test_token_ids_are_numbers_that_stay():
    said = "Wait, 412 <think> + \n\n"
    assert tokens.encode(said) == (4_425_221, 76, 1_115_776, 64, 1, 7, 64, 6)
    assert len(tokens.encode("</think>")) == 1
    assert tokens.decode([20]) is None
    assert tokens.decode([-1]) is None
    assert tokens.decode([10**9]) is None


@given(st.integers(0, 200) | st.integers(0, 1_200_000) | st.integers(1_100_000, 17_000_000))
@settings(max_examples=500)
def test_an_id_has_a_text_if_that_text_has_the_id(i):
    text = tokens.text_of(i)
    assert text is None or i == tokens.EOS or tokens.encode(text) == (i,)


# -- the engine -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["plain", "cot", "draft", "direct"])
@pytest.mark.parametrize("traits", ["simulated", "simulated:seed=1,skill=0.2,notice=0.5,wordy=0.5"])
def test_the_laws_of_engines(style, traits):
    async def check():
        engine = Simulated.named(traits)
        prompts = [prompt(World(7).puzzle(i), style).prompt for i in (0, 1, 2, 5)]
        report = await check_engine(engine, prompts=prompts, tokens=60 if style == "cot" else 24, close=True)
        return [line for line in report if line.startswith("skipped")]

    skipped = anyio.run(check)
    assert sorted(line.split()[1] for line in skipped) == ["certainty", "context", "embeddings", "grammar"]


def test_the_laws_of_engines_on_questions_it_does_not_know():
    report = anyio.run(check_engine, Simulated())
    assert "checked: scores" in report


@given(PUZZLES, st.integers(0, 99), st.sampled_from(["cot", "draft", "direct"]), st.floats(0.2, 2))
@settings(deadline=None, max_examples=150)
def test_a_sample_has_the_tokens_and_log_probabilities_of_its_text(puzzle, seed, style, temperature):
    engine, path = Simulated(Traits(skill=0.3, notice=0.3)), prompt(puzzle, style)
    segment = draw(engine, path, temperature=temperature, seed=seed, logprobs=0, max_tokens=2000)
    assert segment.finish == "eos"
    assert segment.token_ids == (*tokens.encode(segment.text), tokens.EOS)
    told = anyio.run(engine.logprobs, path, segment.text)
    assert segment.logprobs == pytest.approx((*told, 0.0), abs=1e-12)
    assert segment.usage.prompt == engine.count(path)
    assert read(segment) is not None


@given(PUZZLES, st.integers(0, 99), st.integers(1, 90), st.integers(1, 90), st.floats(0.2, 2))
@settings(deadline=None, max_examples=100)
def test_the_fast_way_to_write_is_the_slow_one(puzzle, seed, most, enough, temperature):
    """A stop that never comes makes it go token by token; all else is the same, and so is what a watch sees."""

    def written(**more):
        seen = []

        def watch(delta):
            seen.append(delta)
            return len(seen) < enough

        engine = Simulated(Traits(skill=0.3, notice=0.3))
        how = Sampling(max_tokens=most, temperature=temperature, seed=seed, logprobs=0, **more)
        segment = anyio.run(engine.extend, prompt(puzzle), how, watch)
        assert engine.completion_tokens == segment.usage.completion == len(seen)
        return replace(segment, usage=Usage()), seen

    fast, slow = written(), written(stop=("never",))
    assert fast == slow
    assert (fast[0].finish == "cancelled") == (len(fast[1]) == enough < most and fast[0].finish != "eos")


@given(PUZZLES, st.integers(0, 99), st.sampled_from(["cot", "draft", "direct"]), st.data())
@settings(deadline=None, max_examples=100)
def test_a_text_can_be_gone_on_from_anywhere(puzzle, seed, style, data):
    """Cut at any character, as a strategy's own words: what may follow is what might have followed."""
    engine, path = Simulated(Traits(skill=0.3, notice=0.3)), prompt(puzzle, style)
    whole = draw(engine, path, temperature=1.0, seed=seed, max_tokens=2000).text
    cut = data.draw(st.integers(0, len(whole)))
    chain = engine.chain(puzzle, style)
    spot = stand(chain, whole[:cut])
    rest = whole[cut:]
    able = [spot.rest] if spot.rest else [text for text, _ in chain.options(spot).told]
    assert any(rest.startswith(text) or text.startswith(rest) for text in able)
    gone_on = path + whole[:cut] + draw(engine, path + whole[:cut], temperature=0.0, max_tokens=2000)
    assert gone_on.done
    assert answers.extract(gone_on.text, "math") is not None


WORDS = [
    "Wait",
    ",",
    " hm",
    "\n",
    "\n\n",
    "The answer is",
    " 4",
    "4",
    "####",
    " Checking",
    "C",
    ".",
    " let me see",
]


@given(PUZZLES, st.integers(0, 9), st.lists(st.sampled_from(WORDS), max_size=5).map("".join), st.data())
@settings(deadline=None, max_examples=80)
def test_in_how_many_calls_a_text_is_written_changes_nothing(puzzle, cut, foreign, data):
    """After any words of a strategy, too."""
    engine = Simulated(Traits(skill=0.2))
    path = prompt(puzzle) + draw(engine, prompt(puzzle), temperature=1.0, seed=cut, max_tokens=10 * cut + 1)
    path = path.before_stop + foreign
    biases = data.draw(st.sampled_from([{}, {tokens.number(" 4"): -100.0}, {tokens.number("The"): -100.0}]))
    how = {"temperature": 0.0, "logit_bias": biases}
    whole = draw(engine, path, max_tokens=60, **how)
    # Where a ban leaves nothing to say, a call of its own looks further than one in the middle of a text.
    assume(" hm" not in whole.text)
    pieces = path
    while not pieces.done and pieces.tokens - path.tokens < whole.usage.completion:
        pieces = pieces + draw(engine, pieces, max_tokens=1, **how)
    assert pieces.text == path.text + whole.text


@given(PUZZLES, st.text(max_size=30))
@settings(deadline=None, max_examples=100)
def test_it_finishes_after_any_words(puzzle, words):
    engine = Simulated()
    segment = draw(engine, prompt(puzzle) + words, temperature=1.0, seed=1, max_tokens=3000)
    assert segment.finish == "eos"
    assert read(segment) is not None


def test_the_answer_comes_where_it_is_asked_for():
    puzzle = World(0).puzzle(3)
    engine, start = Simulated(SURE), prompt(puzzle)
    whole = start + draw(engine, start, temperature=0.0)
    assert whole.text.endswith(f".\n\nThe answer is {puzzle.gold}.")
    for words, said in (
        ("\nTherefore, the answer (arabic numerals) is", f" {puzzle.gold}."),
        ("\nTherefore, the answer is ", f"{puzzle.gold}."),
        ("</think>\nFinal Answer:", f" {puzzle.gold}."),
        ("\n#### ", puzzle.gold),
        ("\n####", f" {puzzle.gold}"),
        ("\nSo it is \\boxed{", f"{puzzle.gold}" + "}"),
        ("Wait", f", checking again: the value is {puzzle.gold}.\n\nThe answer is {puzzle.gold}."),
        ("\n\nWait,", f" checking again: the value is {puzzle.gold}.\n\nThe answer is {puzzle.gold}."),
        (
            "Wait, let me look at it once more.",
            f" Checking again: the value is {puzzle.gold}.\n\nThe answer is {puzzle.gold}.",
        ),
        ("\n\n", f"The answer is {puzzle.gold}."),
        ("Good.", f"\n\nThe answer is {puzzle.gold}."),
    ):
        path = whole.before_stop + words
        assert draw(engine, path, temperature=0.0).text == said, words
        pieces = path
        while not pieces.done:
            pieces = pieces + draw(engine, pieces, temperature=0.0, max_tokens=1)
        assert pieces.text == path.text + said, words
        assert draw(engine, start + words, temperature=0.0).finish == "eos"  # and before anything is reckoned


def test_each_trait_is_the_probability_that_it_says():
    traits = Traits(notice=0.3, correct=0.6, spoil=0.2, wordy=0.25, ramble=0.45, tail=0.3)
    engine, puzzle = Simulated(traits), World(0).puzzle(0)
    start, first, second = puzzle.values[:3]
    off, rare = puzzle.slips[0], 7
    added, taken = first - start, first - second
    path = prompt(puzzle)

    def chance(before, token):
        (log,) = anyio.run(engine.logprobs, path + before, token)
        return math.exp(log)

    step = f"Add {added} to {start}"
    right = f"{step}: {start} + {added} = {first}.\n\n"
    wrong = f"{step}: {start} + {added} = {first + off}.\n\n"
    slipped = 1 - engine.chain(puzzle).chances[0]
    checking = "Wait, checking again: the value is"
    for before, token, expected in (
        (step, ",", 0.25),
        (f"{wrong}Take {taken} from {first + off}", ",", 0.45),
        (f"{step}: {start} + {added} =", f" {first}", 1 - slipped),
        (f"{step}: {start} + {added} =", f" {first + off}", slipped * 0.7 * 4 / 7),
        (f"{step}: {start} + {added} =", f" {first + rare}", slipped * 0.3 / 24),
        (right, "Take", 1.0),
        (right, "Wait", 0.0),
        (wrong, "Wait", 0.3),
        (wrong + checking, f" {first}", 0.6),
        (wrong + checking, f" {first + off}", 0.4),
        (right + checking, f" {first}", 0.8),
        (right + checking, f" {first + off}", 0.2 * 0.7 * 4 / 7),
        (f"{wrong}The answer is", f" {int(puzzle.gold) + off}", 1.0),
    ):
        assert chance(before, token) == pytest.approx(expected), (before, token)


def test_end_of_text_held_off_is_a_wait():
    puzzle = World(0).puzzle(3)
    engine = Simulated(SURE)
    first = draw(engine, prompt(puzzle), temperature=0.0)
    held = draw(engine, prompt(puzzle), temperature=0.0, min_tokens=first.usage.completion, logprobs=0)
    again = f" Wait, checking again: the value is {puzzle.gold}.\n\nThe answer is {puzzle.gold}."
    assert held.text == first.text + again
    assert min(held.logprobs) == -1000.0


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the capital of France?", "0123456789"),
        ("Which is it? (A) red (B) green (C) blue", "ABC"),
        ("Which is it?\nA. red\nB) green", "AB"),
    ],
)
@pytest.mark.parametrize("style", ["plain", "direct"])
def test_questions_it_does_not_know_are_guessed_evenly(question, expected, style):
    n = 3000
    path = ask(Problem.of(question), style)
    said = [answers.extract(s.text, "auto") for s in draws(Simulated(), path, n, temperature=1.0)]
    counts, p = Counter(said), 1 / len(expected)
    assert set(counts) == set(expected)
    assert all(abs(counts[a] / n - p) < 5 * math.sqrt(p * (1 - p) / n) for a in expected)


def test_it_takes_the_time_that_its_rate_says():
    puzzle = next(p for p in map(World(0).puzzle, itertools.count()) if p.steps == 8)  # 98 tokens at least
    engine = Simulated(Traits(rate=50.0))

    async def one():
        return await engine.extend(prompt(puzzle), Sampling(seed=1))

    segment = virtual(one)
    assert segment.usage.seconds == pytest.approx(segment.usage.completion / 50)
    assert draw(Simulated(), prompt(puzzle), seed=1).text == segment.text
    result, _ = virtual(partial(attempt, problem=puzzle.problem), "self-consistency:n=4", engine, "1.5s")
    assert result.stop == "deadline"
    assert result.usage.seconds <= 4 * 1.5 + 1e-6
    assert result.usage.completion == pytest.approx(4 * 1.5 * 50, abs=4)


def test_a_model_that_was_closed_says_so():
    engine = Simulated()
    engine.close()
    assert engine.closed
    with pytest.raises(EngineClosed, match="simulated"):
        draw(engine, prompt(World(0).puzzle(0)))


def test_pictures_do_not_trouble_it():
    parts = ({"type": "text", "text": World(0).puzzle(0).question}, {"type": "image_url"})
    path = Prefix(Prompt((Message("user", parts),)))
    assert read(draw(Simulated(SURE), path, temperature=0.0)) == World(0).puzzle(0).gold


def test_it_has_no_token_that_begins_a_switch_of_thought():
    engine = Simulated(Traits(skill=1.0, spread=0.0))
    with pytest.raises(UsageError, match="begins a switch of thought"):
        virtual(partial(attempt, problem=World(2).items(1)[0].problem), "tip", engine, None)
    assert engine.calls == 0


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - {"tip"}))
def test_every_strategy_works_on_it(name):
    engine = Simulated(Traits(skill=1.0, spread=0.0))
    for item in World(2).items(5):
        for budget in (None, "150"):
            made = engine.completion_tokens
            result, _ = virtual(partial(attempt, problem=item.problem), name, engine, budget)
            assert result.usage.completion == engine.completion_tokens - made
            assert budget is None or result.usage.completion <= Budget.parse(budget).tokens
            if budget is None and name not in ("direct", "chain-of-draft"):
                assert result.answer == item.gold
    assert engine.in_flight == 0


def test_the_ways_to_write_a_problem_cost_and_know_less():
    """Direct answers are shorter and worse than drafts, and drafts than chains, on every problem that is not sure."""
    for i, puzzle in enumerate(map(World(1).puzzle, range(30))):
        chains = {style: Chain(puzzle, Traits(), style) for style in ("cot", "draft", "direct")}
        texts = {
            style: draw(Simulated(), prompt(puzzle, style), temperature=1.0, seed=i, max_tokens=2000)
            for style in chains
        }
        sizes = [texts[style].usage.completion for style in ("direct", "draft", "cot")]
        assert sizes[0] == 2 < sizes[1] < sizes[2]
        odds = [math.prod(c.chances) ** e for c, e in zip(chains.values(), (1, 1.5, 3), strict=True)]
        assert all(a > b for a, b in itertools.pairwise(odds))
