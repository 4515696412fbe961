"""Red-teaming by a model: it writes what is to mislead the target, sees what failed, and tries again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ponder.core.errors import OutOfBudget
from ponder.core.problem import Message
from ponder.core.protocols import Candidate, Choice
from ponder.evals.attacks.about import RED_TEAM, reached, tried
from ponder.thinking.prompts.attacking import ignoring
from ponder.thinking.prompts.red_teaming import red_team, unwilling, written_text

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run, Scorer, Strategy
    from ponder.evals.values import Item

ATTACKER = "attacker"
"""The role of who writes the texts."""
TEMPERATURE = 1.0
WORDS = 160
"""Tokens of a text at most."""


def played(strategy: Strategy, item: Item) -> Strategy:
    """How a strategy meets an item: as it is, or as the target of a red team where the item says so."""
    if not tried(item):
        return strategy
    about = item.meta["attacked"]
    return RedTeam(strategy, about["target"], about["strength"])


@dataclass(frozen=True)
class RedTeam:
    """Attempts, one after the other, to make `target` give the answer `wanted` (Zaremba et al. 2025, LMP attack).

    The attacker is shown the question, the answer that it wants and its texts that failed, each with what the target
    answered. It is over with the first success. An attacker that refuses, or writes nothing, has lost an attempt. Each
    attempt is a candidate: what the target wrote, or what the attacker wrote where the target was not asked.

    Written down it is its target, for that is what an evaluation compares; the item says that it is red-teamed.
    """

    name: ClassVar[str] = RED_TEAM
    paper: ClassVar[str] = "2501.18841"
    roles: ClassVar[tuple[str, ...]] = ("solver", ATTACKER)

    target: Strategy
    wanted: str
    attempts: int

    @property
    def needs(self) -> frozenset[Ability]:
        return self.target.needs

    def __str__(self) -> str:
        return str(self.target)

    async def solve(self, problem: Problem, run: Run) -> Choice:
        attempts: list[Candidate] = []
        failed: list[tuple[str, str | None]] = []
        try:
            for _ in range(self.attempts):
                attack = await run.extend(
                    red_team(problem.question, self.wanted, failed),
                    role=ATTACKER,
                    temperature=TEMPERATURE,
                    max_tokens=WORDS,
                )
                if attack.last is None or unwilling(attack.text, attack.last.finish):
                    attempts.append(Candidate(attack))
                    continue
                text = written_text(attack.text)
                scorer = getattr(self.target, "scorer", None)
                answered = await run.delegate(_Misled(self.target, text, scorer))
                attempts += await run.read([answered.path])
                failed.append((text, attempts[-1].answer))
                if reached(attempts[-1].answer, self.wanted, problem.kind):
                    break
        except OutOfBudget:
            if not attempts:
                raise
        # The last attempt decides: it is the success, if there is one. Nothing is proposed before, for a game that a model
        # breaks is to be played again, and what was drawn for it is in the pool.
        return Choice(attempts[-1].path, attempts[-1].answer, tuple(attempts))


@dataclass(frozen=True)
class _Misled:
    """The target at the question under a text of the attacker's. What it scores by is told, so that it is recorded."""

    name: ClassVar[str] = RED_TEAM
    paper: ClassVar[str] = RedTeam.paper

    target: Strategy
    text: str
    scorer: Scorer | str | None = None

    @property
    def needs(self) -> frozenset[Ability]:
        return self.target.needs

    def __str__(self) -> str:
        return str(self.target)

    async def solve(self, problem: Problem, run: Run) -> Choice | Prefix:
        asked = Message("user", ignoring(self.text, problem.question))
        return await self.target.solve(replace(problem, messages=(asked,)), run)
