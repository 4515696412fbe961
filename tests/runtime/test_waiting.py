"""Who waits for money, who is let in, and what comes back when enough agree."""

import anyio
import anyio.lowlevel
import pytest
from support import attempt, virtual

from ponder import Budget, OutOfBudget, Usage
from ponder.engines.scripted import Scripted
from ponder.runtime.ledger import SLICE, Ledger
from ponder.thinking.prompts import ask
from ponder.thinking.votes import majority


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.mark.anyio
async def test_long_samples_are_whole_too():
    """Each needs more than a slice. Were all let in that a slice can be found for, none would get its second."""
    long, ledger = SLICE + 36, Ledger(Budget(tokens=3 * (SLICE + 36)))
    ended = []

    async def sample(i):
        try:
            lease = await ledger.reserve((i,), kind="k", most=10 * SLICE)
        except OutOfBudget:
            return
        for _ in range(long):
            await anyio.lowlevel.checkpoint()
            if not lease.use(1):
                break
        ledger.settle(lease, Usage(completion=lease.used, calls=1))
        ended.append(lease.used)

    async with anyio.create_task_group() as group:
        for i in range(16):
            group.start_soon(sample, i)
    assert ended == [long] * 3


@pytest.mark.anyio
async def test_no_later_place_overtakes_one_that_needs_more():
    """Else a long call could wait for ever while short ones keep coming."""
    ledger = Ledger(Budget(tokens=100))
    first = await ledger.reserve((0,), kind="first", most=50)
    order = []

    async def call(place, most):
        lease = await ledger.reserve(place, kind=most, most=most)
        order.append(place)
        ledger.settle(lease, Usage())

    async with anyio.create_task_group() as group:
        group.start_soon(call, (1,), 90)
        group.start_soon(call, (2,), 10)
        await anyio.wait_all_tasks_blocked()
        assert order == [], "50 are free, but place 1 comes first and needs 90"
        ledger.settle(first, Usage())
    assert sorted(order) == [(1,), (2,)]


def test_what_until_never_saw_does_not_come_back():
    """The fourth sample ends before the first, but three agreed without it."""

    class Plan:
        name, paper, needs = "plan", "", frozenset()

        async def solve(self, problem, run):
            starts = [ask(problem) + f"{seconds} " for seconds in (5, 1, 2, 3, 100)]
            paths = await run.sample(starts, until=lambda seen: len(seen) == 3)
            return majority(await run.read(paths))

    engine = Scripted.solver(1.0, latency=lambda prefix, rng: float(prefix.text))
    result, events = virtual(attempt, Plan(), engine)
    assert [c.path.place for c in result.choice.candidates] == ["0.0", "0.1", "0.2"]
    assert sum(event.kind == "extended" for event in events) == 4, "it was paid for and is in the trace"
