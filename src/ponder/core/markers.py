"""How a model's thinking is told from its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Markers:
    """What opens a model's thinking, what closes it, and what opens the answer after it.

    Args:
        start: written to open the thinking; "" where the chat template has opened it already.
        end: closes it, one special token as a rule; "" for a model without thinking tokens, which has thought when it
            would end its turn.
        answer: written after `end` to open the answer.
        token: the id of `end`, where the model has one token for it.

    """

    start: str = ""
    end: str = ""
    answer: str = ""
    token: int | None = None

    @property
    def stops(self) -> dict[str, Any]:
        """What a sampling stops at so that it ends with the thinking, besides end-of-text.

        A token stops by its id, which `min_tokens` holds off; only where there is none, by its text.
        """
        if self.token is not None:
            return {"stop_ids": (self.token,)}
        return {"stop": (self.end,)} if self.end else {}
