"""deterministic=True: a tree is the same to the last bit, whatever the timing, the neighbours and the cache."""

import random
from dataclasses import replace

import anyio
import pytest
from support import attempt

from ponder.core.calls import Budget, Sampling
from ponder.core.errors import ContextOverflow
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines.laws import check_engine
from ponder.engines.layers import Recorded, Replayed
from ponder.engines.llama_cpp import LlamaCpp

SYSTEM = "You answer questions about numbers and colours, step by step. " * 8
QUESTIONS = ("What is 2 + 2?", "Name three colours.", "What is 2 + 2? And 7 times 9?")

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def engine(smollm2):
    """Fewer sequences than a tree would like, so that prefixes are lost and read again."""
    made = LlamaCpp(smollm2, threads=1, context=512, sequences=5, deterministic=True)
    yield made
    made.close()


async def tree(engine, question, seed, chance):
    """Branches, a rewind, a strategy's own words and a score, after delays: seed -> ids and log-probabilities."""
    told = {}

    async def draw(path, n, seed):
        await anyio.sleep(chance.random() * 0.1)
        how = Sampling(n, min_tokens=n, temperature=1.0, seed=seed, logprobs=0)
        segment = await engine.extend(path, how)
        told[seed] = segment.token_ids, segment.logprobs
        return path + segment

    async def several(path, n, seeds):
        grown = {}

        async def one(at):
            grown[at] = await draw(path, n, at)

        async with anyio.create_task_group() as group:
            for at in seeds:
                group.start_soon(one, at)
        return [grown[at] for at in seeds]

    prompt = Prefix(Prompt((Message("system", SYSTEM), Message("user", question))))
    first, second, third = await several(prompt, 7, range(seed, seed + 3))
    await several(second + "\nWait, let me think again.", 5, range(seed + 3, seed + 5))
    await draw(first, 4, seed + 5)
    told["score"] = await engine.logprobs(third, " The answer is 12.")
    return told


async def test_the_same_tree_whatever_runs_beside(engine):
    alone = {q: await tree(engine, q, 100 * i, random.Random(i)) for i, q in enumerate(QUESTIONS)}
    for chance in map(random.Random, range(3)):
        beside = {}

        async def one(i, question, chance=chance, beside=beside):
            beside[question] = await tree(engine, question, 100 * i, chance)

        async with anyio.create_task_group() as group:
            for i, question in enumerate(QUESTIONS):
                group.start_soon(one, i, question)
        assert beside == alone
    assert engine.stats.reread > 0, "the cache was too large to try anything"
    assert engine.stats.occupancy > 1.5


async def test_the_laws(smollm2, anyio_backend):
    engine = LlamaCpp(smollm2, threads=1, context=512, sequences=4, deterministic=True)
    await check_engine(engine, tokens=8, exact=True, tolerance=0.05, close=True)


async def test_to_the_end_of_the_context(smollm2):
    """Whoever has no token reads one all the same, into a cell of its own: that cell must exist."""
    engine = LlamaCpp(smollm2, threads=1, context=256, sequences=3, deterministic=True)
    path = Prefix(Prompt(raw="One, two, three,"))
    how = Sampling(300, min_tokens=300, temperature=0)
    full = await engine.extend(path, how)
    assert full.usage.prompt + full.usage.completion == engine.capabilities.context == 255
    again = await engine.extend(path, how)
    assert again.token_ids == full.token_ids
    with pytest.raises(ContextOverflow):
        await engine.extend(path + full, Sampling(1))
    await engine.aclose()


async def test_a_recorded_run_replays_exactly(smollm2):
    """Where a seed alone does not suffice, what was sampled does: no model is called the second time."""
    strategy, budget = "self-consistency:n=6,max_tokens=24,shots=1", Budget(tokens=100)
    with_model = LlamaCpp(smollm2, threads=1, sequences=4)
    records = []
    first, _ = await attempt(strategy, Recorded(with_model, records.append), budget, seed=3)
    await with_model.aclose()
    again, _ = await attempt(strategy, Replayed(records), budget, seed=3)
    assert first.usage.completion > 50
    assert [c.path for c in again.choice.candidates] == [c.path for c in first.choice.candidates]
    assert again.choice.votes == first.choice.votes
    assert replace(again.usage, seconds=0) == replace(first.usage, seconds=0)
