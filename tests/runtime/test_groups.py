"""Samples of one prompt in one request: when, what it costs, and what happens when it breaks."""

from dataclasses import replace
from functools import partial

import anyio
import pytest
from support import attempt, virtual

from ponder.core.calls import Budget, Usage
from ponder.core.errors import EngineError
from ponder.engines.layers import Layer
from ponder.engines.scripted import Scripted
from ponder.runtime.ledger import Ledger
from ponder.runtime.tree import grow

TEXT = "Let me think. The answer is {answer}."


class Many(Layer):
    """An engine whose one request draws several, as servers with `n` do."""

    def __init__(self, engine, broken=(), spent=0, seconds=0.0):
        super().__init__(engine)
        self.requests, self.broken, self.spent, self.seconds = 0, set(broken), spent, seconds

    @property
    def capabilities(self):
        return replace(self.engine.capabilities, many=True)

    async def aside(self, name, call, *asked):
        self.requests += 1
        await anyio.sleep(self.seconds)
        if self.requests in self.broken:
            error = EngineError("The connection broke.")
            error.spent = self.spent
            raise error
        return await call(*asked)


def solved(strategy="self-consistency:n=8,shots=0", budget=None, *, together=True, **broken):
    engine = Scripted.solver(0.8, text=TEXT)
    many = Many(engine, **broken)
    result, events = virtual(partial(attempt, together=together), strategy, many, budget)
    return result, events, engine, many


def test_a_vote_is_one_request_and_pays_for_every_token():
    result, events, engine, many = solved()
    assert (engine.calls, many.requests) == (1, 1)
    assert result.answer == "42"
    assert result.stop == "finished"
    assert result.usage.completion == engine.completion_tokens
    assert result.usage.calls == 8
    read = [e.usage.prompt for e in events if e.kind == "extended"]
    assert read == [result.usage.prompt, *[0] * 7], "the prompt is read once"
    assert [e.place for e in events if e.kind == "extended"] == [f"0.{i}" for i in range(8)]
    assert len(grow(events).nodes) == 8


@pytest.mark.parametrize(
    ("strategy", "budget", "together"),
    [
        ("self-consistency:n=8,shots=0", None, False),
        ("self-consistency:n=1,shots=0", None, True),
        ("adaptive-consistency:n=8", None, True),  # it may end before all are drawn
        ("self-consistency:n=8,shots=0,max_tokens=100", "799", True),  # all of all cannot be set aside
        ("self-consistency:n=8,shots=0", "calls=7", True),
    ],
)
def test_they_are_drawn_one_by_one_where_one_may_end_alone(strategy, budget, together):
    result, _, engine, many = solved(strategy, budget, together=together)
    assert many.requests == 0
    assert engine.calls > 0
    assert result.usage.completion == engine.completion_tokens


def test_a_budget_that_pays_for_all_of_them_is_enough():
    assert solved("self-consistency:n=8,shots=0,max_tokens=100", "800,calls=8")[3].requests == 1


@pytest.mark.parametrize("spent", [0, 13, 10_000])
def test_a_request_that_breaks_is_drawn_one_by_one(spent):
    """What it wrote is paid for, it is recorded at a place of its own, and the answer says that something failed."""
    result, events, engine, many = solved(
        "self-consistency:n=4,shots=0,max_tokens=50", "1k", broken=[1], spent=spent
    )
    assert (many.requests, engine.calls) == (1, 4)
    assert result.answer == "42"
    assert result.stop == "degraded"
    failed = [e for e in events if e.kind == "failed"]
    assert [e.place for e in failed] == ["0.4"]
    assert failed[0].usage.completion == min(spent, 200)
    assert result.usage.completion == engine.completion_tokens + min(spent, 200)


def test_a_request_that_is_cut_off_is_charged_what_it_may_have_written():
    result, events, _, _ = solved("self-consistency:n=4,shots=0,max_tokens=50", "1k,2s", seconds=10.0)
    assert result.stop == "deadline"
    assert result.answer is None
    [failed] = [e for e in events if e.kind == "failed"]
    assert failed.cancelled
    assert (failed.usage.completion, failed.usage.estimated) == (200, True)
    assert result.usage.completion == 200


def test_nobody_is_overtaken_and_nothing_is_set_aside_in_vain():
    async def job():
        ledger = Ledger(Budget(tokens=100))
        held = await ledger.reserve((0,), kind="x", most=60, whole=True)
        assert ledger.reserve_all(2, kind="x", most=30) is None, "60 + 60 > 100"
        async with anyio.create_task_group() as group:

            async def wait():
                ledger.settle(await ledger.reserve((1,), kind="x", most=60, whole=True), Usage())

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert ledger.reserve_all(2, kind="x", most=5) is None, "someone waits"
            ledger.settle(held, Usage(completion=1))
        assert (ledger._reserved, ledger._live) == (0, 0)
        leases = ledger.reserve_all(3, kind="x", most=33)
        assert [lease.granted for lease in leases] == [33] * 3
        assert ledger.reserve_all(1, kind="x", most=1) is None

    virtual(job)
