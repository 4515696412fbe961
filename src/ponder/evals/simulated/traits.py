"""What a simulated model is like, as a value that can be written down: "simulated:seed=3,skill=0.5"."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Final

from ponder.core.errors import UnknownName, UsageError

_INF = float("inf")
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "seed": (0, 10**15 - 1),
    "skill": (0, 1),
    "spread": (0, 10),
    "tail": (0, 1),
    "notice": (0, 0.5),
    "correct": (0, 1),
    "spoil": (0, 1),
    "wordy": (0, 0.5),
    "ramble": (0, 0.5),
    "draft": (1, 100),
    "direct": (1, 100),
    "rate": (0, _INF),
}


@dataclass(frozen=True, slots=True)
class Traits:
    """What a simulated model is like. Probabilities are those at temperature 1.

    Args:
        seed: of its world, of which steps it finds hard, and of calls that bring no seed. Models that differ in
            their seed alone are equally good at different problems.
        skill: in [0, 1]. A step is right with log-odds 4 + 6 (skill - difficulty) + spread * z, where z is of the
            step and standard normal over all steps.
        spread: standard deviation of those log-odds. Without it the likeliest answer is almost always right, and
            greedy decoding and votes never fail.
        tail: the share of slips that go to the long tail, 24 answers alike; the others share out 4 : 2 : 1 over the
            problem's three attractive wrong answers.
        notice: that a wrong chain says "Wait" before its next step; at most 0.5, so that no greedy text loops.
        correct: that a wrong chain is put right after a "Wait", its own or a strategy's.
        spoil: that a right chain is put wrong after a "Wait".
        wordy: that a step of a right chain has one clause more, after each; at most 0.5.
        ramble: the same of a wrong chain.
        draft: a step of a draft is right with p**draft, where p is the step's in a full chain.
        direct: likewise for each step that is done in the head.
        rate: tokens a second; 0 is at once.

    """

    name: ClassVar[str] = "simulated"

    seed: int = 0
    skill: float = 0.5
    spread: float = 1.5
    tail: float = 0.2
    notice: float = 0.1
    correct: float = 0.5
    spoil: float = 0.1
    wordy: float = 0.4
    ramble: float = 0.5
    draft: float = 1.5
    direct: float = 3.0
    rate: float = 0.0

    def __post_init__(self) -> None:
        """Raises UsageError for a value out of its range."""
        for trait, (low, high) in _RANGES.items():
            value = getattr(self, trait)
            if not low <= value <= high or value == _INF:
                limits = f">= {low:g}" if high == _INF else f"{low:g} to {high:g}"
                raise UsageError(f"{self.name} takes {trait} {limits}, not {value}.")

    @classmethod
    def parse(cls, text: str) -> Traits:
        """Read "simulated" or "simulated:trait=value,...", as strategies are written.

        Raises:
            UnknownName: there is no such trait; near names are suggested.
            UsageError: a value cannot be read or makes no sense.

        """
        name, _, rest = text.strip().partition(":")
        if name != cls.name:
            raise UnknownName("simulated model", name, [cls.name])
        known: dict[str, type[float]] = {f.name: int if f.type == "int" else float for f in fields(cls)}
        given: dict[str, float] = {}
        for part in filter(None, (p.strip() for p in rest.split(","))):
            trait, equals, value = (p.strip() for p in part.partition("="))
            if not equals:
                raise UsageError(f"Write {name}:trait=value, not {part!r}. Traits: {', '.join(known)}.")
            if trait not in known:
                raise UnknownName(f"trait of {name}", trait, known)
            try:
                given[trait] = known[trait](value)
            except ValueError:
                kind = "a whole number" if known[trait] is int else "a number"
                raise UsageError(f"{name}:{trait} takes {kind}, not {value!r}.") from None
        return cls(**given)  # type: ignore[arg-type]  # each was read as its own type

    def __str__(self) -> str:
        """The inverse of `parse`; traits at their defaults are left out."""
        parts = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return self.name + (":" + ",".join(parts) if parts else "")
