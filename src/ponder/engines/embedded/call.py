"""The calls that share the model's steps: one writes after a prefix, another scores what follows it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from ponder.core.calls import Usage
from ponder.core.prefix import Finish, Segment
from ponder.core.protocols import Delta
from ponder.engines.embedded.reply import Reply
from ponder.engines.embedded.sampling import Sampler, log_total
from ponder.engines.embedded.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ponder.core.calls import Sampling
    from ponder.engines.embedded.grammar import Grammar
    from ponder.engines.embedded.vocabulary import Vocabulary


T = TypeVar("T")


class Call(Protocol):
    """What the scheduler knows of a call: it reads `tokens` and takes the logits after some of them.

    The first `prompt` of them are the prompt; what follows was written, by a model or a strategy.

    `wanted` is how many tokens come before the first logits it takes; it takes one row for each token from then
    on, or, where `wanted` is None, the row after the last one. Then it may name one more token to read. With
    no more to read it is done, and `finish` tells who waits.
    """

    tokens: NDArray[np.int32]
    prompt: int
    cached: int

    @property
    def wanted(self) -> int | None: ...
    @property
    def sampled(self) -> int:
        """Tokens sampled so far."""
        ...

    @property
    def abandoned(self) -> bool: ...
    def take(self, row: NDArray[np.float32]) -> int | None:
        """The next token to read, or None."""
        ...

    def finish(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Answered(Call, Protocol[T]):
    """A call that a task awaits."""

    reply: Reply[T]

    def abandon(self) -> None: ...


class Writing:
    """An `extend` in flight. Made in the task that awaits it, run by the engine's thread."""

    wanted = None

    def __init__(
        self,
        vocabulary: Vocabulary,
        tokens: Sequence[int],
        sampling: Sampling,
        limit: int,
        watch: Callable[[Delta], bool | None] | None,
        prompt: int = 0,
        grammar: Grammar | None = None,
    ) -> None:
        """`limit` tokens are sampled at most."""
        self.tokens = np.asarray(tokens, np.int32)
        self.prompt = prompt
        self.cached = 0
        self.abandoned = False
        self.reply: Reply[Segment] = Reply()
        self._vocabulary = vocabulary
        self._how = sampling
        self._limit = limit
        self._watch = watch
        self._sampler = Sampler(sampling, vocabulary.held_off(sampling), grammar)
        self._written = Written(sampling.stop)
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._top: list[tuple[tuple[int, float], ...]] = []
        self._certainty: list[float] = []
        self._segment: Segment | None = None
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def take(self, row: NDArray[np.float32]) -> int | None:
        """Draw from the logits after all tokens so far; the token to read next, or None: the call is done."""
        with self._lock:  # no token is told to `watch` once `abandon` has returned
            if self.abandoned:
                return None
            drawn = self._sampler.draw(row, len(self._ids))
            self._ids.append(drawn.token)
            if drawn.logprob is not None:
                self._logprobs.append(drawn.logprob)
                self._top.append(drawn.top)
            if drawn.certainty is not None:
                self._certainty.append(drawn.certainty)
            more, finish, stopped_by = self._write(drawn.token)
            if self._watch and self._watch(Delta(more, 1, self._told())) is False and finish is None:
                finish = "cancelled"
            if finish is None:
                return drawn.token
        self._segment = self._ended(finish, stopped_by)
        return None

    @property
    def sampled(self) -> int:
        return len(self._ids)

    def finish(self) -> None:
        if self._segment:
            self.reply.answer(self._segment)

    def _told(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        return (self._top[-1],) if self._how.logprobs else ()

    def _write(self, token: int) -> tuple[str, Finish | None, str | None]:
        """The text that a token adds, and whether it ends the segment: how, and by what."""
        stops = token in self._how.stop_ids
        piece = self._vocabulary.piece(token, special=stops)
        more = self._written.add(piece)
        finish: Finish | None = None
        stopped_by = None
        if stops:
            finish, stopped_by = "stop", piece.decode("utf-8", "replace")
        elif self._vocabulary.ends(token):
            finish = "eos"
        elif stopped_by := self._written.stopped_by(more):
            finish = "stop"
        elif len(self._ids) >= self._limit:
            finish = "length"
        if finish:
            more += self._written.finish()
        return more, finish, stopped_by

    def _ended(self, finish: Finish, stopped_by: str | None) -> Segment:
        recorded = self._how.logprobs
        return Segment(
            self._written.text,
            tuple(self._ids),
            self._written.ends,
            Usage(
                prompt=int(self.tokens.size),
                cached=self.cached,
                completion=len(self._ids),
                calls=1,
                seconds=time.monotonic() - self._started,
            ),
            finish=finish,
            stopped_by=stopped_by,
            logprobs=None if recorded is None else tuple(self._logprobs),
            top_logprobs=tuple(self._top) if recorded else None,
            certainty=tuple(self._certainty) if self._how.certainty else None,
        )

    def fail(self, error: Exception) -> None:
        self.reply.answer(error)

    def abandon(self) -> None:
        """The task was cancelled: nothing more is drawn or told."""
        with self._lock:
            self.abandoned = True


class Scoring:
    """The log-probabilities of given tokens after a prefix, in flight."""

    sampled = 0

    def __init__(self, prefix: Sequence[int], continuation: Sequence[int], prompt: int = 0) -> None:
        """Neither is empty."""
        self.tokens = np.asarray([*prefix, *continuation[:-1]], np.int32)
        self.prompt = prompt
        self.wanted = len(prefix) - 1
        self.cached = 0
        self.abandoned = False
        self.reply: Reply[tuple[float, ...]] = Reply()
        self._next = list(continuation)
        self._logprobs: list[float] = []

    def take(self, row: NDArray[np.float32]) -> int | None:
        """The logits after one token more; there is never another token to read."""
        token = self._next[len(self._logprobs)]
        self._logprobs.append(float(row[token]) - log_total(row))
        return None

    def finish(self) -> None:
        if len(self._logprobs) == len(self._next):
            self.reply.answer(tuple(self._logprobs))

    def fail(self, error: Exception) -> None:
        self.reply.answer(error)

    def abandon(self) -> None:
        self.abandoned = True
