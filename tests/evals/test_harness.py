"""The harness loses nothing, measures nothing twice, and charges every arm in full."""

import json
from collections import Counter
from functools import partial

import anyio
import pytest
from support import SCORERS, Keys

from ponder.core.calls import Sampling
from ponder.core.errors import EngineError, UsageError
from ponder.core.problem import Problem
from ponder.engines.layers import Faulty
from ponder.engines.scripted import Scripted
from ponder.evals import harness
from ponder.evals.harness import Evaluation
from ponder.evals.plan import Plan
from ponder.evals.pool import Pool
from ponder.evals.study import finished, item_body, item_of, study
from ponder.evals.values import Arm, Item
from ponder.store import RunFile, RunWriter, Samples, coding
from ponder.thinking.prompts import ask

ARMS = (
    Arm("chain-of-thought", "4k"),
    Arm("self-consistency:n=4", "4k"),
    Arm("self-consistency:n=8", "4k"),
    Arm("adaptive-consistency:n=8", "4k"),
    Arm("self-consistency:n=8", "60"),
)


SEARCHES = (Arm("beam-search:n=8", "4k"), Arm("mcts:iterations=4", "4k"))
STEPS = 3


class Exact:
    async def grade(self, item, answer):
        return None if item.gold is None else answer == item.gold


def items(n):
    return tuple(
        Item(Problem.of(f"What is {i} + {i}?", id=f"q{i}"), str(2 * i), task="doubles") for i in range(n)
    )


def script(prefix):
    """Right more often than not, a wrong answer nearby, as the question has it."""
    words = prefix.prompt.messages[-1].text.rpartition("What is ")[2].split()
    right = 2 * int(words[0])
    return {
        f"Adding. The answer is {right}.": 0.6,
        f"Adding {right} and more. The answer is {right + 1}.": 0.3,
        "I do not know.": 0.1,
    }


def steps(prefix):
    """Three steps, of which each may go wrong, and an answer."""
    words = prefix.prompt.messages[-1].text.rpartition("What is ")[2].split()
    if prefix.text.count("\n\n") < STEPS:
        return {f"Adding {n} to {words[0]}.\n\n": 1 / 4 for n in range(4)}
    return {f"The answer is {2 * int(words[0]) + prefix.text.count('Adding 3')}.": 1.0}


def writer(folder, plan):
    made = RunWriter.create(folder, command=["eval"], meta={"evaluation": {"seeds": list(plan.seeds)}})
    for item in plan.items:
        made.item(item.problem.id, item_body(item))
    return made


async def evaluated(plan, engine, to, **more):
    evaluation = Evaluation(
        plan, {"solver": engine}, writer=to, grader=Exact(), equality=Keys(), scorers=SCORERS, **more
    )
    await evaluation.run()
    return evaluation.tally


def told(path):
    """What a table is made of, without times and ids."""
    with RunFile.open(path) as run:
        measured = study(run)
    # What a sample that a stopping rule cancelled had written by then is charged, and is a matter of time.
    return sorted(
        (
            str(o.arm),
            o.item,
            o.seed,
            o.answer,
            o.correct,
            None if o.arm.strategy.startswith("adaptive") else o.usage.completion,
            o.usage.prompt,
            o.votes,
        )
        for o in measured.outcomes
    )


def test_every_attempt_is_made_once_and_arms_share_their_samples(tmp_path):
    plan = Plan(items(6), ARMS, (0, 1))
    engine = Scripted(script)
    with writer(tmp_path, plan) as to:
        tally = anyio.run(evaluated, plan, engine, to)
    with RunFile.open(to.path) as run:
        measured, samples = study(run), run.samples()
    assert tally.done == len(plan) == len(measured.outcomes) == 60
    assert Counter(o.arm for o in measured.outcomes) == dict.fromkeys(ARMS, 12)
    assert tally.generated == engine.completion_tokens == sum(s.usage.completion for s in samples.values())
    # Greedy once for each item; the widest arm's eight for each item and seed, and nothing else.
    assert engine.calls == len(samples) == 6 + 6 * 2 * 8
    charged = sum(o.usage.completion for o in measured.outcomes)
    assert charged > 2 * tally.generated
    by = {(o.arm, o.item, o.seed): o for o in measured.outcomes}
    for item in plan.items:
        for seed in plan.seeds:
            four, eight = (by[Arm(f"self-consistency:n={n}", "4k"), item.problem.id, seed] for n in (4, 8))
            assert four.usage.calls == 4
            assert eight.usage.calls == 8
            assert by[ARMS[4], item.problem.id, seed].usage.completion <= 60
            drawn = measured.samples[item.problem.id]
            assert len(drawn) == 8
            if seed == 0:
                assert eight.usage.completion == sum(tokens for _, tokens, _ in drawn)
                assert four.usage.completion == sum(tokens for _, tokens, _ in drawn[:4])
            assert eight.correct == (eight.answer == item.gold)
    assert len({o.answer for o in measured.outcomes}) > 6


def test_memory_holds_the_samples_of_no_problem_that_is_done(tmp_path, monkeypatch):
    pools = []

    class Watched(harness.Pool):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            pools.append(self)
            self.most = 0

        def forget(self, names):
            self.most = max(self.most, len(self._known))
            super().forget(names)

    monkeypatch.setattr(harness, "Pool", Watched)
    plan = Plan(items(40), ARMS)
    with writer(tmp_path, plan) as to:
        anyio.run(partial(evaluated, at_once=1), plan, Scripted(script), to)
    [pool] = pools
    assert not pool._known
    assert pool.most < 40 * 9 / 2, "and never held them all"
    with RunFile.open(to.path) as run:
        assert len(run.samples()) == 40 * 9


def test_what_was_stopped_goes_on_and_ends_as_if_it_never_had(tmp_path):
    plan = Plan(items(5), ARMS, (0, 1))
    with writer(tmp_path / "whole", plan) as whole:
        anyio.run(evaluated, plan, Scripted(script), whole)
    engine = Scripted(script)
    with writer(tmp_path / "parts", plan) as to:

        async def some(most):
            evaluation = Evaluation(
                plan, {"solver": engine}, writer=to, grader=Exact(), equality=Keys(), scorers=SCORERS, **known
            )
            ends = evaluation.tally.done + most
            evaluation._tell = lambda tally: tally.done >= ends and evaluation.end()
            await evaluation.run()

        for most in (3, 11, 7, 1000):
            to.flush()
            with RunFile.open(to.path) as run:
                known = {"known": run.samples(), "finished": finished(run)}
            anyio.run(some, most)
    assert told(to.path) == told(whole.path)
    with RunFile.open(to.path) as run:
        assert engine.calls == len(run.samples()), "a sample was generated twice"
        assert len(run.attempts()) == len(plan), "an attempt was made twice"


def test_who_goes_on_reads_only_the_samples_of_what_is_not_done(tmp_path, monkeypatch):
    """A count of what is read, for a laptop cannot hold the samples of 100,000 attempts."""
    plan = Plan(items(12), (ARMS[2],))
    with writer(tmp_path, plan) as to:
        anyio.run(evaluated, Plan(plan.items[:10], plan.arms), Scripted(script), to)
        to.flush()
        read, decode = [], coding.segment
        monkeypatch.setattr(coding, "segment", lambda body: read.append(body) or decode(body))
        with RunFile.open(to.path) as run:
            kept, done = Samples(run), finished(run)
            assert len(done) == 10
            engine = Scripted(script)
            tally = anyio.run(lambda: evaluated(plan, engine, to, known=kept, finished=done))
            assert (tally.done, engine.calls, read) == (12, 2 * 8, []), "those of two problems are new"
            to.flush()
            assert len(kept) == 12 * 8
            undone = frozenset(name for name in done if name[2] != plan.items[3].problem.id)
            again = Scripted(script)
            anyio.run(
                lambda: evaluated(Plan(plan.items[:10], plan.arms), again, to, known=kept, finished=undone)
            )
            assert (again.calls, len(read)) == (0, 8), (
                "those of one problem are read, and nothing is generated"
            )


def test_a_model_that_breaks_costs_its_attempts_and_a_dead_one_the_run(tmp_path):
    plan = Plan(items(12), ARMS[:2])
    engine = Faulty(Scripted(script), 5, errors=0.3, fatal=1.0)
    with writer(tmp_path, plan) as to:
        tally = anyio.run(evaluated, plan, engine, to)
        to.flush()
        with RunFile.open(to.path) as run:
            known, done = run.samples(), finished(run)
            broke = [o for o in study(run).outcomes if o.stop == "failed"]
        assert 0 < tally.failed == len(broke) == len(plan) - len(done)
        assert all(o.correct is None and o.error for o in broke)
        # The same command again attempts those, and only those.
        again = anyio.run(lambda: evaluated(plan, Scripted(script), to, known=known, finished=done))
        assert again.done == len(plan)
    with RunFile.open(to.path) as run:
        assert len(finished(run)) == len(plan)
        mended = study(run).outcomes
    assert len(mended) == len(plan)
    assert sum(o.failed > 0 for o in mended) >= tally.failed
    dead = Faulty(Scripted(script), errors=1.0, fatal=1.0)
    with writer(tmp_path, plan) as to, pytest.raises(EngineError, match="8 attempts in a row broke"):
        anyio.run(evaluated, plan, dead, to)


def test_a_plan_that_cannot_run_is_refused_before_the_first_token(tmp_path):
    engine = Scripted(script, without=("logprobs",))
    for arms, said in (((Arm("best-of-n", "4k"),), "log-probabilities"), ((), "nothing to evaluate")):
        plan = Plan(items(2), arms)
        with writer(tmp_path, plan) as to, pytest.raises(UsageError, match=said):
            anyio.run(evaluated, plan, engine, to)
    assert engine.calls == 0


class Brain:
    """A memory that says one thing, and counts how often it is asked."""

    name = "brain"
    asked = 0

    async def recall(self, query, k):
        self.asked += 1
        return ["Two and two are four."][:k]


def test_a_memory_is_asked_by_those_that_recall_and_by_no_other(tmp_path):
    arms = (Arm("chain-of-thought", "4k"), Arm("coat:K=1,recall=1", "4k"))
    plan = Plan(items(2), arms)
    brain = Brain()
    with pytest.raises(UsageError, match="There is no memory"):
        harness.check(plan, {"solver": Scripted(script)}, SCORERS)
    with pytest.raises(UsageError, match="never asks it"):
        harness.check(Plan(items(2), arms[:1]), {"solver": Scripted(script)}, SCORERS, brain)
    to = writer(tmp_path, plan)
    engine = Scripted({"The answer is 4.": 1.0})
    anyio.run(partial(evaluated, plan, engine, to, memory=brain))
    to.close()
    assert brain.asked >= 2
    with RunFile.open(to.path) as run:
        assert len(study(run).outcomes) == 4


def test_what_is_recorded_of_a_sample_makes_it_no_other_draw():
    async def main():
        async with anyio.create_task_group() as tasks:
            pool = Pool({"solver": Scripted(script)}, tasks, keep=kept)
            prompt = ask(items(1)[0].problem)
            texts = []
            for more in ({}, {"logprobs": 5}, {"certainty": True}):
                engine = pool.attempt(0, anyio.Event())["solver"]
                drawn = [await engine.extend(prompt, Sampling(**more)) for _ in range(12)]
                texts.append([segment.text for segment in drawn])
                assert all(
                    (segment.top_logprobs is not None) == bool(more.get("logprobs")) for segment in drawn
                )
        return texts

    async def kept(key, nth, segment):
        pass

    plain, *others = anyio.run(main)
    assert len(set(plain)) > 1
    assert others == [plain, plain]


def test_an_item_is_the_same_after_it_was_kept():
    item = Item(
        Problem.of("Which?", "choice", id="a"), "B", "t", "logic", 0.5, "choice", {"choices": ["x", "y"]}
    )
    assert item_of("a", json.loads(json.dumps(item_body(item)))) == item


AT_ONCE = 16
CHILD = """
import os, signal, sys, anyio
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from evals.test_harness import *
arms, told_by = (SEARCHES, steps) if sys.argv[4] == "searches" else (ARMS[:4], script)
plan = Plan(items(int(sys.argv[3])), arms, (0,))
folder = Path(sys.argv[1])
calls = open(folder / "calls", "a")
left = int(sys.argv[5])  # until it stops itself, to be killed; 0: never
class Counted(Scripted):
    async def extend(self, prefix, sampling, watch=None):
        global left
        calls.write("x"); calls.flush()
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return await super().extend(prefix, sampling, watch)
paths = list(folder.glob("*.sqlite"))
known = {}
if paths:
    with RunFile.open(paths[0]) as run:
        known = {"known": run.samples(), "finished": finished(run)}
    to = RunWriter.resume(paths[0])
else:
    to = writer(folder, plan)
print("ready", flush=True)
anyio.run(lambda: evaluated(plan, Counted(told_by, delay=0.0005), to, at_once=AT_ONCE, **known))
to.close()
print("done", flush=True)
"""


@pytest.mark.timeout(400)  # Python starts six times, beside whatever else runs
def test_kills_lose_nothing_that_was_kept_and_duplicate_nothing(tmp_path):
    """Reliability row R1, at a small size."""
    from proofs.kills import killed

    figure = killed(tmp_path, items=40, kills=4)
    assert figure.held, figure.said


@pytest.mark.timeout(400)
def test_a_search_that_is_killed_goes_on_from_its_last_step(tmp_path):
    """Reliability row R2, at a small size."""
    from proofs.kills import killed

    figure = killed(tmp_path, items=12, kills=3, what="searches")
    assert figure.held, figure.said
