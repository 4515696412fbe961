"""What each layer adds, in virtual time."""

import contextlib
import itertools
import random
import threading

import anyio
import anyio.lowlevel
import pytest
import trio
from trio.testing import MockClock

from ponder.core.calls import Sampling
from ponder.core.errors import EngineClosed, EngineError, TransientError, UsageError
from ponder.core.prefix import Prefix, Prompt, Segment
from ponder.core.problem import Message
from ponder.core.protocols import Delta
from ponder.engines.layers import (
    Adaptive,
    Balanced,
    Breaking,
    Cached,
    Coalesced,
    Faulty,
    Layer,
    Limited,
    Recorded,
    Replayed,
    Retries,
    Retrying,
)
from ponder.engines.scripted import Scripted

ASK = Prefix(Prompt(raw="Well?"))
SCRIPT = {"yes it is so": 0.5, "no it is not": 0.3, "perhaps": 0.2}
SEEDED = Sampling(seed=1)


def run(main):
    """On trio, in virtual time: a sleep costs nothing and the clock tells exactly when things happened."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


class Failing(Layer):
    """Fails with these errors, one after the other, before or after so many tokens; then works."""

    def __init__(self, engine, *errors, after=0):
        super().__init__(engine)
        self.errors, self.after, self.times = list(errors), after, []

    async def extend(self, prefix, sampling, watch=None):
        self.times.append(anyio.current_time())
        if not self.errors:
            return await self.engine.extend(prefix, sampling, watch)
        if self.after:
            left = [self.after]

            def counting(delta):
                left[0] -= 1
                watch(delta)
                return left[0] > 0

            await self.engine.extend(prefix, sampling, counting)
        raise self.errors.pop(0)

    async def aside(self, name, call, *asked):
        if self.errors:
            raise self.errors.pop(0)
        return await call(*asked)


class Highest(random.Random):
    """Full jitter at its fullest."""

    def uniform(self, a, b):
        return b


def gaps(times):
    return [round(b - a, 6) for a, b in itertools.pairwise(times)]


# -- Retrying ------------------------------------------------------------------------------------------------


def test_retrying_waits_longer_each_time_up_to_the_cap():
    failing = Failing(Scripted(SCRIPT), *[TransientError("busy")] * 4)
    segment = run(lambda: Retrying(failing, 5, base=0.5, cap=2.0, rng=Highest()).extend(ASK, SEEDED))
    assert gaps(failing.times) == [0.5, 1.0, 2.0, 2.0]
    assert segment.text in SCRIPT


def test_retrying_jitters_from_nothing_to_all():
    failing = Failing(Scripted(SCRIPT), *[TransientError("busy")] * 3)
    run(lambda: Retrying(failing, rng=random.Random(5)).extend(ASK, SEEDED))
    rng = random.Random(5)
    assert gaps(failing.times) == [round(rng.uniform(0, most), 6) for most in (0.5, 1.0, 2.0)]


def test_retrying_comes_no_sooner_than_it_was_told():
    failing = Failing(Scripted(SCRIPT), TransientError("busy", retry_after=30.0))
    run(lambda: Retrying(failing, rng=Highest()).extend(ASK, SEEDED))
    assert gaps(failing.times) == [30.5]


def test_retrying_gives_up_and_tries_nothing_else_again():
    failing = Failing(Scripted(SCRIPT), *[TransientError(str(i)) for i in range(9)])
    with pytest.raises(TransientError, match="2"):
        run(lambda: Retrying(failing, 3).extend(ASK, SEEDED))
    assert len(failing.times) == 3
    failing = Failing(Scripted(SCRIPT), EngineError("broken"))
    with pytest.raises(EngineError, match="broken"):
        run(lambda: Retrying(failing).extend(ASK, SEEDED))
    assert len(failing.times) == 1
    with pytest.raises(UsageError, match="at least 1"):
        Retrying(failing, 0)


@pytest.mark.parametrize("replay", [False, True])
def test_retrying_says_nothing_twice_unless_told_to(replay):
    seen = []
    failing = Failing(Scripted(SCRIPT), TransientError("cut"), after=2)
    call = Retrying(failing, replay=replay).extend
    if replay:
        segment = run(lambda: call(ASK, SEEDED, seen.append))
        assert "".join(d.text for d in seen[2:]) == segment.text
    else:
        with pytest.raises(TransientError, match="cut"):
            run(lambda: call(ASK, SEEDED, seen.append))
    assert len(failing.times) == 1 + replay
    assert seen[:2] == seen[2:4] or not replay


class Costly(Layer):
    """Fails so often, each time after so many tokens, which it told, or which its errors tell."""

    def __init__(self, engine, times, cost, told):
        super().__init__(engine)
        self.times, self.cost, self.told, self.asked = times, cost, told, []

    async def extend(self, prefix, sampling, watch=None):
        self.asked.append(sampling.max_tokens)
        if len(self.asked) > self.times:
            return await self.engine.extend(prefix, sampling, watch)
        if self.told:
            watch(Delta("x", self.cost))
            raise TransientError("cut")
        raise TransientError("cut", spent=self.cost)


@pytest.mark.parametrize("told", [True, False])
def test_what_failed_tries_wrote_is_paid_for_and_leaves_less_to_the_next(told):
    def tried(times, *, replay, most=40):
        engine = Costly(Scripted({"a b c d e f g h i j": 1}), times, 15, told)
        call = Retrying(engine, replay=replay).extend
        try:
            segment = run(
                lambda: call(ASK, Sampling(seed=1, max_tokens=most), (lambda _: None) if told else None)
            )
        except TransientError as error:
            return engine.asked, error.spent
        return engine.asked, segment.usage.completion

    whole = tried(0, replay=True)[1]
    assert tried(1, replay=False) == ([40], 15)
    assert tried(2, replay=True) == ([40, 25, 10], 40)
    assert tried(1, replay=True) == ([40, 25], 15 + whole)
    assert tried(3, replay=True, most=30) == ([30, 15], 30)


def test_retries_are_shared():
    retries = Retries(floor=2, ratio=0.5)
    failing = Failing(Scripted(SCRIPT), *[TransientError("down")] * 99)
    layers = [Retrying(failing, 50, retries=retries) for _ in range(2)]
    for layer in layers * 2:
        with pytest.raises(TransientError):
            run(lambda layer=layer: layer.extend(ASK, SEEDED))
    assert retries.calls == 4
    assert retries.used == 4
    assert len(failing.times) == 8


def test_retrying_tries_scores_again_too():
    failing = Failing(Scripted(SCRIPT), TransientError("busy"))
    assert run(lambda: Retrying(failing).logprobs(ASK, "yes")) == run(
        lambda: Scripted(SCRIPT).logprobs(ASK, "yes")
    )


# -- Limited -------------------------------------------------------------------------------------------------


def test_limited_lets_so_many_in_and_forgets_who_is_cancelled():
    engine = Scripted({"one two": 1}, latency=1.0)
    layer = Limited(engine, 2)
    ended = {}

    async def call(i, scope):
        with scope:
            await layer.extend(ASK, SEEDED)
            ended[i] = anyio.current_time()

    async def main():
        start = anyio.current_time()
        scopes = [anyio.CancelScope() for _ in range(8)]
        async with anyio.create_task_group() as group:
            for i, scope in enumerate(scopes):
                group.start_soon(call, i, scope)
                await anyio.wait_all_tasks_blocked()
            for i in (1, 3):  # one within, one waiting
                scopes[i].cancel()
        return {i: time - start for i, time in ended.items()}

    # 2 takes the place of 1 at once; then the others, two at a time, in the order in which they came.
    assert run(main) == {0: 1, 2: 1, 4: 2, 5: 2, 6: 3, 7: 3}
    assert engine.most_in_flight == 2
    with pytest.raises(UsageError, match="at least 1"):
        Limited(engine, 0)


class InThreads(Scripted):
    """Counts calls from several event loops, which begin together."""

    def __init__(self, loops):
        super().__init__(SCRIPT)
        self.barrier, self.lock, self.within, self.most = threading.Barrier(loops), threading.Lock(), 0, 0

    async def extend(self, prefix, sampling, watch=None):
        with self.lock:
            self.within += 1
            self.most = max(self.most, self.within)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        with self.lock:
            self.within -= 1
        return await super().extend(prefix, sampling, watch)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    "layer", [lambda e: Limited(e, 2), lambda e: Cached(e, {})], ids=["limited", "cached"]
)
def test_layers_are_shared_by_event_loops_in_threads(layer, backend):
    engine = InThreads(4)
    shared, texts = layer(engine), []

    async def main():
        async def call(i):
            texts.append((await shared.extend(ASK, Sampling(seed=i % 5))).text)

        engine.barrier.wait()
        async with anyio.create_task_group() as group:
            for i in range(50):
                group.start_soon(call, i)

    threads = [threading.Thread(target=lambda: anyio.run(main, backend=backend)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 200
    assert engine.calls == (200 if isinstance(shared, Limited) else 5)
    assert engine.most <= (2 if isinstance(shared, Limited) else 5)


# -- Coalesced -----------------------------------------------------------------------------------------------


def together(engine, calls, cancel=()):
    """What these calls, made in one tick, came to; those to cancel are cancelled half a second later."""

    async def main():
        outcomes = {}

        async def one(i, call, scope):
            with scope:
                try:
                    outcomes[i] = await call(layer)
                except EngineError as error:
                    outcomes[i] = error
            if scope.cancelled_caught:
                outcomes[i] = round(anyio.current_time() - start, 6)

        async with anyio.create_task_group() as tasks:
            layer, start = Coalesced(engine, tasks), anyio.current_time()
            scopes = [anyio.CancelScope() for _ in calls]
            async with anyio.create_task_group() as group:
                for i, (call, scope) in enumerate(zip(calls, scopes, strict=True)):
                    group.start_soon(one, i, call, scope)
                await anyio.sleep(0.5)
                for i in cancel:
                    scopes[i].cancel()
            assert anyio.current_time() - start < 1.5
        return [outcomes[i] for i in range(len(calls))]

    return run(main)


def plain(layer):
    return layer.extend(ASK, Sampling(temperature=1.0))


def test_coalesced_makes_one_call_of_many_and_every_sample_is_its_own():
    engine = Scripted(SCRIPT, latency=1.0)
    segments = together(engine, [plain] * 12)
    assert engine.calls == 1
    assert len({id(s) for s in segments}) == 12
    assert len({s.text for s in segments}) > 1


def test_coalesced_joins_only_what_is_alike_and_has_neither_seed_nor_watch():
    engine = Scripted(SCRIPT, latency=1.0)
    calls = [
        plain,
        plain,
        lambda layer: layer.extend(ASK, Sampling(temperature=0.9)),
        lambda layer: layer.extend(ASK + "y", Sampling(temperature=1.0)),
        lambda layer: layer.extend(ASK, Sampling(seed=1)),
        lambda layer: layer.extend(ASK, Sampling(seed=1)),
        lambda layer: layer.extend(ASK, Sampling(temperature=1.0), lambda _: None),
    ]
    together(engine, calls)
    assert engine.calls == 6


def test_coalesced_lets_one_go_and_serves_the_others():
    for gone in ([0], [2], [0, 1, 2]):
        engine = Scripted(SCRIPT, latency=1.0)
        outcomes = together(engine, [plain] * 4, cancel=gone)
        assert engine.calls == 1
        assert [i for i, outcome in enumerate(outcomes) if outcome == 0.5] == gone
        assert all(isinstance(outcomes[i], Segment) for i in range(4) if i not in gone)


def test_coalesced_cancels_the_call_when_the_last_has_left():
    engine = Scripted(SCRIPT, latency=1.0)
    assert together(engine, [plain] * 3, cancel=[0, 1, 2]) == [0.5] * 3
    assert engine.in_flight == 0
    assert engine.completion_tokens == 0


def test_coalesced_fails_for_all():
    failing = Failing(Scripted(SCRIPT), TransientError("busy"))
    assert {str(error) for error in together(failing, [plain] * 3)} == {"busy"}


def test_coalesced_says_when_its_home_is_gone():
    async def main():
        async with anyio.create_task_group() as group, anyio.create_task_group() as tasks:
            layer = Coalesced(Scripted(SCRIPT, latency=1.0), tasks)

            async def call():
                with pytest.raises(EngineClosed):
                    await plain(layer)

            group.start_soon(call)
            await anyio.sleep(0.5)
            tasks.cancel_scope.cancel()

    run(main)


# -- Cached --------------------------------------------------------------------------------------------------


def test_cached_gives_again_and_charges_again():
    engine, store = Scripted(SCRIPT, latency=1.0), {}
    layer = Cached(engine, store)
    seen = []

    async def main():
        first = await layer.extend(ASK, SEEDED)
        again = await layer.extend(ASK, SEEDED, seen.append)
        cut = await layer.extend(ASK, SEEDED, lambda _: False)
        other = await layer.extend(ASK, Sampling(seed=2))
        return first, again, cut, other

    first, again, cut, _ = run(main)
    assert engine.calls == len(store) == 2
    assert (again.text, again.token_ids) == (first.text, first.token_ids)
    assert "".join(d.text for d in seen) == first.text
    assert sum(d.tokens for d in seen) == again.usage.completion == first.usage.completion
    assert (first.usage.cached, first.usage.seconds) == (0, 1.0)
    assert (again.usage.cached, again.usage.prompt, again.usage.seconds) == (2, 2, 0.0)
    assert (cut.finish, cut.usage.completion, cut.text) == ("cancelled", 1, first.text.split(" ")[0])


def test_cached_takes_the_same_path_drawn_elsewhere_for_the_same():
    engine = Scripted(SCRIPT)
    layer = Cached(engine, {})
    messages = (Message("user", ({"type": "text", "text": "Which?"},), {"name": "a"}),)

    async def main():
        for place in ("0.1", "7.3"):
            first = Segment("yes", engine.encode("yes"), (3,), place=place)
            await layer.extend(Prefix(Prompt(messages), (first,)), SEEDED)
            await layer.extend(Prefix(Prompt(messages)), SEEDED)
        await layer.extend(Prefix(Prompt((Message("user", messages[0].content, {"name": "b"}),))), SEEDED)

    run(main)
    assert engine.calls == 3


def test_cached_keeps_neither_chance_nor_what_was_cut_short_nor_failures():
    engine, store = Scripted(SCRIPT), {}
    failing = Failing(engine, EngineError("broken"))
    layer = Cached(failing, store)

    async def main():
        with pytest.raises(EngineError, match="broken"):
            await layer.extend(ASK, SEEDED)
        await layer.extend(ASK, Sampling())
        await layer.extend(ASK, SEEDED, lambda _: False)
        assert not store
        await layer.extend(ASK, Sampling(temperature=0.0))
        assert len(store) == 1

    run(main)


@pytest.mark.parametrize("gone", [[], [0], [0, 1], [3]])
def test_cached_makes_one_call_of_those_at_the_same_time(gone):
    engine = Scripted(SCRIPT, latency=1.0)
    layer, texts = Cached(engine, {}), []

    async def call(scope):
        with scope:
            texts.append((await layer.extend(ASK, SEEDED)).text)

    async def main():
        scopes = [anyio.CancelScope() for _ in range(4)]
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(call, scope)
                await anyio.wait_all_tasks_blocked()
            await anyio.sleep(0.5)
            for i in gone:
                scopes[i].cancel()

    run(main)
    assert len(texts) == 4 - len(gone)
    assert len(set(texts)) == 1
    assert engine.calls == 1 + (0 in gone)  # who asked and left is followed by the next


# -- Recorded and Replayed -----------------------------------------------------------------------------------


def test_a_replay_is_exact():
    records = []
    failing = Failing(Scripted(SCRIPT, delay=1.0), TransientError("busy"))

    async def use(engine):
        told = []
        try:
            await engine.extend(ASK, Sampling())
        except TransientError as error:
            told.append(str(error))
        told += [await engine.extend(ASK, Sampling(temperature=1.0)) for _ in range(5)]
        told.append(await engine.extend(ASK, SEEDED, lambda _: False))
        told.append(await engine.logprobs(ASK, "yes"))
        with anyio.move_on_after(1.5):
            told.append(await engine.extend(ASK, SEEDED))
        told += [engine.count(ASK), engine.encode("no")]
        return told

    recorded = run(lambda: use(Recorded(failing, records.append)))
    replayed = Replayed(records)
    assert run(lambda: use(replayed)) == recorded
    assert len(recorded) == 10
    assert replayed.capabilities == failing.capabilities
    with pytest.raises(EngineError, match="no record of this call of extend"):
        run(lambda: replayed.extend(ASK, Sampling(seed=9)))
    with pytest.raises(EngineError, match="no record of this call of count"):
        replayed.count(ASK + "more")
    with pytest.raises(UsageError, match="first record"):
        Replayed(records[1:])


# -- Faulty --------------------------------------------------------------------------------------------------


def outcomes(n=200, order=1, **faults):
    engine = Scripted(SCRIPT)
    layer, found, seen = Faulty(engine, 3, **faults), {}, {}

    async def main():
        for i in range(n)[::order]:
            seen[i] = []
            try:
                found[i] = (await layer.extend(ASK, Sampling(seed=i), seen[i].append)).text
            except EngineError as error:
                found[i] = error
        return anyio.current_time()

    started = run(main)
    return layer, found, seen, started


def test_faults_come_as_often_as_asked_and_do_not_depend_on_the_order():
    layer, found, seen, _ = outcomes(errors=0.3)
    broken = [i for i, outcome in found.items() if isinstance(outcome, EngineError)]
    assert 40 < len(broken) < 80
    assert layer.faults == len(broken)
    assert all(isinstance(found[i], TransientError) and not seen[i] for i in broken)
    _, again, _, _ = outcomes(errors=0.3, order=-1)
    assert {i: str(outcome) for i, outcome in again.items()} == {
        i: str(outcome) for i, outcome in found.items()
    }


def test_cuts_come_between_and_after_tokens():
    _, found, seen, _ = outcomes(cuts=1.0, retry_after=2.0)
    assert all(
        isinstance(outcome, TransientError) and outcome.retry_after == 2.0 for outcome in found.values()
    )
    assert {len(deltas) for deltas in seen.values()} == {1, 2, 3, 4, 5}


def test_fatal_faults_are_no_use_trying_again():
    _, found, _, _ = outcomes(errors=1.0, fatal=0.5)
    kinds = [type(outcome) for outcome in found.values()]
    assert set(kinds) == {EngineError, TransientError}
    assert 70 < kinds.count(EngineError) < 130


def test_faults_spare_nobody_and_a_second_try_has_its_own_luck():
    async def main():
        layer = Faulty(Scripted(SCRIPT), 3, errors=0.5)
        retrying = Retrying(layer, 40, base=0.0)
        return [(await retrying.extend(ASK, Sampling(seed=i))).text for i in range(50)], layer.faults

    texts, faults = run(main)
    assert faults > 20
    assert texts == [found for _, found in sorted(outcomes(50)[1].items())]


def test_delays_are_spread_evenly():
    async def main():
        layer, start = Faulty(Scripted(SCRIPT), delays=2.0), anyio.current_time()
        for i in range(100):
            await layer.extend(ASK, Sampling(seed=i))
        return anyio.current_time() - start

    assert 80 < run(main) < 120


# -- Breaking ------------------------------------------------------------------------------------------------


class Dying(Layer):
    """Dead between two times."""

    def __init__(self, engine, start, end):
        super().__init__(engine)
        self.start, self.end, self.asked = start, end, []

    async def extend(self, prefix, sampling, watch=None):
        now = anyio.current_time()
        self.asked.append(now)
        await anyio.sleep(0.01)
        if self.start <= now < self.end:
            raise TransientError("refused")
        return await self.engine.extend(prefix, sampling, watch)


def test_a_dead_server_is_asked_once_a_second_and_found_again_within_two():
    """R9: opens within 2 s, at most one call a second while it is open, closes within 2 s."""

    async def main():
        begun = anyio.current_time()
        dying = Dying(Scripted(SCRIPT), begun + 10, begun + 40)
        breaking = Breaking(dying)
        times = {"opened": None, "closed": None}

        async def caller():
            while anyio.current_time() < begun + 60:
                with contextlib.suppress(TransientError):
                    await breaking.extend(ASK, SEEDED)
                if breaking.open and times["opened"] is None:
                    times["opened"] = anyio.current_time() - begun
                if times["opened"] and not breaking.open and times["closed"] is None:
                    times["closed"] = anyio.current_time() - begun
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(caller)
        while_open = [t - begun for t in dying.asked if times["opened"] < t - begun < times["closed"]]
        return times, while_open

    times, while_open = run(main)
    assert 10 < times["opened"] <= 12
    assert 40 < times["closed"] <= 42
    assert all(b - a >= 1 for a, b in itertools.pairwise(while_open))
    assert len(while_open) >= 20


def test_of_many_at_once_five_failures_in_a_row_are_no_sign_of_death():
    class Unlucky(Layer):
        """Of all that are asked, the first twenty fail, one after the other."""

        asked = 0

        async def extend(self, prefix, sampling, watch=None):
            self.asked += 1
            turn = self.asked
            await anyio.sleep(turn / 100)
            if turn <= 20:
                raise TransientError("refused")
            return await self.engine.extend(prefix, sampling, watch)

    async def main(many):
        breaking = Breaking(Unlucky(Scripted(SCRIPT)))
        states = []

        async def one():
            with contextlib.suppress(TransientError):
                await breaking.extend(ASK, SEEDED)
            states.append(breaking.open)

        async with anyio.create_task_group() as group:
            for _ in range(many):
                group.start_soon(one)
        return states

    assert not any(run(lambda: main(60))), "forty come back"
    assert run(lambda: main(20))[-1], "none does"


def test_a_server_that_names_a_time_or_refuses_is_alive():
    errors = [TransientError("busy", retry_after=1.0)] * 9 + [EngineError("no such model")] * 9
    breaking = Breaking(Failing(Scripted(SCRIPT), *errors), failures=2)

    async def main():
        for _ in errors:
            with pytest.raises(EngineError):
                await breaking.extend(ASK, SEEDED)
            assert not breaking.open

    run(main)


def test_a_call_that_tries_a_dead_server_and_is_cancelled_gives_its_place_back():
    async def main():
        engine = Failing(Scripted(SCRIPT, latency=100.0), TransientError("refused"))
        breaking = Breaking(engine, failures=1)
        with pytest.raises(TransientError):
            await breaking.extend(ASK, SEEDED)
        with pytest.raises(TransientError, match="left alone"):
            await breaking.extend(ASK, SEEDED)
        await anyio.sleep(1)
        with anyio.move_on_after(1):
            await breaking.extend(ASK, SEEDED)
        await anyio.sleep(1)
        return await breaking.extend(ASK, SEEDED), breaking.open

    segment, still = run(main)
    assert segment.text in SCRIPT
    assert not still


# -- Adaptive ------------------------------------------------------------------------------------------------


class Narrow(Layer):
    """Complains beyond so many at a time."""

    def __init__(self, engine, room):
        super().__init__(engine)
        self.room, self.now, self.most, self.complaints = room, 0, 0, 0

    async def extend(self, prefix, sampling, watch=None):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await anyio.sleep(0.1)
            if self.now > self.room:
                self.complaints += 1
                raise TransientError("overloaded")
            return await self.engine.extend(prefix, sampling, watch)
        finally:
            self.now -= 1


def test_the_limit_finds_what_the_server_can_take():
    async def main():
        narrow = Narrow(Scripted(SCRIPT), 24)
        adaptive, limits, failed = Adaptive(narrow, start=4, most=100), [], []

        async def call():
            try:
                await adaptive.extend(ASK, SEEDED)
            except TransientError as error:
                failed.append(error)
            limits.append(adaptive.limit)

        async with anyio.create_task_group() as group:
            for _ in range(4000):
                group.start_soon(call)
        return narrow, limits, failed, adaptive

    narrow, limits, failed, adaptive = run(main)
    late = limits[1000:]
    assert 15 <= sum(late) / len(late) <= 25
    assert narrow.most <= 2 * 24, "the start may double once too often"
    assert len(failed) < 0.05 * len(limits)
    assert adaptive.in_flight == 0


def test_who_waits_and_leaves_takes_no_place_with_him():
    async def main():
        engine = Scripted(SCRIPT, latency=1.0)
        adaptive = Adaptive(engine, start=1, most=1)
        order = []

        async def call(name, patience):
            with anyio.move_on_after(patience):
                await adaptive.extend(ASK, SEEDED)
                order.append(name)

        async with anyio.create_task_group() as group:
            for name, patience in (
                ("first", 9),
                ("leaves", 0.5),
                ("second", 9),
                ("at the turn", 2.0),
                ("third", 9),
            ):
                group.start_soon(call, name, patience)
                await anyio.sleep(0.01)  # tasks of one tick begin in any order
        return order, adaptive.in_flight, engine.most_in_flight

    order, in_flight, most = run(main)
    assert [name for name in order if name != "at the turn"] == ["first", "second", "third"]
    assert (in_flight, most) == (0, 1)
    with pytest.raises(UsageError):
        Adaptive(Scripted(SCRIPT), start=0)


# -- Balanced ------------------------------------------------------------------------------------------------


def test_the_least_loaded_is_asked_and_equals_take_turns():
    async def main():
        fast, slow = Scripted(SCRIPT, latency=0.1), Scripted(SCRIPT, latency=1.0)
        balanced = Balanced([fast, slow])

        async def caller():
            for _ in range(20):
                await balanced.extend(ASK, SEEDED)

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(caller)
        return fast, slow

    fast, slow = run(main)
    assert fast.calls + slow.calls == 80
    assert fast.calls > 3 * slow.calls
    assert slow.calls > 1


def test_the_dead_come_last_and_the_next_try_goes_elsewhere():
    async def main():
        dead = Dying(Scripted(SCRIPT), 0, 1e9)
        alive = Scripted(SCRIPT)
        engine = Retrying(Balanced([Breaking(dead, failures=2), Breaking(alive)]), base=0.01)
        for _ in range(50):
            await engine.extend(ASK, SEEDED)
        return len(dead.asked), alive.calls

    asked, calls = run(main)
    assert asked <= 2
    assert calls == 50


def test_several_servers_can_do_what_all_of_them_can():
    one, two = Scripted(SCRIPT, context=100), Scripted(SCRIPT, without={"logprobs"}, context=50)
    can = Balanced([one, two]).capabilities
    assert "logprobs" not in can.can
    assert "token_ids" not in can.can, "their tokens are others"
    assert (can.context, can.tokenizer) == (50, None)
    assert Balanced([one]).capabilities == one.capabilities
    with pytest.raises(UsageError, match="at least one"):
        Balanced([])
