"""Lookahead search: a beam search that values a step by where it leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.beam_search import BeamSearch
from ponder.strategies.catalogue import Count, method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.protocols import Run


@method
class Lookahead(BeamSearch):
    """Beam search in which the value of a candidate is that of its roll-out (Snell et al. 2024, 2408.03314, section 5.2).

    Each candidate is rolled `k` steps forward at temperature 0 and is worth what the path is worth there. The
    roll-out is then thrown away, but paid: the receipt has it under the role "lookahead".
    """

    name: ClassVar[str] = "lookahead"
    aliases: ClassVar[tuple[str, ...]] = ("lookahead-search",)
    paper: ClassVar[str] = "2408.03314"
    cost: ClassVar[str] = "n * (k + 1) * L, and what the scorer reads at every step"

    roles: ClassVar[tuple[str, ...]] = ("solver", "lookahead")
    scored: ClassVar[tuple[str, ...]] = roles

    k: Count = 3

    async def values(self, run: Run, paths: Sequence[Prefix]) -> list[float]:
        return await super().values(run, await run.each(lambda path: self.ahead(run, path), paths))

    async def ahead(self, run: Run, path: Prefix) -> Prefix:
        """Where the likeliest text leads in `k` steps."""
        for _ in range(self.k):
            if self.over(path):
                break
            path = await run.extend(path, role="lookahead", **self.step([path]) | {"temperature": 0.0})
        return path
