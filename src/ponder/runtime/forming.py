"""A strategy whose answer is to keep to a JSON schema, whatever its texts look like.

Texts that are written from the prompt on, in one piece, are held to the schema by the engine (`calls.schema`). What goes
on with a text, or stops in the middle of one, cannot be, and a strategy that goes step by step is not to be bothered: it
writes as it likes. Its answer is checked; where it does not keep to the schema, one call more writes it anew, held to it
from the first token on. A part of the budget is kept for that call.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ponder.core.calls import MOST_KEPT, RESERVE, Budget
from ponder.core.errors import OutOfBudget
from ponder.core.protocols import Choice, Form
from ponder.thinking import answers
from ponder.thinking.called import tool_calls
from ponder.thinking.prompts import in_form

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Stop, Strategy
    from ponder.runtime.attempt import Attempt

LENGTH: Final = 512
"""Tokens of the answer that is written anew, where the strategy does not say how long one may be."""
SECONDS: Final = 60.0
"""The most of a deadline that is kept for it."""


@dataclass
class Formed:
    """The strategy, and after it the call that writes its answer in the form, where that is needed.

    Args:
        strategy: whose answer it is.
        attempt: knows which answers keep to the schema.
        budget: of all, of which the strategy gets the most.
        again: what that call wrote, if it was made.
        ended: what ended the strategy, if it was its part of the budget.

    """

    name: ClassVar[str] = "formed"
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset[Ability]] = frozenset()

    strategy: Strategy
    attempt: Attempt
    budget: Budget | None = None
    again: Prefix | None = None
    ended: Stop | None = None

    async def solve(self, problem: Problem, run: Any) -> Choice:
        most: int = getattr(self.strategy, "max_tokens", LENGTH)
        choice: Choice | None = None
        with suppress(OutOfBudget):  # before there was anything: what was kept pays for an answer
            choice = await run.delegate(self.strategy, share(self.budget or Budget(), most))
        if (inner := run._inner) is not None:
            self.ended = inner.ended or ("budget" if inner.budget.refused else None)
        if choice is not None:
            choice = await checked(choice, self.attempt)
            if choice.answer is not None or formless(choice, problem):
                return choice
            run.propose(instead(choice))
        prompt = in_form(problem, choice.path if choice else None)
        self.again = await run.extend(prompt, temperature=0, max_tokens=most)
        [new] = await run.read([self.again])
        if choice is None:
            return Choice(new.path, new.answer, (new,))
        better = instead(choice)
        if new.answer is None and better.answer is not None:
            return better
        return Choice(new.path, new.answer, (*choice.candidates, new), choice.votes)


def share(budget: Budget, most: int) -> Budget:
    """What of a budget a strategy gets, beside a last call that writes `most` tokens at most."""

    def less(limit: int | None, kept: float) -> int | None:
        return None if limit is None else max(0, limit - round(min(kept, RESERVE * limit)))

    return Budget(
        less(budget.tokens, min(most, MOST_KEPT)),
        less(budget.total_tokens, math.inf),
        None if budget.seconds is None else budget.seconds - min(SECONDS, RESERVE * budget.seconds),
        None if budget.calls is None else max(1, budget.calls - 1),
        None if budget.dollars is None else budget.dollars * (1 - RESERVE),
    )


def formless(choice: Choice, problem: Problem) -> bool:
    """Whether what was chosen is no text that could have a form: it calls tools, or was refused."""
    path = choice.path
    refused = path.last is not None and path.last.finish == "filtered"
    return refused or bool(tool_calls(path, problem.tools))


async def checked(choice: Choice, attempt: Attempt) -> Choice:
    """The choice without answers that do not keep to the schema."""
    if formless(choice, attempt.problem):
        return choice
    await attempt.check([choice.answer, *(one.answer for one in choice.candidates)])
    known = (
        one if attempt.fits(one.answer) else replace(one, answer=None, key=None) for one in choice.candidates
    )
    answer = choice.answer if attempt.fits(choice.answer) else None
    return replace(choice, answer=answer, candidates=tuple(known))


def instead(choice: Choice) -> Choice:
    """The heaviest of its candidates that keeps to the schema, if there is one."""
    able = [one for one in choice.candidates if one.answer is not None]
    best = max(able, key=lambda one: one.weight, default=None)
    return choice if best is None else replace(choice, path=best.path, answer=best.answer)


def form_of(choice: Choice, attempt: Attempt, again: Prefix | None) -> Form | None:
    """What came of the form in a choice that was checked."""
    if formless(choice, attempt.problem):
        return None
    if choice.answer is not None:
        return Form(kept=True, again=choice.path == again)
    found = answers.find(choice.path.text, "json")
    why = attempt.misfits.get(found.text) if found else None
    if why is None:
        why = "it was cut off" if choice.path.cut else "it holds no JSON"
    return Form(kept=False, again=choice.path == again, why=why)
