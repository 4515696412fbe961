"""One attempt at one problem, from the first check to the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core import events as e
from ponder.core.calls import Budget
from ponder.core.errors import OutOfBudget
from ponder.core.protocols import Result
from ponder.runtime.attempt import GRACE, Attempt
from ponder.runtime.forming import Formed, checked, form_of
from ponder.runtime.ledger import Ledger
from ponder.runtime.preflight import check_memory, check_roles, check_sandbox, preflight
from ponder.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ponder.core.executions import Executes
    from ponder.core.policy import Policy
    from ponder.core.problem import Problem
    from ponder.core.protocols import Choice, Engine, FormsOf, KeysOf, Memory, Scorer, Stop, Strategy


async def solve(
    problem: Problem,
    strategy: Strategy,
    engines: Mapping[str, Engine],
    *,
    equality: KeysOf,
    scorers: Mapping[str, Scorer] | None = None,
    policies: Mapping[str, Policy] | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    memory: Memory | None = None,
    watchers: Sequence[e.Watcher] = (),
    live: Sequence[e.Watcher] = (),
    trace: str = "",
    started: Callable[[Run], None] | None = None,
    within: Ledger | None = None,
    grace: float = GRACE,
    together: bool = False,
    sandbox: Executes | None = None,
    forms: FormsOf | None = None,
) -> Result:
    """Attempt one problem.

    Args:
        engines: by role; "solver" plays every role that has no engine of its own.
        equality: one equivalence of answers for every vote.
        policies: by name, for strategies that follow one.
        budget: None is without limit.
        seed: same seed, same tree, whatever the timing, while the budget does not bind, on a
            deterministic engine.
        memory: what the strategy recalls from.
        watchers: see every event but `Wrote`.
        live: see `Wrote`.
        trace: the id under which the run is stored.
        started: gets the run, so that someone else can `end` it.
        sandbox: where programs are run: those that a strategy executes, and those that are votes of the kind "code".
        within: a ledger that many runs share; what is spent here is spent there, and no more than both have.
        grace: seconds that the strategy has to decide, once the budget's have ended.
        together: samples of one prompt may be one request, where the engine draws several (decision 33). Nobody is to
            ask for the same seed again, for an answer before all of them are there, or for how it goes.
        forms: says which answers keep to the problem's JSON schema, if it has one: none other is one, see `forming`.
            None leaves the schema to the engine.

    Raises:
        UsageError: the strategy cannot work on these engines, needs a sandbox, needs a memory or asks none, has no role that one of
            them is given, its parameters make no sense, or the problem's JSON schema is none.
        EngineError, AllFailed: the model failed before anything was proposed.

    A budget that ends before any answer is no error: the result has `answer` None and says why it stopped.

    """
    scorers = scorers or {}
    check_roles(engines, [strategy], scorers)
    check_memory(memory, strategy)
    check_sandbox(sandbox, strategy)
    preflight(strategy, engines, scorers)
    schema = problem.schema if forms is not None else None
    if forms is not None and schema is not None:
        await forms.misfit(None, schema)
    attempt = Attempt(
        problem,
        engines,
        scorers,
        equality,
        seed,
        (*watchers,),
        (*live,),
        memory,
        sandbox,
        {} if policies is None else policies,  # those of a folder: to ask whether there are any is to list it
        grace=grace,
        together=together,
        schema=schema,
        forms=forms,
    )
    formed = None if schema is None else Formed(strategy, attempt, budget)
    run = Run(attempt, Ledger(budget, within))
    if started is not None:
        started(run)
    models = {role: engine.capabilities.name for role, engine in engines.items()}
    attempt.emit(
        e.Started("", problem.id, problem.question, str(strategy), models, str(budget or Budget()), seed)
    )
    choice: Choice | None = None
    stop: Stop = "cancelled"
    broken = False
    try:
        try:
            choice = await run.decide(formed or strategy)
            if formed is not None:
                choice = await checked(choice, attempt)
        except OutOfBudget:
            stop = run.ended or "budget"
        except Exception:
            broken = True
            raise
        else:
            stop = (
                run.ended
                or (formed and formed.ended)
                or (
                    "budget"
                    if run.budget.refused
                    else "degraded"
                    if attempt.failed or attempt.degraded
                    else "finished"
                )
            )
    finally:
        attempt.emit(
            e.Finished(
                "",
                "failed" if broken else stop,
                choice.path.place if choice else "",
                choice.answer if choice else None,
                choice.votes if choice else (),
                run.budget.spent,
                attempt.failed,
            )
        )
    return Result(
        choice.answer if choice else None,
        choice,
        run.budget.spent,
        stop,
        trace,
        attempt.failed,
        attempt.overthought,
        dict(attempt.usage),
        None if choice is None or formed is None else form_of(choice, attempt, formed.again),
    )
