"""Text as an immutable value with provenance: prompts, segments, and the paths they form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ponder.core.calls import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.problem import Message

Finish = Literal["stop", "length", "eos", "tool_calls", "filtered", "cancelled"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is given before it writes: a conversation, or `raw` text that no template touches."""

    messages: tuple[Message, ...] = ()
    raw: str | None = None
    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    response_format: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text with one origin.

    Args:
        text: exactly what was written, the stop string included. End-of-text has no text.
        token_ids: every token sampled, end-of-text included, where the engine gives them; a path is continued
            by these ids, never by tokenising its text again (METHODS 0.1).
        ends: for each token, where in `text` it ends (characters).
        sampled: False if a strategy wrote it ("Wait").
        stopped_by: the stop string found, or the text of the stop id.
        logprobs: per token, of the model's own distribution; in nats. A server may leave some tokens out.
        top_logprobs: per token, the likeliest ids with theirs, likeliest first.
        certainty: per token, how far the model's own distribution was from uniform: KL(uniform || p) over the
            whole vocabulary, in nats (arXiv 2502.18581, section 3); the mean over tokens is the self-certainty.
        payload: the message as the server returned it: tool calls, refusal, separate reasoning.
        place: where in the program it was drawn ("0.2.3"); the trace's name for it.

    """

    text: str
    token_ids: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None
    usage: Usage = Usage()
    sampled: bool = True
    finish: Finish = "stop"
    stopped_by: str | None = None
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[tuple[int, float], ...], ...] | None = None
    certainty: tuple[float, ...] | None = None
    payload: Message | None = None
    place: str = ""

    def at(self, place: str) -> Segment:
        """The same, drawn at this place. Every sample is told where it is: `replace` takes four times as long."""
        return Segment(
            self.text,
            self.token_ids,
            self.ends,
            self.usage,
            self.sampled,
            self.finish,
            self.stopped_by,
            self.logprobs,
            self.top_logprobs,
            self.certainty,
            self.payload,
            place,
        )


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt and all written after it: one path of the trace tree.

    `origin` is the place of the path that the prompt was made from (that it judges, or revises), so that the trace
    hangs there what is written after it.
    """

    prompt: Prompt
    segments: tuple[Segment, ...] = ()
    origin: str = field(default="", compare=False)

    def __add__(self, more: Segment | str) -> Prefix:
        """The path with one segment more; a string is a segment that the strategy wrote. "" adds nothing."""
        if isinstance(more, str):
            if not more:
                return self
            more = Segment(more, sampled=False)
        return Prefix(self.prompt, (*self.segments, more), self.origin)

    @property
    def text(self) -> str:
        """All that was written after the prompt."""
        return "".join(s.text for s in self.segments)

    @property
    def tokens(self) -> int:
        """Tokens sampled on this path."""
        return sum(s.usage.completion for s in self.segments)

    @property
    def last(self) -> Segment | None:
        """The last sampled segment."""
        for segment in reversed(self.segments):
            if segment.sampled:
                return segment
        return None

    @property
    def place(self) -> str:
        """Where the last sampled segment was drawn; at the prompt its `origin`."""
        last = self.last
        return self.origin if last is None else last.place

    @property
    def done(self) -> bool:
        """Whether the model ended the text itself."""
        return bool(self.segments) and self.segments[-1].finish in ("eos", "tool_calls", "filtered")

    @property
    def cut(self) -> bool:
        """Whether the text was cut off by a limit rather than ended."""
        return bool(self.segments) and self.segments[-1].finish in ("length", "cancelled")

    @property
    def stopped_by(self) -> str | None:
        return self.segments[-1].stopped_by if self.segments else None

    @property
    def before_stop(self) -> Prefix:
        """The path up to, and without, the stop string, stop id or end-of-text that ended its last segment.

        Whole tokens are kept as ids. Where the stop begins inside a token, what that token wrote before it
        is kept as text, for it has no ids of its own.
        """
        if not self.segments:
            return self
        last, before = self.segments[-1], Prefix(self.prompt, self.segments[:-1], self.origin)
        if last.finish == "eos":
            if last.token_ids is None:
                return before + replace(last, finish="length")
            return before + _keep(last, len(last.token_ids) - 1, last.text)
        if last.finish != "stop" or last.stopped_by is None:
            return self
        return _cut(before, last, _start_of_stop(last, last.stopped_by), len(last.token_ids or ()) - 1)

    def upto(self, length: int) -> Prefix:
        """The path up to the first `length` characters that were written after the prompt.

        It is cut as `before_stop` cuts: whole tokens are kept as ids.
        """
        path = Prefix(self.prompt, (), self.origin)
        for segment in self.segments:
            if length < len(segment.text):
                return _cut(path, segment, length, len(segment.token_ids or ()))
            path += segment
            length -= len(segment.text)
        return path

    def cut_off(self, finish: Literal["length", "cancelled"] = "length", why: str | None = None) -> Prefix:
        """The path as one whose last segment was cut off: by a limit, or by a rule that says `why`."""
        if not self.segments:
            return self
        last = replace(self.segments[-1], finish=finish, stopped_by=why)
        return Prefix(self.prompt, (*self.segments[:-1], last), self.origin)

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability of the sampled tokens, in nats; NaN where none were recorded."""
        values = [p for s in self.segments if s.sampled for p in s.logprobs or ()]
        return sum(values) / len(values) if values else float("nan")

    def rewind(self, steps: int = 1) -> Prefix:
        """The path without its last `steps` sampled segments, nor what was written after them."""
        segments = self.segments
        for _ in range(steps):
            while segments and not segments[-1].sampled:
                segments = segments[:-1]
            segments = segments[:-1]
        return Prefix(self.prompt, segments, self.origin)


def _start_of_stop(segment: Segment, stop: str) -> int:
    """Where the stop begins: a stop token is the last one, a stop string the first place where it reads so."""
    ends = (0, *(segment.ends or ()))
    if len(ends) > 1 and segment.text[ends[-2] :] == stop:
        return ends[-2]
    found = segment.text.find(stop)
    return len(segment.text) if found < 0 else found  # an engine may leave it out


def _cut(before: Prefix, segment: Segment, length: int, most: int) -> Prefix:
    """`before` and the first `length` characters of a segment, of its first `most` tokens at most."""
    text = segment.text[:length]
    if not segment.sampled:
        return before + text
    if segment.ends is None or segment.token_ids is None:
        # Which of its tokens wrote this text is not known.
        return before + replace(
            segment, text=text, token_ids=None, ends=None, stopped_by=None, finish="length"
        )
    whole = sum(end <= length for end in segment.ends[:most])
    start = segment.ends[whole - 1] if whole else 0
    kept = before + _keep(segment, whole, text[:start]) if whole else before
    return kept + text[start:]


def _keep(segment: Segment, n: int, text: str) -> Segment:
    """The first `n` tokens of a segment, which wrote `text`; it no longer counts as ended."""
    return replace(
        segment,
        text=text,
        token_ids=segment.token_ids[:n] if segment.token_ids is not None else None,
        ends=segment.ends[:n] if segment.ends is not None else None,
        logprobs=segment.logprobs[:n] if segment.logprobs is not None else None,
        top_logprobs=segment.top_logprobs[:n] if segment.top_logprobs is not None else None,
        certainty=segment.certainty[:n] if segment.certainty is not None else None,
        finish="length",
        stopped_by=None,
    )
