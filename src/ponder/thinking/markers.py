"""Families of thinking models: which markers a chat template speaks of, and what closes a thinking section."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final

from ponder.core.errors import UsageError
from ponder.core.markers import Markers
from ponder.thinking.prompts.asking import LETS_THINK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Segment

FINAL: Final = "Final Answer:"
"""What s1 writes after a thinking section that was cut off (2501.19393, section 3.1)."""

FAMILIES: Final[dict[str, Markers]] = {
    "text": Markers(LETS_THINK, "", ""),
    "think": Markers("<think>\n", "</think>"),
    "s1": Markers("<|im_start|>think", "<|im_start|>", "answer"),
    "gpt-oss": Markers(
        "<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant<|channel|>final<|message|>"
    ),
}
"""By name. `text` is any instruct model; `think` Qwen3, QwQ, DeepSeek-R1 and most others; s1's model has the chat
template of Qwen2.5, so that nothing tells it but its name."""

_TAG = re.compile(r"<(think|thinking|thought|reasoning|seed:think)>")
_HARMONY = "<|channel|>analysis"


def of_template(source: str | None, opened: str = "") -> Markers:
    """The markers that a chat template speaks of.

    Args:
        source: the template; None for a model without one.
        opened: what it writes before an answer: some templates open the thinking themselves.

    """
    if source and _HARMONY in source:
        return FAMILIES["gpt-oss"]
    if source and (tag := _TAG.search(source) or _TAG.search(opened)):
        start, end = f"<{tag[1]}>\n", f"</{tag[1]}>"
        return Markers("" if opened.rstrip().endswith(start.strip()) else start, end)
    return FAMILIES["text"]


def named(text: str, found: Markers) -> Markers:
    """What a parameter says: "auto" for those found, a family's name, or a START...END of one's own.

    Raises:
        UsageError: it is none of these.

    """
    if text == "auto":
        return found
    if text in FAMILIES:
        return FAMILIES[text]
    start, dots, end = text.partition("...")
    if not (dots and end):
        raise UsageError(
            f"There are no markers {text!r}. There are: auto, {', '.join(FAMILIES)}, or your own as START...END, "
            "for example <reasoning>...</reasoning>."
        )
    return Markers(start, end)


def closing(markers: Markers, thought: str, *, cut: bool) -> str:
    """What ends a thinking section and opens the answer.

    "Final Answer:" comes only where the thinking was cut off (2501.19393, section 3.1); a model without thinking
    tokens has no other words that say "answer now", and gets it always.
    """
    if markers.end and not cut:
        return markers.end + markers.answer
    newline = "" if thought.endswith("\n") else "\n"
    return newline + (f"{markers.end}{markers.answer}\n" if markers.end else "") + FINAL


def tokens(markers: Markers, text: str, ends: tuple[int, ...] | None, written: int) -> int:
    """How many of the `written` tokens of a text are thinking, the markers around it not among them.

    Where the text does not say where its tokens end, they are taken to be equally long.
    """
    if not markers.end:
        return 0
    close = text.find(markers.end)
    opening = markers.start.strip()
    opened = text.find(opening) if opening else -1
    if close < 0 and opening and opened < 0:
        return 0
    begin = opened + len(opening) if opened >= 0 else 0
    close = len(text) if close < 0 else max(close, begin)
    if ends is None:
        return round(written * (close - begin) / max(1, len(text) - begin))
    return sum(begin <= start and end <= close for start, end in itertools.pairwise((0, *ends)))


def thought(segments: Sequence[Segment], markers: Markers) -> int:
    """Tokens of these segments that are thinking: as the server counted them where it keeps its reasoning apart and
    says so, else about, by its share of the characters, where it tells no ends of tokens.
    """
    sampled = [s for s in segments if s.sampled]
    told = sum(int(s.payload.extra.get("reasoning_tokens", 0)) for s in sampled if s.payload)
    if told:
        return told
    written = sum(s.usage.completion for s in sampled)
    reasoning = "".join(str(s.payload.extra.get("reasoning", "")) for s in sampled if s.payload)
    text = "".join(s.text for s in sampled)
    if reasoning:
        return round(written * len(reasoning) / (len(reasoning) + len(text)))
    return tokens(markers, text, sampled[0].ends if len(sampled) == 1 else None, written)
