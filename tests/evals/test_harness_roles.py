"""Several models in one evaluation: each has its own samples, and what is shared is shared by model and not by role."""

from functools import partial

import anyio
import pytest
from evals.test_harness import Exact, items, script, writer
from support import SCORERS, Keys

from ponder import UnknownName
from ponder.engines.scripted import Scripted
from ponder.evals.harness import Evaluation
from ponder.evals.plan import Plan
from ponder.evals.replay import replay, told
from ponder.evals.study import finished, item_body, study
from ponder.evals.values import Arm
from ponder.store import RunFile, RunWriter

MIXED = Arm("mixture-of-agents:n=2,layers=2,shots=0", "4k")
ALONE = Arm("chain-of-thought:temperature=0.7,shots=0", "4k")
ARMS = (MIXED, ALONE)


def engines(**more):
    """The second proposer is another model, and so is the aggregator; the first proposer is the solver's."""
    solver, other = Scripted(script, name="solver"), Scripted(other_script, name="other")
    return {"solver": solver, "proposer-1": solver, "proposer-2": other, "aggregator": other} | more


def other_script(prefix):
    return {text.replace("Adding", "Summing"): share for text, share in script(prefix).items()}


async def evaluated(plan, by_role, to, **more):
    await Evaluation(plan, by_role, writer=to, grader=Exact(), equality=Keys(), scorers=SCORERS, **more).run()


def test_samples_are_pooled_by_engine(tmp_path):
    plan, by_role = Plan(items(5), ARMS, (0, 1)), engines()
    with writer(tmp_path, plan) as to:
        anyio.run(evaluated, plan, by_role, to)
    with RunFile.open(to.path) as run:
        measured, samples = study(run), run.samples()
        attempts = {(a.strategy, a.problem, a.seed): a for a in run.attempts()}
        texts = {
            (event.role, event.text)
            for attempt in run.attempts()
            for event in run.events(attempt.id)
            if event.kind == "extended"
        }
    assert len(measured.outcomes) == 20
    assert not any(outcome.stop == "failed" for outcome in measured.outcomes)
    # The lone arm draws what the first proposer draws: one model, one sample.
    assert by_role["solver"].calls == 5 * 2
    assert by_role["proposer-2"].calls == 2 * 5 * 2
    assert len(samples) == by_role["solver"].calls + by_role["proposer-2"].calls
    assert not any("Summing" in text for role, text in texts if role in ("solver", "proposer-1"))
    assert not any("Adding" in text for role, text in texts if role in ("proposer-2", "aggregator"))
    mixed = next(a for key, a in attempts.items() if key[0] == MIXED.strategy)
    assert mixed.models == {
        "solver": "solver",
        "proposer-1": "solver",
        "proposer-2": "other",
        "aggregator": "other",
    }
    alone = next(a for key, a in attempts.items() if key[0] != MIXED.strategy)
    assert alone.models == {"solver": "solver"}, "a role that an arm does not play is none of its models"


def test_what_was_stopped_goes_on_with_each_model_s_own_samples(tmp_path):
    plan = Plan(items(4), ARMS)
    with writer(tmp_path / "whole", plan) as whole:
        anyio.run(evaluated, plan, engines(), whole)
    by_role = engines()
    with writer(tmp_path / "parts", plan) as to:
        anyio.run(evaluated, Plan(plan.items[:2], ARMS), by_role, to)
        to.flush()
        with RunFile.open(to.path) as run:
            known = {"known": run.samples(), "finished": finished(run)}
        anyio.run(partial(evaluated, plan, by_role, to, **known))
    answers = []
    for path in (whole.path, to.path):
        with RunFile.open(path) as run:
            answers.append(
                sorted((str(o.arm), o.item, o.answer, o.usage.completion) for o in study(run).outcomes)
            )
    assert answers[0] == answers[1]
    assert by_role["solver"].calls == 4
    assert by_role["aggregator"].calls == 2 * 4


def test_a_replay_has_every_role_without_its_model(tmp_path):
    plan, by_role = Plan(items(3), ARMS), engines()
    about = {"evaluation": {"seeds": [0]} | told(by_role)}
    made = RunWriter.create(tmp_path, command=["eval"], meta=about)
    assert about["evaluation"]["roles"]["proposer-1"] == {"as": "solver"}
    assert about["evaluation"]["roles"]["aggregator"] == {"as": "proposer-2"}
    assert about["evaluation"]["roles"]["proposer-2"]["model"] == "other"
    with made as to:
        for item in plan.items:
            to.item(item.problem.id, item_body(item))
        anyio.run(evaluated, plan, by_role, to)
    with RunFile.open(made.path) as run:
        its_items, seeds, models, _ = replay(run)
        before = sorted((str(o.arm), o.item, o.answer) for o in study(run).outcomes)
    assert models["proposer-1"] is models["solver"]
    assert models["aggregator"] is models["proposer-2"]
    again = Plan(its_items, ARMS, seeds)
    with RunFile.open(made.path) as run, writer(tmp_path / "again", again) as to:
        given = replay(run)[3]
        anyio.run(partial(evaluated, again, models, to, known=given))
    with RunFile.open(to.path) as run:
        after = sorted((str(o.arm), o.item, o.answer) for o in study(run).outcomes)
    assert [(arm, answer) for arm, _, answer in before] == [(arm, answer) for arm, _, answer in after]


def test_a_role_that_no_arm_plays_is_named_before_the_first_token(tmp_path):
    by_role = engines(judge=Scripted(script))
    plan = Plan(items(1), ARMS)
    with (
        writer(tmp_path, plan) as to,
        pytest.raises(UnknownName, match="role in these strategies named 'judge'"),
    ):
        anyio.run(evaluated, plan, by_role, to)
    assert by_role["solver"].calls == 0
