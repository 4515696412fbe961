"""A total budget is never overrun, goes to where votes are close, and is the same after a stop."""

from functools import partial

import anyio
import pytest
from support import Keys

from ponder import UsageError
from ponder.core.problem import Problem
from ponder.engines.scripted import Scripted
from ponder.evals.harness import Evaluation
from ponder.evals.plan import Shown
from ponder.evals.study import finished, item_body, study
from ponder.evals.successive import successive
from ponder.evals.values import Item
from ponder.store import RunFile, RunWriter

TOTAL = 1200


class Exact:
    async def grade(self, item, answer):
        return answer == item.gold


def items(n):
    return tuple(Item(Problem.of(f"What is {i}?", id=f"q{i}"), str(i)) for i in range(n))


def number(prefix):
    return int(prefix.prompt.messages[-1].text.rpartition("What is ")[2][:-1])


def mixed(prefix):
    """Of three problems one is easy, one close, one hopeless."""
    i = number(prefix)
    match i % 3:
        case 0:
            return {f"It is plain. The answer is {i}.": 1.0}
        case 1:
            return {f"The answer is {i}.": 0.55, f"The answer is {i + 1}.": 0.45}
    return {f"I guess again. The answer is {i + wrong}.": 0.02 for wrong in range(50)}


def opened(folder, plan):
    made = RunWriter.create(folder, command=["eval"], meta={"evaluation": {"seeds": list(plan.seeds)}})
    for item in plan.items:
        made.item(item.problem.id, item_body(item))
    return made


def evaluation(plan, engine, to, **more):
    return Evaluation(plan, {"solver": engine}, writer=to, grader=Exact(), equality=Keys(), **more)


def spent(folder, total, n=12, script=mixed, seeds=(0,)):
    plan = successive(items(n), ["self-consistency:n=40"], str(total), seeds)
    engine, to = Scripted(script), opened(folder, plan)
    anyio.run(evaluation(plan, engine, to).run)
    to.close()
    with RunFile.open(to.path) as run:
        return study(run), engine


def samples(outcome):
    return sum(weight for _, weight in outcome.votes)


@pytest.mark.parametrize("total", [1, 11, 12, 100, 333, 1200, 5000])
def test_the_total_is_never_overrun(tmp_path, total):
    measured, _ = spent(tmp_path, total, seeds=(1, 2, 3))
    for seed in (1, 2, 3):
        assert sum(o.usage.completion for o in measured.outcomes if o.seed == seed) <= total
    assert len(measured.outcomes) == (36 if total >= 12 else 0), "each problem once, whatever its rounds were"
    assert {o.arm.strategy for o in measured.outcomes} <= {"self-consistency:n=40"}


def test_close_votes_get_it_and_the_easy_and_the_hopeless_less(tmp_path):
    measured, engine = spent(tmp_path, 2 * TOTAL, seeds=(0, 1, 2))
    easy, close, hopeless = (
        sum(samples(o) for o in measured.outcomes if int(o.item[1:]) % 3 == kind) for kind in range(3)
    )
    assert easy < close / 2
    assert hopeless < close
    charged = sum(o.usage.completion for o in measured.outcomes)
    assert charged <= engine.completion_tokens <= charged + 100, (
        "what was drawn in one round is not drawn again"
    )


def test_it_beats_an_equal_share(tmp_path):
    """Half of the problems are certain, half are right in 6 of 10 samples, at five tokens a sample."""

    def script(prefix):
        i = number(prefix)
        return {
            f"The answer is {i}.": 0.6 if i % 2 else 1.0,
            f"The answer is {i + 1}.": 0.4 if i % 2 else 0.0,
        }

    measured, _ = spent(tmp_path, 45 * 30, n=30, script=script, seeds=tuple(range(20)))
    right = [bool(o.correct) for o in measured.outcomes]
    equal = (1 + 0.733) / 2  # nine samples for each
    assert sum(right) / len(right) > equal + 2.5 * (equal * (1 - equal) / len(right)) ** 0.5


def test_a_stop_in_between_changes_nothing(tmp_path):
    whole, _ = spent(tmp_path / "whole", TOTAL)
    plan = successive(items(12), ["self-consistency:n=40"], str(TOTAL), (0,))
    to = opened(tmp_path / "parts", plan)

    def part(known, done, shown):
        """At most five more attempts end before it is stopped; how many there were."""
        told = []

        def tell(_):
            told.append(1)
            if len(told) == 5:
                begun.end()

        begun = evaluation(plan, Scripted(mixed), to, known=known, finished=done, shown=shown, tell=tell)
        anyio.run(begun.run)
        to.flush()
        return len(told)

    parts = 0
    known, done, shown = {}, frozenset(), {}
    while part(known, done, shown):
        parts += 1
        with RunFile.open(to.path) as run:
            known, done = run.samples(), finished(run)
            rows = {(r.strategy, r.budget, r.problem, r.seed): r.id for r in run.attempts()}
            shown = {name: Shown.of(run.events(rows[name])) for name in done}
    to.close()
    assert parts > 1
    with RunFile.open(to.path) as run:
        again = study(run)

    def what(measured):
        return sorted((o.item, o.answer, o.usage.completion, samples(o)) for o in measured.outcomes)

    assert what(again) == what(whole)


def test_what_cannot_share_a_total_is_refused():
    for strategy in ("beam-search", "chain-of-thought", "auto"):
        with pytest.raises(UsageError, match="cannot share a total budget"):
            successive(items(2), [strategy], "4k", (0,))
    for total in ("30s", "4k,30s", "unlimited", "0"):
        with pytest.raises(UsageError, match="completion tokens"):
            successive(items(2), ["self-consistency"], total, (0,))


def test_adaptive_stopping_stops_a_problem_for_good(tmp_path):
    plan = successive(items(6), ["adaptive-consistency:n=40"], "10k", (0,))
    to = opened(tmp_path, plan)
    anyio.run(partial(evaluation(plan, Scripted(mixed), to).run))
    to.close()
    with RunFile.open(to.path) as run:
        easy = [o for o in study(run).outcomes if int(o.item[1:]) % 3 == 0]
    assert all(samples(o) <= 4 for o in easy)
