"""What an evaluation is made of: items, arms, outcomes, and the study they form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.core.calls import Usage
    from ponder.core.problem import Problem


@dataclass(frozen=True, slots=True)
class Item:
    """A problem with what is right. Only graders and tasks ever see `gold`; a strategy gets `problem` alone.

    Args:
        problem: what is asked; its id is unique within a study.
        gold: the right answer, as text; None where the task has none (then it is run, and not graded).
        task: the name of the task it comes from.
        family: what results are also split by ("arithmetic", "planning", ...); "" for none.
        level: difficulty as the task states it; None where it does not.
        grader: the name of the grader that judges it: "math", "choice", "exact", "json", or of the task's own.
        meta: whatever the task's own grader needs; plain JSON.

    """

    problem: Problem
    gold: str | None
    task: str = ""
    family: str = ""
    level: float | None = None
    grader: str = "math"
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """What is compared: a strategy within a budget, both as text.

    `oracle` marks methods that look at what is right (pass@k, the best strategy in hindsight): they never share a
    table with others unmarked (METHODS 19.6).
    """

    strategy: str
    budget: str
    oracle: bool = False

    def __str__(self) -> str:
        """As tables name it."""
        return f"{self.strategy} @ {self.budget}" + (" (oracle)" if self.oracle else "")


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of an attacker's within an outcome, and what its target made of it.

    Args:
        answer: of the target; None where it gave none, or was not asked.
        correct: its grade; None where nobody can tell.
        tokens: that the target wrote.
        attacker: tokens that the attacker wrote.
        unwilling: "refused" or "nothing" where the attacker wrote no text, so that the target was not asked.

    """

    answer: str | None
    correct: bool | None
    tokens: int
    attacker: int
    unwilling: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt of one arm at one item.

    Args:
        arm: which.
        item: the item's problem id.
        seed: of the run.
        answer: what was decided; None where there is none.
        correct: the grade; None where the item has no gold or the attempt broke with an error.
        usage: what the ledger was charged, in full, even where samples came from the shared pool.
        seconds: that the longest chain of calls which had to wait for each other took, as each was generated,
            whatever else ran beside it then.
        stop: why it ended; "failed" where it broke, and then `error` says why.
        failed: calls that failed for good.
        depth: tokens of the longest chain of calls that had to wait for each other: sequential depth.
        length: mean completion tokens of a candidate.
        thinking: tokens sampled on the chosen path before its last call, which is the answer where a method thinks first.
        switches: of thought, that the model made itself on the chosen path; None where there is none.
        looped: that path ran into a loop.
        votes: weight by answer.
        attempt: the id under which its trace is stored.
        tries: of an attacker's that tries again and again, in order; none elsewhere.

    """

    arm: Arm
    item: str
    seed: int
    answer: str | None
    correct: bool | None
    usage: Usage
    seconds: float = 0.0
    stop: str = "finished"
    error: str = ""
    failed: int = 0
    depth: int = 0
    length: float = 0.0
    thinking: int | None = None
    switches: int | None = None
    looped: bool = False
    votes: tuple[tuple[str, float], ...] = ()
    attempt: str = ""
    tries: tuple[Try, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """All that was measured with one command, and all that is needed to measure it again.

    Args:
        name: the run's id.
        command: the words of the command line.
        model: as the engine names it.
        simulated: whether the model is a simulation, which is then said wherever a figure is shown.
        versions: of ponder, Python and what matters.
        seeds: of the attempts.
        items: by problem id.
        outcomes: in any order.
        generated: completion tokens that were really sampled; outcomes are charged for those they share, too.
        samples: for each item, the (answer key, completion tokens, correct) of each sample of the widest pool,
            in order of index: what pass@k and maj@k are computed from.
        complaints: what was left out as the problems were made or read, a sentence each.

    """

    name: str
    command: Sequence[str]
    model: str
    simulated: bool
    versions: Mapping[str, str]
    seeds: Sequence[int]
    items: Mapping[str, Item]
    outcomes: Sequence[Outcome]
    generated: int = 0
    samples: Mapping[str, Sequence[tuple[str, int, bool]]] = field(default_factory=dict)
    complaints: Sequence[str] = ()
