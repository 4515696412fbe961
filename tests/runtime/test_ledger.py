"""The ledger's one law, at every instant and in every scope: spent + reserved <= limit."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder import Budget, OutOfBudget, Usage
from ponder.runtime.ledger import SLICE, Ledger


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


def lawful(ledger):
    limit = ledger.limit
    if limit.tokens is not None:
        assert ledger.spent.completion + ledger._reserved <= limit.tokens
    if limit.total_tokens is not None:
        assert ledger._read() <= limit.total_tokens
    if limit.calls is not None:
        assert ledger.spent.calls + ledger._calls <= limit.calls
    assert 0 <= ledger._calls <= ledger._live
    assert ledger._reserved >= 0
    assert ledger._promised >= 0
    assert ledger._live >= 0


def take(ledger, lease, tokens):
    """What an engine does: sample token by token until it may not."""
    done = 0
    while done < tokens:
        done += 1
        if not lease.use(1):
            break
        lawful(ledger)
    return done


@pytest.mark.anyio
async def test_a_lease_is_renewed_in_slices_up_to_the_limit():
    ledger = Ledger(Budget(tokens=100))
    lease = await ledger.reserve((0,), kind="k", most=1000)
    assert lease.granted == SLICE
    assert take(ledger, lease, 1000) == 100
    assert lease.refused
    ledger.refuse(lease)
    assert ledger.refused
    ledger.settle(lease, Usage(completion=100, calls=1))
    assert ledger.left.tokens == 0
    with pytest.raises(OutOfBudget):
        await ledger.reserve((1,), kind="k", most=1)


@pytest.mark.anyio
async def test_unspent_tokens_come_back():
    ledger = Ledger(Budget(tokens=100))
    lease = await ledger.reserve((0,), kind="k", most=90)
    assert ledger.left.tokens == 100 - SLICE
    ledger.settle(lease, Usage(completion=5, calls=1))
    assert ledger.left.tokens == 95
    assert not ledger.refused


@pytest.mark.anyio
@pytest.mark.parametrize("budget", [Budget(tokens=0), Budget(calls=0), Budget(total_tokens=10)])
async def test_nothing_left_is_said_at_once(budget):
    with pytest.raises(OutOfBudget):
        await Ledger(budget).reserve((0,), kind="k", most=10, prompt=10)


@pytest.mark.anyio
async def test_an_engine_that_cannot_be_stopped_gets_all_at_once_and_no_more_than_there_is():
    ledger = Ledger(Budget(tokens=100))
    lease = await ledger.reserve((0,), kind="k", most=400, whole=True)
    assert lease.granted == 100
    lawful(ledger)


@pytest.mark.anyio
async def test_prompt_tokens_count_where_all_tokens_are_limited():
    ledger = Ledger(Budget(total_tokens=100))
    lease = await ledger.reserve((0,), kind="k", most=400, prompt=60)
    assert lease.granted == 40
    lawful(ledger)
    ledger.settle(lease, Usage(prompt=60, completion=40, calls=1))
    assert ledger.left.total_tokens == 0


@pytest.mark.anyio
async def test_a_tight_budget_pays_for_whole_samples_one_after_the_other():
    """Sixteen at once on 100 tokens would all be cut off at six; as it is, six of 16 tokens are whole."""
    ledger = Ledger(Budget(tokens=100))
    ended: list[int] = []

    async def sample(i):
        try:
            lease = await ledger.reserve((i,), kind="k", most=50)
        except OutOfBudget:
            return
        for _ in range(16):
            await anyio.lowlevel.checkpoint()
            if not lease.use(1):
                break
        lawful(ledger)
        ledger.settle(lease, Usage(completion=lease.used, calls=1))
        ended.append(lease.used)

    async with anyio.create_task_group() as group:
        for i in range(16):
            group.start_soon(sample, i)
    assert ended[:6] == [16] * 6
    assert sum(ended) == 100


@pytest.mark.anyio
async def test_grants_go_in_order_of_place():
    ledger = Ledger(Budget(calls=1, tokens=10**6))
    first = await ledger.reserve((9,), kind="k", most=10)
    order = []

    async def wait(place):
        try:
            lease = await ledger.reserve(place, kind="k", most=10)
        except OutOfBudget:
            return
        order.append(place)
        ledger.settle(lease, Usage())  # a call that cost nothing gives its place on

    async with anyio.create_task_group() as group:
        for place in [(3,), (1, 2), (2,), (1,)]:
            group.start_soon(wait, place)
        await anyio.wait_all_tasks_blocked()
        ledger.settle(first, Usage())
    assert order == [(1,), (1, 2), (2,), (3,)]


@pytest.mark.anyio
async def test_grants_go_in_order_of_place_across_scopes_too():
    """A scorer's scope and that of who is delegated to stand beside their owner's: the purse is one."""
    ledger = Ledger(Budget(calls=1, tokens=10**6))
    first = await ledger.reserve((9,), kind="k", most=10)
    order = []

    async def wait(place):
        scope = Ledger(None, ledger)
        lease = await scope.reserve(place, kind="k", most=10)
        order.append(place)
        scope.settle(lease, Usage())

    async with anyio.create_task_group() as group:
        for place in [(3,), (1, 2), (2,), (1,)]:
            group.start_soon(wait, place)
        await anyio.wait_all_tasks_blocked()
        ledger.settle(first, Usage())
    assert order == [(1,), (1, 2), (2,), (3,)]


@pytest.mark.anyio
async def test_a_tight_scope_holds_up_its_own_and_nobody_else():
    outer = Ledger(Budget(tokens=1000))
    tight, wide = Ledger(Budget(tokens=10), outer), Ledger(None, outer)
    held = await tight.reserve((0,), kind="k", most=10)
    ended = []

    async def wait(scope, place):
        try:
            scope.settle(await scope.reserve(place, kind="k", most=10), Usage())
        except OutOfBudget:
            ended.append(("refused", place))
        else:
            ended.append(("served", place))

    async with anyio.create_task_group() as group:
        group.start_soon(wait, tight, (1,))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait, wide, (2,))
        await anyio.wait_all_tasks_blocked()
        assert ended == [("served", (2,))]
        lost = Ledger(None, tight)
        group.start_soon(wait, lost, (3,))
        await anyio.wait_all_tasks_blocked()
        lost.close("its time was up")  # behind one who waits, and not for long
        await anyio.wait_all_tasks_blocked()
        assert ended[1:] == [("refused", (3,))]
        tight.settle(held, Usage())
    assert ended[2:] == [("served", (1,))]


@pytest.mark.anyio
async def test_who_is_cancelled_while_waiting_leaves_no_trace():
    ledger = Ledger(Budget(tokens=10))
    lease = await ledger.reserve((0,), kind="k", most=10)
    with anyio.move_on_after(0):
        await ledger.reserve((1,), kind="k", most=10)
    assert not ledger._root.waiting
    ledger.settle(lease, Usage())
    lawful(ledger)
    assert ledger._live == 0
    assert ledger.left.tokens == 10


@pytest.mark.anyio
async def test_scopes_nest():
    outer = Ledger(Budget(tokens=100))
    inner = Ledger(Budget(tokens=30), outer)
    lease = await inner.reserve((0,), kind="k", most=50)
    assert lease.granted == 30
    assert outer.left.tokens == 70
    inner.settle(lease, Usage(completion=30, calls=1))
    with pytest.raises(OutOfBudget):
        await inner.reserve((1,), kind="k", most=1)
    assert (await outer.reserve((2,), kind="k", most=1)).granted == 1


@pytest.mark.anyio
async def test_a_renewal_asks_the_scope_around():
    outer = Ledger(Budget(tokens=100))
    lease = await Ledger(Budget(tokens=1000), outer).reserve((0,), kind="k", most=500)
    assert take(outer, lease, 500) == 100
    assert lease.refused


@pytest.mark.anyio
async def test_closing_one_scope_leaves_the_others_open():
    outer = Ledger(Budget(tokens=100))
    inner = Ledger(None, outer)
    inner.close("its time was up")
    with pytest.raises(OutOfBudget, match="time was up"):
        await inner.reserve((0,), kind="k", most=1)
    await outer.reserve((1,), kind="k", most=1)


calls = st.lists(
    st.tuples(
        st.integers(0, 300),  # most; 0 reads only
        st.integers(0, 300),  # wants
        st.integers(0, 50),  # prompt
        st.booleans(),  # whole
        st.integers(0, 2),  # scope
        st.integers(0, 5),  # pauses
    ),
    min_size=1,
    max_size=24,
)
limits = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 2000),
    total_tokens=st.none() | st.integers(0, 3000),
    calls=st.none() | st.integers(0, 30),
)


@settings(max_examples=300, deadline=None)
@given(limits, limits, limits, calls)
def test_no_program_overruns_any_scope(a, b, c, program):
    root = Ledger(a)
    scopes = [root, Ledger(b, root)]
    scopes.append(Ledger(c, scopes[1]))

    async def call(i, most, wants, prompt, whole, scope, pauses):
        ledger = scopes[scope]
        try:
            lease = await ledger.reserve((i,), kind=most, most=most, prompt=prompt, whole=whole)
        except OutOfBudget:
            return
        used = 0
        for turn in range(wants):
            if turn < pauses:
                await anyio.lowlevel.checkpoint()
            if most == 0:
                continue
            used += 1
            more = lease.use(1)
            for each in scopes:
                lawful(each)
            if not more:
                break
        if most == 0:  # a scorer reads
            ledger.settle(lease, Usage(scorer=prompt))
        else:
            ledger.settle(lease, Usage(prompt=prompt, completion=used, calls=1))
        for each in scopes:
            lawful(each)

    async def main():
        with anyio.fail_after(300):
            async with anyio.create_task_group() as group:
                for i, asked in enumerate(program):
                    group.start_soon(call, i, *asked)

    anyio.run(main)
    for ledger in scopes:
        assert (ledger._live, ledger._calls, ledger._reserved, ledger._reserved_prompt, ledger._promised) == (
            0,
        ) * 5
    assert not root._root.waiting


@pytest.mark.anyio
async def test_a_settled_lease_takes_nothing_more():
    """An engine's thread may call it once more after the task was cancelled."""
    ledger = Ledger(Budget(tokens=1000))
    lease = await ledger.reserve((0,), kind="k", most=500)
    ledger.settle(lease, Usage(completion=3, calls=1))
    assert not lease.use(200)
    assert (ledger._reserved, ledger._promised, ledger.left.tokens) == (0, 0, 997)


@pytest.mark.anyio
async def test_many_tokens_at_once_are_set_aside_at_once():
    ledger = Ledger(Budget(tokens=1000))
    lease = await ledger.reserve((0,), kind="k", most=500)
    assert lease.use(200)
    assert lease.granted > 200
    lawful(ledger)


@pytest.mark.anyio
async def test_what_a_scorer_reads_counts_among_all_tokens_and_nowhere_else():
    ledger = Ledger(Budget(tokens=10, calls=1, total_tokens=100))
    read = await ledger.reserve((0,), kind="scorer", most=0, prompt=70)
    assert (ledger.left.tokens, ledger.left.calls, ledger.left.total_tokens) == (10, 1, 30)
    call = await ledger.reserve((2,), kind="k", most=10, prompt=20)
    assert call.granted == 10
    ledger.settle(read, Usage(scorer=50))
    assert ledger.left.total_tokens == 20
    ledger.settle(call, Usage(prompt=20, completion=10, calls=1))
    last = await ledger.reserve(
        (3,), kind="scorer", most=0, prompt=20
    )  # calls and completion tokens are spent
    ledger.settle(last, Usage(scorer=20))
    assert ledger.left.total_tokens == 0
    with pytest.raises(OutOfBudget, match="100 tokens in all"):
        await ledger.reserve((4,), kind="scorer", most=0, prompt=1)


@pytest.mark.anyio
async def test_a_scorer_waits_for_what_a_call_in_flight_may_give_back():
    ledger = Ledger(Budget(total_tokens=100))
    call = await ledger.reserve((0,), kind="k", most=64, prompt=10)
    granted = []

    async def read():
        granted.append(await ledger.reserve((1,), kind="scorer", most=0, prompt=50))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        assert not granted
        ledger.settle(call, Usage(prompt=10, completion=40, calls=1))
    assert granted[0].prompt == 50
