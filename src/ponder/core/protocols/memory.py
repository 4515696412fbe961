"""Texts outside the model."""

from __future__ import annotations

from typing import Protocol


class Memory(Protocol):
    """Texts outside the model, which can be asked for those that bear on a query."""

    @property
    def name(self) -> str: ...

    async def recall(self, query: str, k: int) -> list[str]:
        """At most `k` texts, the most relevant first; none where nothing bears on the query."""
        ...
