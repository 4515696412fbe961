"""The verbs, one by one."""

import threading
from dataclasses import dataclass
from typing import ClassVar

import anyio
import pytest
import trio
from support import QUESTION, Flaky, attempt, nodes, virtual

from ponder import (
    AllFailed,
    BadScore,
    Choice,
    EngineError,
    OutOfBudget,
    Prefix,
    Score,
    TransientError,
    UnknownName,
    Unsupported,
    UsageError,
)
from ponder.engines.scripted import Scripted
from ponder.strategies import parse
from ponder.thinking.prompts import ask
from ponder.thinking.votes import majority


class Plan:
    """A strategy made of one function."""

    name: ClassVar[str] = "plan"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset] = frozenset()

    def __init__(self, solve):
        self._solve = solve

    async def solve(self, problem, run):
        return await self._solve(problem, run)


def run(plan, engine=None, budget=None, **more):
    return virtual(_attempt, Plan(plan), engine or Scripted.solver(0.6), budget, more)


async def _attempt(plan, engine, budget, more):
    return await attempt(plan, engine, budget, **more)


def test_places_are_positions_in_the_program():
    async def plan(problem, run):
        prompt = ask(problem)

        async def branch(i):
            path = await run.extend(prompt)
            return (await run.sample(path, 2))[0]

        await run.extend(prompt)
        return (await run.each(branch, range(2)))[0]

    _, events = run(plan)
    places = {e.place: e.parent for e in events if e.kind == "extended"}
    assert places == {
        "0": "",
        "1.0.0": "",
        "1.1.0": "",
        "1.0.1.0": "1.0.0",
        "1.0.1.1": "1.0.0",
        "1.1.1.0": "1.1.0",
        "1.1.1.1": "1.1.0",
    }


def test_each_keeps_the_order_of_its_items():
    async def plan(problem, run):
        async def slow_first(i):
            await trio.sleep(10 - i)
            return i

        assert await run.each(slow_first, range(10)) == list(range(10))
        return ask(problem)

    run(plan)


def test_each_raises_the_first_error_and_cancels_the_rest():
    ended = []

    async def plan(problem, run):
        async def branch(i):
            if i == 1:
                raise EngineError("broken")
            try:
                await trio.sleep(1000)
            finally:
                ended.append(i)

        await run.each(branch, range(3))

    with pytest.raises(EngineError, match="broken"):
        run(plan)
    assert sorted(ended) == [0, 2]


def test_each_lets_the_others_finish_when_one_is_out_of_budget():
    finished = []

    async def plan(problem, run):
        async def branch(i):
            if i == 0:
                raise OutOfBudget("no more")
            await trio.sleep(1)
            finished.append(i)
            run.propose(ask(problem))

        await run.each(branch, range(3))

    result, _ = run(plan)
    assert sorted(finished) == [1, 2]
    assert result.choice is not None


def test_sample_comes_back_in_order_of_index():
    async def plan(problem, run):
        paths = await run.sample(ask(problem), 8)
        assert [p.place for p in paths] == [f"0.{i}" for i in range(8)]
        return paths[0]

    run(plan, Scripted.solver(0.5, delay=lambda prefix, rng: rng.random()))


def test_sample_of_several_prefixes_keeps_them_apart():
    async def plan(problem, run):
        starts = [ask(problem) + f"Way {i}. " for i in range(3)]
        paths = await run.sample(starts, 2)
        assert [p.text.split(".")[0] for p in paths] == [f"Way {i}" for i in range(3) for _ in range(2)]
        return paths[0]

    run(plan)


def test_until_is_asked_in_order_of_index_and_the_rest_are_cancelled():
    """The first sample is the slowest: in order of time it would be counted last."""
    asked = []

    def until(seen):
        asked.append([c.path.place for c in seen])
        return len(seen) == 3

    async def plan(problem, run):
        starts = [ask(problem) + f"{seconds} " for seconds in (5, 1, 2, 100, 100, 100)]
        paths = await run.sample(starts, until=until)
        assert [p.place for p in paths] == ["0.0", "0.1", "0.2"]
        return majority(await run.read(paths))

    engine = Scripted.solver(0.5, latency=lambda prefix, rng: float(prefix.text))
    result, events = run(plan, engine)
    assert asked == [["0.0"], ["0.0", "0.1"], ["0.0", "0.1", "0.2"]]
    assert sum(e.kind == "failed" for e in events) == 3
    assert result.usage.completion == engine.completion_tokens
    assert result.stop == "finished"
    assert result.failed == 0


def test_failed_samples_are_left_out_and_told():
    async def plan(problem, run):
        return majority(await run.read(await run.sample(ask(problem), 40)))

    engine = Flaky(Scripted.solver(1.0), 0.5)
    result, events = run(plan, engine)
    assert result.stop == "degraded"
    assert result.failed == engine.failures == sum(e.kind == "failed" for e in events) > 0
    assert len(result.choice.candidates) == 40 - result.failed


def test_all_failed_is_an_error_that_holds_the_errors():
    async def plan(problem, run):
        await run.sample(ask(problem), 3)

    with pytest.raises(AllFailed) as caught:
        run(plan, Flaky(Scripted.solver(1.0), 1.0))
    assert len(caught.value.errors) == 3


def test_a_mistake_in_a_call_is_no_failed_sample():
    async def plan(problem, run):
        await run.sample(ask(problem), 3, max_token=5)

    with pytest.raises(UnknownName, match="max_tokens"):
        run(plan)

    async def none(problem, run):
        await run.sample(ask(problem), 0)

    with pytest.raises(UsageError):
        run(none)


def test_sample_returns_as_many_as_the_budget_pays_for():
    async def plan(problem, run):
        paths = await run.sample(ask(problem), 10)
        assert 2 <= len(paths) < 10
        with pytest.raises(OutOfBudget):
            await run.sample(ask(problem), 1)
        return paths[0]

    result, _ = run(plan, budget="30")
    assert result.usage.completion == 30


def test_the_last_proposal_is_the_answer_when_the_budget_ends():
    async def plan(problem, run):
        while True:
            run.propose(await run.extend(ask(problem)))

    result, _ = run(plan, Scripted.solver(1.0), "30")
    assert (result.answer, result.stop) == ("42", "budget")


def test_the_deadline_cuts_calls_and_the_strategy_decides_with_what_it_has():
    engine = Scripted.solver(1.0, latency=lambda prefix, rng: 1.0 if engine.calls <= 3 else 100.0)

    async def plan(problem, run):
        return majority(await run.read(await run.sample(ask(problem), 8)))

    async def timed():
        result, _ = await attempt(Plan(plan), engine, "5s")
        return result, trio.current_time()

    started = virtual(_now)
    result, ended = virtual(timed)
    assert (result.answer, result.stop, len(result.choice.candidates)) == ("42", "deadline", 3)
    assert 5 <= ended - started < 5.2


async def _now():
    return trio.current_time()


def test_a_strategy_that_never_decides_is_cut_off():
    async def plan(problem, run):
        run.propose(await run.extend(ask(problem)))
        await trio.sleep_forever()

    result, _ = run(plan, Scripted.solver(1.0), "5s")
    assert (result.answer, result.stop) == ("42", "deadline")


def test_ending_before_anything_is_no_error():
    async def plan(problem, run):
        await trio.sleep_forever()

    result, _ = run(plan, None, "1s")
    assert (result.answer, result.stop, result.choice) == (None, "deadline", None)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_is_ended_from_another_thread(backend):
    started = threading.Event()
    runs = []

    async def plan(problem, run):
        run.propose(Choice(ask(problem), "41"))
        started.set()
        await run.extend(ask(problem))

    async def main():
        engine = Scripted.solver(1.0, latency=3600.0)
        return await attempt(Plan(plan), engine, started=runs.append), engine

    def end():
        started.wait()
        runs[0].end("cancelled")

    thread = threading.Thread(target=end)
    thread.start()
    (result, _), engine = anyio.run(main, backend=backend)
    thread.join()
    assert (result.answer, result.stop, engine.in_flight) == ("41", "cancelled", 0)
    runs[0]._calls.ended = None
    runs[0].end("cancelled")  # the run is long over


def test_an_error_that_says_what_it_cost_is_paid_for():
    class Dear(Scripted):
        async def extend(self, prefix, sampling, watch=None):
            raise TransientError("It broke at the end.", spent=spent)

    async def plan(problem, run):
        with pytest.raises(EngineError):
            await run.extend(ask(problem), max_tokens=30)
        return Choice(ask(problem), "42")

    for spent in (0, 20, 1000):  # no engine writes more than it was granted
        result, _ = run(plan, Dear({"yes": 1}, without={"streams", "stoppable"}), "25")
        assert result.usage.completion == min(spent, 25)


def test_an_outer_cancellation_is_not_swallowed():
    async def plan(problem, run):
        await trio.sleep_forever()

    async def main():
        with trio.move_on_after(1) as scope:
            await attempt(Plan(plan), Scripted.solver(1.0))
        return scope.cancelled_caught

    assert virtual(main)


def test_delegate_spends_from_the_same_purse_and_takes_what_is_given():
    async def plan(problem, run):
        given = await run.sample(ask(problem, "cot"), 3)
        before = run.budget.spent.completion
        choice = await run.delegate(parse("self-consistency:n=5"), given=given)
        assert [c.path.place for c in choice.candidates][:3] == [p.place for p in given]
        assert len(choice.candidates) == 5
        assert run.budget.spent.completion - before == sum(c.path.tokens for c in choice.candidates[3:])
        return choice

    _, events = run(plan)
    assert sorted(e.place for e in events if e.kind == "extended")[3:] == ["1.0.3", "1.0.4"]


def test_given_paths_go_to_the_strategy_itself_and_never_to_whichever_branch_comes_first():
    class Apart(Plan):
        async def solve(self, problem, run):
            paths = await run.each(lambda _: run.sample(ask(problem, "cot")), range(3))
            return (await run.sample(ask(problem, "cot")) + [path for [path] in paths])[0]

    async def plan(problem, run):
        given = await run.sample(ask(problem, "cot"))
        choice = await run.delegate(Apart(None), given=given)
        assert choice.path == given[0]
        return choice

    _, events = run(plan)
    assert sorted(e.place for e in events if e.kind == "extended") == [
        "0.0",
        *(f"1.0.{i}.0.0" for i in range(3)),
    ]


def test_delegate_within_a_smaller_budget():
    from ponder import Budget

    async def plan(problem, run):
        choice = await run.delegate(parse("self-consistency:n=50"), Budget(tokens=50))
        assert run.budget.spent.completion <= 50
        path = await run.extend(ask(problem))  # the outer budget goes on
        assert not path.cut
        return choice

    result, _ = run(plan, budget="1k")
    assert len(result.choice.candidates) >= 4


def test_time_within_a_delegated_budget_ends_only_what_was_delegated():
    from ponder import Budget

    engine = Scripted.solver(1.0, latency=lambda prefix, rng: 1.0 if engine.calls != 2 else 1000.0)

    async def plan(problem, run):
        run.propose(await run.extend(ask(problem)))
        with pytest.raises(OutOfBudget):
            await run.delegate(parse("chain-of-thought"), Budget(seconds=5))
        return await run.extend(ask(problem))

    result, _ = run(plan, engine, "60s")
    assert (result.answer, result.stop) == ("42", "finished")


@dataclass(frozen=True)
class Judge:
    name: ClassVar[str] = "judge"
    needs: ClassVar[frozenset] = frozenset()
    values: tuple = ()

    async def score(self, problem, paths, run):
        await run.extend(ask(problem), role="judge")
        return [Score(v) for v in self.values]


def test_a_scorer_pays_from_the_same_budget_with_its_own_model():
    async def plan(problem, run):
        path = await run.extend(ask(problem))
        assert await run.score([path], by=Judge((0.5,))) == [0.5]
        return path

    engines = {"solver": Scripted.solver(1.0), "judge": Scripted({"Good.": 1.0})}
    result, events = virtual(attempt, Plan(plan), engines, None)
    assert result.roles["judge"].completion == engines["judge"].completion_tokens > 0
    assert result.usage == result.roles["judge"] + result.roles["solver"]
    assert next(e for e in events if e.kind == "scored").values == (0.5,)


class Reader:
    """A reward model that reads ten tokens of each path, for a second."""

    name, needs = "reader", frozenset()

    def __init__(self, said=None, error=None):
        self.said, self.error, self.read = said, error, 0

    async def score(self, problem, paths, run):
        async with run.charge(10 * len(paths)) as bill:
            self.read += 10 * len(paths)
            await trio.sleep(1)
            if self.error:
                raise self.error
            if self.said is not None:
                bill.tokens = self.said
            return [Score(0.5)] * len(paths)


def scored_by(reader, n=3, budget=None, **more):
    async def plan(problem, run):
        paths = await run.sample(ask(problem), n)
        run.propose(paths[0])
        await run.each(lambda path: run.score([path], by=reader), paths)
        return paths[-1]

    return run(plan, Scripted.solver(1.0), budget, **more)


def test_what_a_scorer_reads_is_a_number_of_its_own():
    result, _ = scored_by(Reader())
    assert (result.usage.scorer, result.roles["scorer"].scorer) == (30, 30)
    assert result.usage == result.roles["solver"] + result.roles["scorer"]
    assert result.usage.calls == 3, "to read is no call to an engine"
    assert scored_by(Reader(said=4))[0].usage.scorer == 12, "a server may say that it was less"
    assert scored_by(Reader(said=400))[0].usage.scorer == 30, "but never more than was set aside"


def test_no_scorer_reads_what_the_budget_of_all_tokens_has_no_room_for():
    whole = scored_by(Reader())[0].usage.total
    for total in range(whole - 31, whole + 1):
        reader = Reader()
        result, _ = scored_by(reader, budget=f"total={total}")
        assert result.usage.total <= total
        assert result.usage.scorer == reader.read
        assert (result.stop == "finished") == (total == whole)
        assert result.answer == "42"


def test_a_scorer_that_fails_or_is_cut_off_is_paid_for():
    result, _ = scored_by(Reader(error=EngineError("The server hung up.")), n=1)
    assert (result.usage.scorer, result.stop, result.answer) == (10, "degraded", "42")
    result, _ = scored_by(Reader(), budget="500ms")
    assert (result.usage.scorer, result.stop, result.answer) == (30, "deadline", "42")
    with pytest.raises(UsageError, match="-10 tokens"):
        run(lambda problem, run: run.charge(-10).__aenter__())


@pytest.mark.parametrize("values", [(), (1.0, 2.0), (float("nan"),)])
def test_a_scorer_that_pairs_wrongly_is_an_error(values):
    async def plan(problem, run):
        path = await run.extend(ask(problem))
        await run.score([path], by=Judge(values))

    with pytest.raises(EngineError, match="judge"):
        run(plan)


class Scaled:
    """A scorer of fixed values on a scale that it says."""

    name = "scaled"
    needs = frozenset()

    def __init__(self, scale, *values):
        self.scale, self.values = scale, values

    async def score(self, problem, paths, run):
        return [Score(value, (value, 2 * value)) for value in self.values]


def scaled(scorer, **more):
    async def plan(problem, run):
        prompt = ask(problem)
        found.extend(await run.score([prompt] * len(scorer.values), by=scorer, **more))
        return prompt

    found = []
    run(plan)
    return found


def test_values_are_brought_to_probabilities_where_that_is_asked_and_the_scale_is_said():
    assert scaled(Scaled("logit", 0.0, 2.0)) == [0.0, 2.0]
    assert scaled(Scaled("logit", 0.0, 2.0), unit=True) == pytest.approx([0.5, 0.8808], abs=1e-4)
    assert scaled(Scaled("logprob", -1.0), unit=True) == pytest.approx([0.3679], abs=1e-4)
    assert scaled(Scaled("logit", 1.0), unit=True, how="prod") == pytest.approx([0.7311 * 0.8808], abs=1e-4)
    assert scaled(Scaled(None, 3.0, -1.0), unit=True) == [3.0, -1.0]
    with pytest.raises(BadScore, match=r"gives a probability, and one came to 1\.2"):
        scaled(Scaled("probability", 0.5, 1.2), unit=True)


def test_a_cut_text_has_no_answer_unless_it_declared_one():
    async def plan(problem, run):
        return await run.extend(ask(problem), max_tokens=10)

    cut, _ = run(plan, Scripted({"First 3 * 14 = 42, and then something else": 1.0}))
    assert cut.answer is None
    declared, _ = run(plan, Scripted({"The answer is 42. That is six times seven of them": 1.0}))
    assert declared.choice.path.cut
    assert declared.answer == "42"


def test_rng_is_seeded_by_place():
    async def plan(problem, run):
        async def draw(i):
            await trio.sleep(10 - i)
            return run.rng.random()

        numbers.append((run.rng.random(), await run.each(draw, range(5))))
        return ask(problem)

    numbers: list = []
    run(plan)
    run(plan)
    run(plan, seed=1)
    assert numbers[0] == numbers[1] != numbers[2]
    assert len({*numbers[0][1], numbers[0][0]}) == 6


class Asked:
    """An engine that keeps what it was asked for."""

    def __init__(self, engine):
        self.engine, self.capabilities, self.samplings = engine, engine.capabilities, []

    async def extend(self, prefix, sampling, watch=None):
        self.samplings.append(sampling)
        return await self.engine.extend(prefix, sampling, watch)


def test_every_sample_of_a_group_has_a_seed_of_its_own():
    async def plan(problem, run):
        return (await run.sample(ask(problem), 5))[0]

    run(plan, engine := Asked(Scripted.solver(0.6)))
    assert len({sampling.seed for sampling in engine.samplings}) == 5


def test_an_engine_that_cannot_be_stopped_is_asked_for_no_more_than_was_set_aside():
    async def plan(problem, run):
        return await run.extend(ask(problem), max_tokens=400)

    run(plan, engine := Asked(Scripted.solver(0.6, without={"stoppable"})), "7")
    assert [sampling.max_tokens for sampling in engine.samplings] == [7]


def test_a_seed_of_the_user_is_kept():
    async def plan(problem, run):
        paths = await run.sample(ask(problem), 6, seed=7)
        assert len({p.text for p in paths}) == 1
        return paths[0]

    run(plan)


def test_unknown_scorer_and_role_are_named():
    async def scorer(problem, run):
        await run.score([ask(problem)], by="mean-logprop")

    with pytest.raises(UnknownName, match="mean-logprob"):
        run(scorer)

    async def role(problem, run):
        await run.extend(ask(problem), role="judge")

    with pytest.raises(UnknownName, match="judge"):
        virtual(attempt, Plan(role), {"writer": Scripted.solver(1.0)}, None)


def test_events_tell_the_whole_tree():
    async def plan(problem, run):
        path = await run.extend(ask(problem), stop=("think.",))
        path = await run.extend(path + " Wait")
        return Choice(path)

    _, events = run(plan, Scripted.solver(1.0))
    calls = [e for e in events if e.kind == "extended"]
    assert [(e.place, e.parent, e.written) for e in calls] == [("0", "", ""), ("1", "0", " Wait")]
    assert [e.kind for e in events][:3] == ["started", "extending", "extended"]
    assert nodes(events)[0][2] == "Let me think."


def test_a_bare_prefix_is_a_choice_of_one():
    async def plan(problem, run):
        return await run.extend(ask(problem))

    result, _ = run(plan, Scripted.solver(1.0))
    assert result.answer == "42"
    assert isinstance(result.choice.path, Prefix)
    assert result.text.endswith("42.")
    assert QUESTION.id.startswith("q-")


def test_until_stops_at_the_same_sample_on_asyncio_too():
    """On asyncio a task that ends in the tick of the yes runs on before it is cancelled."""

    async def plan(problem, run):
        paths = await run.sample(ask(problem), 12, until=lambda seen: len(seen) >= 4)
        return majority(await run.read(paths))

    async def main(delay):
        return await attempt(Plan(plan), Scripted.solver(0.5, latency=delay))

    ragged = anyio.run(main, lambda prefix, rng: rng.random() / 100)
    steady = anyio.run(main, 0.0)
    assert len(ragged[0].choice.candidates) == len(steady[0].choice.candidates) == 4
    assert ragged[0].choice.votes == steady[0].choice.votes


def test_what_was_read_is_the_answer_when_keys_come_too_late():
    class Slow:
        async def keys(self, given, kind="auto"):
            await trio.sleep(100)
            return list(given)

    async def main():
        from ponder import Budget
        from ponder.runtime.solve import solve

        engine = Scripted.solver(1.0)
        return await solve(
            QUESTION,
            parse("self-consistency:n=3"),
            {"solver": engine},
            equality=Slow(),
            budget=Budget(seconds=5),
        )

    result = virtual(main)
    assert (result.answer, result.stop) == ("42", "deadline")


def test_samples_of_nobody_are_a_mistake():
    async def plan(problem, run):
        with pytest.raises(UsageError, match="role"):
            await run.sample(ask(problem), 2, role=())
        return Prefix(ask(problem).prompt)

    run(plan)


def test_sampling_nothing_is_nothing():
    async def plan(problem, run):
        assert await run.sample([], 3) == []
        return await run.extend(ask(problem))

    run(plan)


def test_failures_are_told_before_an_empty_purse():
    async def plan(problem, run):
        await run.sample(ask(problem), 3)

    with pytest.raises(AllFailed):
        run(plan, Flaky(Scripted.solver(1.0), 1.0), "calls=2")


def test_an_engine_that_counts_no_calls_is_counted():
    class Careless:
        def __init__(self):
            self.engine = Scripted.solver(1.0)
            self.capabilities = self.engine.capabilities

        async def extend(self, prefix, sampling, watch=None):
            from dataclasses import replace

            segment = await self.engine.extend(prefix, sampling, watch)
            return replace(segment, usage=replace(segment.usage, calls=0))

    async def plan(problem, run):
        return (await run.sample(ask(problem), 10))[0]

    engine = Careless()
    result, _ = run(plan, engine, "calls=3")
    assert result.usage.calls == engine.engine.calls == 3
    with pytest.raises(Unsupported, match="counts prompts"):
        run(plan, Careless(), "total=100")


def test_a_budget_that_fits_exactly_did_not_end_anything():
    async def plan(problem, run):
        return await run.extend(ask(problem))

    whole, _ = run(plan, Scripted.solver(1.0))
    exact, _ = run(plan, Scripted.solver(1.0), str(whole.usage.completion))
    assert (exact.answer, exact.stop) == ("42", "finished")


def test_the_first_error_of_each_is_the_one_raised():
    async def plan(problem, run):
        async def branch(i):
            if i == 0:
                raise ValueError("first")
            try:
                await trio.sleep(100)
            finally:
                raise KeyError("cleanup")

        await run.each(branch, range(2))

    with pytest.raises(ValueError, match="first"):
        run(plan)


def test_what_the_engine_of_a_role_can_do_is_asked_of_it():
    async def plan(problem, run):
        assert run.can("logprobs", "judge")
        assert not run.can("logprobs")
        assert not run.can("grammar", "judge")
        return await run.extend(ask(problem))

    engines = {"solver": Scripted.solver(1.0, without={"logprobs"}), "judge": Scripted({"Good.": 1.0})}
    virtual(attempt, Plan(plan), engines, None)
