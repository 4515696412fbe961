"""What an evaluation is to do: its jobs, in rounds, and what a job has shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ponder.core import events as e
from ponder.evals.attacks.red_teaming import played
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ponder.core.protocols import Strategy
    from ponder.evals.values import Arm, Item


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to be made; `part` is the arm that it is a part of, where that is another."""

    arm: Arm
    item: Item
    seed: int
    part: Arm | None = None

    @property
    def name(self) -> tuple[str, str, str, int]:
        """What tells it from all others: strategy, budget, item, seed."""
        return self.arm.strategy, self.arm.budget, self.item.problem.id, self.seed


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be attempted. Items come outermost, so that the arms share what is read and drawn for each."""

    asks: ClassVar[bool] = False
    """Whether its rounds ask what came of those before."""

    items: tuple[Item, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        """How many attempts there are."""
        return len(self.items) * len(self.arms) * len(self.seeds)

    def strategies(self) -> list[Strategy]:
        """Those of the arms as they meet the items, each way once."""
        strategies = [parse(arm.strategy) for arm in self.arms]
        ways = {type(played(strategy, item)): item for item in self.items for strategy in strategies[:1]}
        return [played(strategy, item) for item in ways.values() for strategy in strategies]

    def jobs(self) -> Iterator[Job]:
        """All of them, in order; of a plan that is made as it goes, none."""
        return (job for item in self.items for job in self.of(item))

    def of(self, item: Item) -> Iterator[Job]:
        """Those of one item, in order."""
        return (Job(arm, item, seed) for seed in self.seeds for arm in self.arms)

    def rounds(self, shown: Callable[[Job], Shown | None]) -> Iterator[Iterable[Job]]:  # noqa: ARG002
        """What may be begun together; each round once the one before has ended, and then `shown` tells what came of it."""
        yield self.jobs()

    def over(self, finished: frozenset[tuple[str, str, str, int]]) -> bool:
        """Whether nothing is left to be done."""
        return len(finished) == len(self)


@dataclass(frozen=True, slots=True)
class Shown:
    """What an attempt has shown: each sample's answer by key, the tokens of the longest, and all that were spent."""

    keys: tuple[str | None, ...]
    longest: int
    tokens: int

    @classmethod
    def of(cls, events: Sequence[e.Event]) -> Shown:
        """Of an attempt's events."""
        extended = {event.place: event for event in events if isinstance(event, e.Extended)}
        keys = {
            place: key for event in events if isinstance(event, e.Answered) for place, _, key in event.answers
        }
        tokens = [event.usage.completion for event in extended.values()]
        return cls(tuple(keys.values()), max(tokens, default=0), sum(tokens))
