"""Reading criticism, and what was made of it: formats that models are asked to keep, and often do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ponder.core.prefix import Prefix, Prompt, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

OPEN, CLOSE = "<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>"
"""Where an improved text stands, in TextGrad and so in TPO (2501.12895)."""

CORRECT = "It is correct."
"""What ends Self-Refine (2303.17651)."""

LEVELS = ("not", "slightly", "partially", "mostly", "perfectly")
"""How helpful a response is, as feedback opens (2503.04378)."""

_OPENING = re.compile(rf"\s*(?:The|This) response is ({'|'.join(LEVELS)}) helpful\b", re.IGNORECASE)
_CONSTRUCTIVE = re.compile(
    r"\b(however|but|although|could|should|would|instead|missing|lacks?|omits?|unclear|incorrect(?:ly)?|wrong(?:ly)?|"
    r"errors?|mistakes?|improve[ds]?|better|needs? to|fails?)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\s][^.!?]*(?:[.!?](?=\s|$)|$)")


def improved(path: Prefix, prompt: Prompt) -> Prefix | None:
    """The text between the tags, as a response to `prompt`; None where there is none.

    The closing tag may be missing where the model ended the text itself. The tokens that lie within the tags keep
    their log-probabilities, which are those under the prompt that the text was written after; it has no ids, for its
    first and last tokens may reach into the tags.
    """
    last = path.last
    if last is None:
        return None
    before, found, rest = last.text.rpartition(OPEN)
    inner, closed, _ = rest.partition(CLOSE)
    text = inner.strip()
    if not found or not text or (not closed and last.finish != "eos"):
        return None
    start = len(before) + len(OPEN) + inner.index(text)
    return Prefix(prompt, (_excerpt(last, start, start + len(text)),))


def _excerpt(segment: Segment, start: int, end: int) -> Segment:
    """The part of a segment between two characters, as a whole text of its own."""
    ends = segment.ends or ()
    inside = [i for i, stop in enumerate(ends) if start <= (ends[i - 1] if i else 0) and stop <= end]
    kept = slice(inside[0], inside[-1] + 1) if inside else slice(0, 0)
    return Segment(
        segment.text[start:end],
        usage=segment.usage,
        finish="eos",
        logprobs=segment.logprobs[kept] if segment.logprobs is not None else None,
        top_logprobs=segment.top_logprobs[kept] if segment.top_logprobs is not None else None,
        certainty=segment.certainty[kept] if segment.certainty is not None else None,
        place=segment.place,
    )


def found_correct(feedback: str) -> bool:
    """Whether feedback holds the phrase that ends refinement."""
    return CORRECT.rstrip(".").casefold() in " ".join(feedback.split()).casefold()


def most_useful(feedback: Sequence[str], n: int) -> list[str]:
    """The `n` most constructive of several texts of feedback, best first; the first seen on a tie.

    Those come first that keep to the form (an opening that says how helpful the response is, two to ten sentences) and
    find something to mend, then those with more different words of criticism. Empty texts are left out.
    """
    return sorted(filter(str.strip, feedback), key=_usefulness, reverse=True)[:n]


def _usefulness(feedback: str) -> tuple[bool, int]:
    opening = _OPENING.match(feedback)
    formed = opening is not None and 2 <= len(_SENTENCE.findall(feedback)) <= 10
    mends = opening is None or opening[1].lower() != LEVELS[-1]
    words = {word.lower() for word in _CONSTRUCTIVE.findall(feedback)}
    return formed and mends and bool(words), len(words)


def shape(n: int, ratio: float) -> tuple[int, int]:
    """(chains, depth) of `n` attempts, depth / chains as near to `ratio` as whole numbers allow (2408.03314, section 6.2).

    chains * depth == n always. The ratio is measured by its logarithm, and on a tie there are more chains.

    Raises:
        ValueError: there are no attempts, or the ratio is not positive.

    """
    if n < 1 or not ratio > 0:
        raise ValueError("A shape needs attempts, and a ratio above 0.")
    depths = [depth for depth in range(1, n + 1) if n % depth == 0]
    depth = min(depths, key=lambda d: max(d * d / n / ratio, ratio * n / (d * d)))
    return n // depth, depth
