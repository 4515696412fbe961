"""What holds for every strategy in the catalogue, whatever the budget, the timing and the faults."""

import json
import random
import re
from dataclasses import replace
from functools import partial

import anyio
import anyio.lowlevel
import pytest
import support
from support import QUESTION, SCORERS, Flaky, nodes, virtual

from ponder import AllFailed, Choice, EngineError, Problem, Unsupported
from ponder.engines.scripted import Scripted
from ponder.runtime.preflight import executes, preflight
from ponder.strategies import CATALOGUE, parse

SIX_SEVENS = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
AS_JSON = replace(
    QUESTION, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SIX_SEVENS}}
)
BUDGETS = ["0", "1", "7", "40", "100", "calls=1", "calls=3", "total=200", "1s", None]
DELAYS = {
    "none": 0.0,
    "steady": 0.01,
    "ragged": lambda prefix, rng: rng.choice([0.0, 0.0, 0.001, 0.5]),
}
every_strategy = pytest.mark.parametrize("name", sorted(CATALOGUE))


PROGRAM = Problem.of(
    'Complete this Python function:\n\n```python\ndef times(n):\n    """Six times n.\n    >>> times(7)\n    42\n    """\n```',
    "code",
)


def asked_of(name):
    """The problem that a strategy is held to the laws on: methods for programs have one that asks for a program."""
    return PROGRAM if executes(parse(name)) else QUESTION


async def attempt(name, engine, budget=None, **more):
    return await support.attempt(name, engine, budget, problem=asked_of(name), **more)


def number(answer):
    """The number that an answer is, or that the program in it returns."""
    return answer and re.findall(r"\d+", answer)[-1]


def in_words(prefix):
    asked = prefix.prompt.messages[-1].text
    first = prefix.prompt.messages[0].text
    if "Do not write code yet" in first:
        return {"1. times(1)\n2. times(2)": 0.5, "1. times(0)\n2. Six is even.": 0.5}
    if "You judge programs" in first:
        return {'{"better": "A"}': 0.5, '{"better": "B"}': 0.5}
    if "expert Python programmer" in first:
        body = "```python\ndef times(n):\n    return {}\n```"
        return {body.format(n): p for n, p in ((41, 0.3), (42, 0.5), (43, 0.2))}
    if "sure, likely or impossible" in asked:
        return {"sure": 0.5, "likely": 0.4, "impossible": 0.1}
    if "write: none" in asked:
        return {"none": 0.3, "Six sevens are forty-two.": 0.4, "Seven is prime.": 0.3}
    if "from 0 to 10" in asked:
        return {"8": 0.5, "2": 0.5}
    if "begin with <IMPROVED_VARIABLE>" in asked:
        said = {
            f"<IMPROVED_VARIABLE>The answer is {n}.</IMPROVED_VARIABLE>": p for n, p in ((41, 0.2), (42, 0.6))
        }
        return said | {"Here it is: the answer is 42.": 0.2}
    if prefix.text.endswith(("answer (arabic numerals) is", "The final answer is")):
        return {" 42.": 0.7, " 41.": 0.3}
    return {f"Let me think.\n\nThe answer is {n}.": p for n, p in ((41, 0.15), (42, 0.7), (43, 0.15))}


def solver(**options):
    return Scripted(in_words, **options)


def lawful(result, budget, engine):
    usage = result.usage
    if budget is None:
        return
    if budget.isdigit():
        assert usage.completion <= int(budget)
    if budget.startswith("calls="):
        assert usage.calls <= int(budget[6:])
    if budget.startswith("total="):
        assert usage.total <= int(budget[6:])
    assert result.choice is None or isinstance(result.choice, Choice)


@every_strategy
@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_no_budget_is_overrun_and_every_token_is_accounted_for(name, budget, delay):
    engine = solver(delay=DELAYS[delay])
    result, events = virtual(attempt, name, engine, budget)
    lawful(result, budget, engine)
    assert result.usage.completion == engine.completion_tokens, "the receipt is the engine's own count"
    assert engine.in_flight == 0
    assert events[-1].kind == "finished"
    if budget is None:
        assert result.stop == "finished"
        assert number(result.answer) in ("41", "42", "43")
    if budget == "0":
        assert (result.answer, result.stop, engine.calls) == (None, "budget", 0)
    if budget == "1s":
        assert result.stop in ("finished", "deadline")


@every_strategy
@pytest.mark.parametrize("budget", ["40", "100", "total=200", "calls=3"])
def test_an_engine_that_cannot_be_stopped_overruns_nothing_either(name, budget):
    engine = solver(without={"streams", "stoppable"}, delay=DELAYS["ragged"])
    result, _ = virtual(attempt, name, engine, budget)
    lawful(result, budget, engine)
    assert result.usage.completion == engine.completion_tokens


@every_strategy
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_faults_end_in_an_answer_or_in_a_named_error(name, budget, share):
    for seed in range(6):
        engine = Flaky(solver(delay=DELAYS["ragged"]), share, seed)
        try:
            result, events = virtual(attempt, name, engine, budget)
        except (EngineError, AllFailed):
            assert engine.failures
            continue
        lawful(result, budget, engine)
        assert share < 1 or result.answer is None, "a failed sample is never an answer"
        if result.stop == "finished":
            assert not engine.failures
        assert result.failed == engine.failures or result.stop != "finished"
        assert events[-1].kind == "finished"


@every_strategy
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("budget", ["7", "40", "100", "calls=3", "1s", None])
def test_json_keeps_to_its_schema_or_is_marked(name, budget, held):
    """On an engine that holds whole texts to a schema, as servers do, and on one that does so only if it is told in words."""

    def script(prefix):
        prompt = prefix.prompt
        assert prompt.response_format is None or not prefix.text, (
            "nobody is asked for JSON in the middle of a text"
        )
        told = "JSON schema" in prompt.messages[-1].text
        if told or (held and prompt.response_format is not None):
            return {f'{{"answer": {n}}}': p for n, p in ((41, 0.15), (42, 0.7), (43, 0.15))}
        return in_words(prefix)

    engine = Scripted(script, delay=DELAYS["ragged"])
    more = {"problem": AS_JSON, "forms": support.Forms()}
    result, _ = virtual(partial(support.attempt, **more), name, engine, budget)
    lawful(result, budget, engine)
    assert result.usage.completion == engine.completion_tokens
    if budget is None:
        assert result.form.kept
        assert result.stop == "finished"
    if result.choice is not None and result.form.kept:
        assert json.loads(result.answer)["answer"] in (41, 42, 43)
    elif result.choice is not None:
        assert result.answer is None
        assert result.form.why
        assert result.stop in ("budget", "deadline")


@every_strategy
def test_the_same_seed_gives_the_same_tree_whatever_the_timing(name):
    trees = []
    for clock in range(5):
        chance = random.Random(clock)
        engine = solver(
            delay=lambda prefix, rng, chance=chance: chance.choice([0, 0, 0.01, 1.0]),
            latency=lambda prefix, rng, chance=chance: chance.random(),
        )
        result, events = virtual(attempt, name, engine, None)
        used = {c.path.place for c in result.choice.candidates} | {result.choice.path.place}
        tree = [node for node in nodes(events) if node[0] in used]
        trees.append((tree, result.answer, result.choice.votes))
    assert all(tree == trees[0] for tree in trees)


class Ticking:
    """An engine that lets others run for a while before each call: what delays are on a clock, without one."""

    def __init__(self, engine, seed):
        self._engine, self._rng = engine, random.Random(seed)

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def extend(self, prefix, sampling, watch=None):
        for _ in range(self._rng.choice((0, 1, 7, 40))):
            await anyio.lowlevel.checkpoint()
        return await self._engine.extend(prefix, sampling, watch)


@every_strategy
@pytest.mark.parametrize("budget", ["40", "calls=3", None])
def test_on_asyncio_it_is_as_on_trio(name, budget):
    trees = []
    for clock in range(3):
        engine = solver()
        run = partial(attempt, name, Ticking(engine, clock), budget)
        result, events = anyio.run(run) if clock else virtual(run)
        lawful(result, budget, engine)
        assert result.usage.completion == engine.completion_tokens
        assert engine.in_flight == 0
        assert events[-1].kind == "finished"
        if budget is None:
            used = {c.path.place for c in result.choice.candidates} | {result.choice.path.place}
            trees.append(([node for node in nodes(events) if node[0] in used], result.answer))
    assert all(tree == trees[0] for tree in trees)


@every_strategy
def test_another_seed_gives_another_tree_where_chance_plays(name):
    strategy = parse(name)
    texts = set()
    for seed in range(24):
        _, events = virtual(_seeded, name, seed)
        texts.add(tuple(nodes(events)))
        if len(texts) > 1:
            break
    greedy = getattr(strategy, "temperature", 1) == 0
    assert (len(texts) == 1) == greedy


async def _seeded(name, seed):
    return await attempt(name, solver(), None, seed=seed)


@every_strategy
def test_ending_a_run_returns_what_there_is_and_leaves_nothing_running(name):
    for when in (0.0, 0.05, 0.3, 2.0):
        engine = solver(delay=0.02)
        result, _ = virtual(_ended, name, engine, when)
        assert engine.in_flight == 0
        assert result.stop in ("cancelled", "finished")
        assert result.usage.completion == engine.completion_tokens


async def _ended(name, engine, when):
    import trio

    runs = []

    async def end():
        await trio.sleep(when)
        runs[0].end("cancelled")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        outcome = await attempt(name, engine, None, started=runs.append)
        nursery.cancel_scope.cancel()
    return outcome


@every_strategy
def test_what_a_strategy_needs_is_checked_before_the_first_token(name):
    strategy = parse(name)
    for ability in strategy.needs:
        engine = solver(without={ability})
        with pytest.raises(Unsupported, match=name):
            virtual(attempt, name, engine, None)
        assert engine.calls == 0


def test_a_scorer_s_needs_count_too():
    with pytest.raises(Unsupported, match="log-probabilities"):
        preflight(parse("best-of-n"), {"solver": solver(without={"logprobs"})}, SCORERS)


@every_strategy
def test_every_prompt_holds_the_question(name):
    asked = []

    def script(prefix):
        asked.append(prefix.prompt.messages[-1].text)
        return {"The answer is 42.": 1.0}

    virtual(attempt, name, Scripted(script), None)
    assert all(asked_of(name).question in text for text in asked)
