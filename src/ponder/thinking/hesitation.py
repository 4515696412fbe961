"""Whether somebody who was asked for an answer is sure of it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = re.compile(r"\b(?:wait|hold|but|okay|no|hmm)\b", re.IGNORECASE)
"""The words of Dynasor's released code (2412.20993)."""


def hesitates(text: str) -> bool:
    """Whether an answer has words of doubt in it."""
    return _WORDS.search(text) is not None


def mean_probability(logprobs: Sequence[float]) -> float:
    """The geometric mean of the tokens' probabilities; 0 of no tokens."""
    return math.exp(math.fsum(logprobs) / len(logprobs)) if logprobs else 0.0
