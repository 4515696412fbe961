"""Choosing among programs by what they do: public tests passed, and clusters of equal outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ponder.core.executions import Stdin
from ponder.thinking.values import key, literal, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.executions import Execution, Input
    from ponder.core.prefix import Prefix
    from ponder.thinking.examples import Example


@dataclass(frozen=True, slots=True)
class Draft:
    """A text with a program in it: `code` is "" where there is none, `passed` the share of public tests that it passes."""

    path: Prefix
    code: str = ""
    passed: float = 0.0


def behaviour(executions: Sequence[Execution]) -> str | None:
    """What programs that do the same have in common; None where it gave no output at all. All errors are alike."""
    if all(one.output is None for one in executions):
        return None
    return json.dumps([None if one.output is None else key(one.output) for one in executions])


def passes(execution: Execution, example: Example) -> bool:
    """Whether the output is the one that the example shows."""
    return execution.output is not None and key(execution.output) == key(example.expected)


def best_of(drafts: Sequence[Draft]) -> list[Draft]:
    """Those with programs that pass the largest share of the public tests: all of them, if there is one that does."""
    able = [draft for draft in drafts if draft.code]
    most = max((draft.passed for draft in able), default=0.0)
    return [draft for draft in able if draft.passed == most]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Programs that do the same, in their order, and what they gave."""

    drafts: tuple[Draft, ...]
    gave: tuple[Execution, ...]

    @property
    def first(self) -> Draft:
        """Its representative."""
        return self.drafts[0]


def clusters(drafts: Sequence[Draft], done: Sequence[Sequence[Execution]]) -> list[Cluster]:
    """The drafts that do the same: the largest cluster first, then the earliest.

    Drafts that gave no output at all are left out, if any gave one (METHODS 14: error outputs are dropped).

    Raises:
        ValueError: there are no drafts.

    """
    if not drafts:
        raise ValueError("A choice needs programs.")
    found: dict[str | None, Cluster] = {}
    for draft, executions in zip(drafts, done, strict=True):
        name = behaviour(executions)
        before = found.get(name, Cluster((), tuple(executions)))
        found[name] = Cluster((*before.drafts, draft), before.gave)
    if len(found) > 1:
        found.pop(None, None)
    return sorted(found.values(), key=lambda cluster: -len(cluster.drafts))


def differences(
    inputs: Sequence[Input], one: Sequence[Execution], other: Sequence[Execution]
) -> list[tuple[str, str, str]]:
    """(input, output, output) where both gave an output and not the same; where there are none, where one gave none."""
    both = list(zip(inputs, one, other, strict=True))
    apart = [x for x in both if x[1].output and x[2].output and key(x[1].output) != key(x[2].output)]
    apart = apart or [x for x in both if (x[1].output is None) != (x[2].output is None)]
    return [(spoken(given), gave(a), gave(b)) for given, a, b in apart]


def pairs(n: int, most: int) -> list[tuple[int, int]]:
    """At most so many pairs of n clusters, those of the largest first."""
    return sorted(combinations(range(n), 2), key=sum)[:most]


def most_points(n: int, duels: Sequence[tuple[int, int]], points: Sequence[tuple[float, float]]) -> int:
    """The cluster with most points from its duels; of several the first, which is the largest."""
    total = [0.0] * n
    for pair, of_pair in zip(duels, points, strict=True):
        for i, more in zip(pair, of_pair, strict=True):
            total[i] += more
    return total.index(max(total))


def spoken(given: Input) -> str:
    """An input as Python writes it."""
    if isinstance(given, Stdin):
        return repr(given.text[:400])
    try:
        args, named = unpack(given.args)
    except ValueError:
        return f"{given.function}(...)"
    told = [*map(repr, args), *(f"{name}={value!r}" for name, value in named.items())]
    written = f"{given.function}({', '.join(told)})"
    return written if len(written) <= 400 else written[:400] + "..."


def gave(execution: Execution) -> str:
    """An output as Python writes it, or the error in words."""
    return execution.error or "" if execution.output is None else literal(execution.output)


def failure(example: Example, execution: Execution) -> str:
    """What a failed example tells whoever debugs."""
    return f"{spoken(example.call)} should give {literal(example.expected)}; it gave {gave(execution)}"
