"""Families of thinking models: which markers a chat template speaks of, and what closes a thinking section."""

from __future__ import annotations

import re
from typing import Final

from ponder.core.errors import UsageError
from ponder.core.markers import Markers
from ponder.thinking.prompts.asking import LETS_THINK

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
    """How many of the `written` tokens of a text are thinking, the closing marker not among them.

    Where the text does not say where its tokens end, they are taken to be equally long.
    """
    if not markers.end:
        return 0
    close = text.find(markers.end)
    opening = markers.start.strip()
    if close < 0 and opening and opening not in text:
        return 0
    if close < 0:
        return written
    if ends is None:
        return round(written * close / len(text))
    return sum(end <= close for end in ends)
