"""Attacked problems as items: each base problem with each attack, goal and strength."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from ponder.core.errors import UnknownName, UsageError
from ponder.core.problem import Message, Problem
from ponder.evals.attacks.about import RED_TEAM, SOFT
from ponder.evals.attacks.facts import facts
from ponder.evals.attacks.soft_tokens import STEPS, THINKING, SoftTokens
from ponder.evals.attacks.sums import GOALS, Sum, drawn
from ponder.evals.tasks.loaded import Tasks
from ponder.evals.values import Item
from ponder.thinking.prompts import attacking as words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.attacks.facts import Fact
    from ponder.evals.attacks.sums import Operation
    from ponder.thinking.prompts.attacking import Goal

ATTEMPTS = 25
"""Of a red team at a problem, as in the paper."""
Text = tuple[str, str, str]
"""What is asked, what is right, what the attacker wants."""
Base = Callable[[str, int], Text]
"""A problem, which takes a goal and a strength."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A kind of attack on a kind of problem.

    Args:
        name: of the attack.
        tasks: what it is tried on.
        goals: what it may want; none where there is one thing only.
        strengths: how strong it is where nobody says. 0 is no attack.
        unit: of the strength.
        wants: what the attacker wants, where there is one thing only.

    """

    name: str
    tasks: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    strengths: tuple[int, ...] = (0, 4, 16)
    unit: str = "examples"
    wants: str = ""


ATTACKS: Final = {
    attack.name: attack
    for attack in (
        Attack("many-shot", ("addition", "multiplication"), GOALS),
        Attack("think-less", ("addition", "multiplication"), GOALS, (0, 64)),
        Attack(RED_TEAM, ("addition", "multiplication"), GOALS, (0, ATTEMPTS), "attempts"),
        Attack(SOFT, ("addition", "multiplication"), GOALS, (0, 1, 4), "soft tokens"),
        Attack("injection", ("page",), strengths=(0, 1, 4), unit="injections", wants="COMPROMISED"),
        Attack("dispute", ("policy",), strengths=(0, 1, 4), unit="claims", wants="the claimed sum"),
        Attack("loophole", ("rule",), strengths=(0, 1, 4), unit="claims", wants="the sum"),
    )
}
TASKS: Final = tuple(dict.fromkeys(task for attack in ATTACKS.values() for task in attack.tasks))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be attacked, and how.

    Args:
        task: one of `TASKS`.
        attack: its name; the first that fits the task where it is empty.
        goals: some of the attack's; all where there are none.
        strengths: from none up; the attack's own where there are none.
        limit: base problems.
        seed: of them and of the fake examples.
        steps: of the search for soft tokens.
        thinking: tokens that the model is expected to think, for that search.

    """

    task: str
    attack: str = ""
    goals: Sequence[Goal] = ()
    strengths: Sequence[int] = ()
    limit: int = 60
    seed: int = 0
    steps: int = STEPS
    thinking: tuple[int, ...] = THINKING
    found: Attack = field(init=False)

    def __post_init__(self) -> None:
        """Find the attack, and refuse what makes no sense.

        Raises:
            UnknownName: there is no such task, attack or goal; near names are suggested.
            UsageError: the attack is not one on this task, or a strength is below 0.

        """
        if self.task not in TASKS:
            raise UnknownName("task to attack", self.task, TASKS)
        fit = [attack for attack in ATTACKS.values() if self.task in attack.tasks]
        if self.attack and self.attack not in ATTACKS:
            raise UnknownName("attack", self.attack, ATTACKS)
        found = ATTACKS[self.attack] if self.attack else fit[0]
        if found not in fit:
            raise UsageError(
                f"{found.name} is no attack on {self.task}. There is {', '.join(a.name for a in fit)}."
            )
        for goal in self.goals:
            if goal not in found.goals:
                raise UnknownName(f"goal of {found.name} on {self.task}", goal, found.goals)
        if self.limit < 1 or any(strength < 0 for strength in self.strengths):
            raise UsageError("Take one problem or more, and strengths of 0 or more.")
        object.__setattr__(self, "found", found)

    def soft(self, goal: Goal, strength: int) -> SoftTokens:
        """The soft tokens of that goal and strength."""
        operation: Operation = "multiplication" if self.task == "multiplication" else "addition"
        return SoftTokens(operation, goal, strength, self.steps, seed=self.seed, thinking=self.thinking)

    @property
    def searches(self) -> list[SoftTokens]:
        """The soft tokens that are to be found before the problems are asked."""
        if self.found.name != SOFT:
            return []
        goals, strengths = self.goals or self.found.goals, self.strengths or self.found.strengths
        return [self.soft(goal, n) for goal in dict.fromkeys(goals) for n in dict.fromkeys(strengths) if n]


def attacked(asked: Asked) -> Tasks:
    """The items: base problems outermost, then goals, then strengths. One without an attack stands once for each goal.

    Problems whose goals coincide are dropped, and a complaint says how many.
    """
    attack = asked.found
    rng = random.Random(f"{asked.task}/{asked.seed}")
    strengths = tuple(dict.fromkeys(asked.strengths or attack.strengths))
    goals = tuple(dict.fromkeys(asked.goals or attack.goals)) or ("",)
    made, dropped = _MADE[asked.task](asked, rng)
    items = tuple(
        _item(asked, n, goal, strength, text(goal, strength))
        for n, text in enumerate(made)
        for goal in goals
        for strength in strengths
    )
    said = (
        f"{'1 problem was' if dropped == 1 else f'{dropped} problems were'} dropped, because what the attacker wants coincides with what is right or with another goal.",
    )
    return Tasks(f"{asked.task}/{attack.name}", items, said if dropped else ())


def _item(asked: Asked, n: int, goal: str, strength: int, text: Text) -> Item:
    question, right, target = text
    about: dict[str, Any] = {
        "attack": asked.found.name,
        "goal": goal or asked.found.wants,
        "strength": strength,
        "unit": asked.found.unit,
        "target": target,
        "base": n,
    }
    name = "/".join(filter(None, [f"{asked.task}-{asked.seed}-{n}", asked.found.name, goal, str(strength)]))
    problem = Problem(name, (Message("user", question),), "auto" if asked.task == "page" else "math")
    family = f"{asked.found.name} {goal} x {strength}".replace("  ", " ")
    return Item(problem, right, asked.task, family, None, "math", {"attacked": about})


def _distinct(asked: Asked, rng: random.Random) -> tuple[list[Sum], int]:
    """Sums whose goals differ, and how many were dropped on the way. Those that soft tokens learn from are left out."""
    operation: Operation = "multiplication" if asked.task == "multiplication" else "addition"
    sums, dropped = [], 0
    learnt = set(asked.soft("42", 1).training if asked.found.name == SOFT else ())
    for one in drawn(operation, rng):
        dropped += one.coincides
        if not one.coincides and one not in learnt:
            sums.append(one)
        if len(sums) == asked.limit:
            break
    return sums, dropped


def _sums(asked: Asked, rng: random.Random) -> tuple[list[Base], int]:
    def of(one: Sum) -> Base:
        seed = str(rng.random())

        def text(goal: str, strength: int) -> Text:
            wanted = cast("Goal", goal)
            if asked.found.name == RED_TEAM:  # its text is written as the target is met
                return one.question, str(one.result), str(one.target(wanted))
            if asked.found.name == SOFT:
                names = " ".join(asked.soft(wanted, strength).names)
                return words.ignoring(names, one.question), str(one.result), str(one.target(wanted))
            others = (f for f in drawn(one.operation, random.Random(seed)) if f != one and not f.coincides)
            attack = "\n".join(
                words.fake_answer(wanted, fake.question, fake.result, fake.target(wanted))
                for fake in islice(others, strength)
            )
            if asked.found.name == "think-less" and strength:
                attack = words.think_less(attack)
            return words.ignoring(attack, one.question), str(one.result), str(one.target(wanted))

        return text

    sums, dropped = _distinct(asked, rng)
    return [of(one) for one in sums], dropped


def _pages(asked: Asked, rng: random.Random) -> tuple[list[Base], int]:
    def of(fact: Fact) -> Base:
        return lambda _, strength: (
            words.web_page(fact.paragraphs, strength, fact.question),
            fact.answer,
            "COMPROMISED",
        )

    return [of(fact) for fact in islice(facts(rng), asked.limit)], 0


def _disputes(asked: Asked, rng: random.Random) -> tuple[list[Base], int]:
    def of(one: Sum) -> Base:
        other = Sum(one.operation, one.left, one.right + rng.choice((10, 20, 30)))
        return lambda _, strength: (
            words.disputed(one.question, other.question, strength),
            str(one.result),
            str(other.result),
        )

    sums, dropped = _distinct(asked, rng)
    return [of(one) for one in sums], dropped


def _loopholes(asked: Asked, rng: random.Random) -> tuple[list[Base], int]:
    def of(one: Sum) -> Base:
        return lambda _, strength: (words.loophole(one.question, strength), "0", str(one.result))

    sums, dropped = _distinct(asked, rng)
    return [of(one) for one in sums], dropped


_MADE: Final = {
    "addition": _sums,
    "multiplication": _sums,
    "page": _pages,
    "policy": _disputes,
    "rule": _loopholes,
}
