"""The thread that owns the model: every call of every strategy in each step."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from ponder.core.errors import EngineClosed, EngineError
from ponder.engines._llama import Batch, recent_log
from ponder.engines.embedded.cells import Cells
from ponder.engines.embedded.reply import Reply
from ponder.engines.embedded.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.engines._llama import Context
    from ponder.engines.embedded.call import Answered, Call

T = TypeVar("T")

CHUNK = 64
"""Prefix tokens read in a step in which others write, for each call that waits for them: a long prompt must not
stall who writes, nor they the many who share one. llama.cpp reads 64 tokens at a time about as fast as 512."""
ALONE = 256
"""The most, and what is read where nobody writes: a step cannot be interrupted."""
ROWS = 64
"""Rows of logits a step may keep for scoring, beside one for each call that writes."""
MOVES = 4
"""Sequences moved in a step at most: each takes as long as a few tokens."""


@dataclass(slots=True, eq=False)
class _Live:
    """A call that has a sequence. `begin` is where the next token to read stands."""

    call: Call
    sequence: int
    tokens: list[int]  # known and not yet read
    begin: int
    writing: bool = False
    done: bool = False


class _Piece(NamedTuple):
    """What a call reads in a step, and which rows of the step's logits it takes."""

    live: _Live
    n: int
    rows: range


class Scheduler:
    """Runs calls: submitted from any thread, in order of arrival, as many at once as there are sequences.

    In each step every call that writes reads its last token, and those that read their prefix a chunk of it.
    A call whose prefix another call is just reading waits for that one and forks from it.

    The last digits of a token's logits depend on the shape of the step it was computed in. Where they must not
    depend on the neighbours (`alike`), there are two kinds of step: a block of one prompt, counted from its
    begin, alone; and one token of every sequence there is, whether a call has it or not. Then a token's logits
    depend on the tokens before it and on where the prompt ends, and on nothing else.
    """

    def __init__(
        self, context: Context, free: Callable[[], None], *, gathers: bool = False, alike: bool = False
    ) -> None:
        """`free` gives the model back; called once, from the thread, when it ends.

        `gathers`: a gap between the sequences in a step costs more than to move one of them. The context's last
        sequence is then kept free for it. `alike` goes without it, and keeps each sequence's last cell free.
        """
        self.stats = Stats()
        self._context = context
        self._free = free
        self._gathers = gathers
        self._alike = alike
        self._block_next = True
        self._lent: list[int] = []  # sequences that read a token which nobody asked for
        self._batch = Batch(context.n_batch)
        self._cells = Cells(context.n_seq_max - gathers, context.n_ctx_seq, CHUNK if alike else 0)
        self._waiting: deque[Call] = deque()
        self._held_up = 0  # calls that wait for a prefix which another one reads
        self._live: list[_Live] = []
        self._wake = threading.Condition()
        self._inbox: deque[Call] = deque()
        self._jobs: deque[tuple[Callable[[], Any], Reply[Any]]] = deque()
        self._closing = False
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="ponder-llama", daemon=True)
        self._thread.start()

    # -- from any thread ------------------------------------------------------------------------------------

    def submit(self, call: Call) -> None:
        """Raises EngineClosed, or EngineError in a process that was forked from the one that opened the engine."""
        self.check()
        with self._wake:
            if self._closing:
                raise _closed()
            self._inbox.append(call)
            self._wake.notify()

    async def answer(self, call: Answered[T]) -> T:
        """What a call comes to; raises what `submit` does. If the task that waits is cancelled, the call leaves
        the engine between two steps.
        """
        try:
            self.submit(call)
            return await call.reply.wait()
        except BaseException:
            call.abandon()
            self.nudge()
            raise

    def run(self, job: Callable[[], T]) -> Reply[T]:
        """Have something done in the engine's thread between two steps; raises what `submit` would."""
        self.check()
        reply: Reply[T] = Reply()
        with self._wake:
            if self._closing:
                raise _closed()
            self._jobs.append((job, reply))
            self._wake.notify()
        return reply

    def check(self) -> None:
        """Raises what `submit` would."""
        if os.getpid() != self._process:
            raise EngineError(
                "This engine was opened in another process, and its thread did not come along through the fork. "
                "Open it in the process that uses it, or start processes with the spawn method."
            )
        if self._closing:
            raise _closed()

    def nudge(self) -> None:
        """Look again: a call was abandoned."""
        with self._wake:
            self._wake.notify()

    def close(self) -> None:
        """End after the step that is running; calls in flight get EngineClosed. Waits for that."""
        if os.getpid() != self._process:
            return
        with self._wake:
            self._closing = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # -- the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._arrivals():
                try:
                    self._job()
                    self._step()
                except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
                    self._fail(error)
        finally:
            with self._wake:
                self._closing = True
                self._waiting.extend(self._inbox)
                self._inbox.clear()
            for call in [*(live.call for live in self._live), *self._waiting]:
                call.fail(_closed())
            for _, reply in self._jobs:
                reply.answer(_closed())
            self._jobs.clear()
            self._live.clear()
            self._waiting.clear()
            self._free()

    def _arrivals(self) -> bool:
        """Take in what arrived, and wait if there is nothing to do; False: the engine closes."""
        with self._wake:
            while not (self._closing or self._inbox or self._waiting or self._live or self._jobs):
                self._wake.wait()
            self._waiting.extend(self._inbox)
            self._inbox.clear()
            return not self._closing

    def _job(self) -> None:
        """Do one of the jobs, so that calls and jobs have their turns."""
        if not self._jobs:
            return
        job, reply = self._jobs.popleft()
        try:
            reply.answer(job())
        except Exception as error:  # noqa: BLE001 - it is for whoever waits
            reply.answer(_failed(error))

    def _step(self) -> None:
        self._drop()
        self._admit()
        self._drop()  # a call for one token, whose logits were at hand, is done already
        if self._gathers:
            self._gather()
        planned = self._plan_alike() if self._alike else self._plan()
        if not planned:
            return
        began = time.perf_counter()
        status = self._context.decode(self._batch)
        stats = self.stats
        stats.decode_seconds += time.perf_counter() - began
        if status:
            raise RuntimeError(f"llama.cpp answered {status}: {recent_log()}")
        for sequence in self._lent:
            self._context.seq_rm(sequence, int(self._cells.length[sequence]))
        self._lent = []
        stats.steps += 1
        stats.sequences += len(planned)
        began = time.perf_counter()
        logits = self._context.all_logits() if self._batch.n_outputs else ()
        for live, count, rows in planned:
            self._cells.read(live.sequence, count)
            del live.tokens[:count]
            live.begin += count
            if live.writing:
                stats.decoded += count
            else:
                stats.prefilled += count
            for row in rows:
                self._take(live, logits[row])
            live.done |= not live.tokens
        stats.sampling_seconds += time.perf_counter() - began
        self._drop()

    def _gather(self) -> None:
        """Move sequences next to each other, a few in a step."""
        copy, spare = self._context.seq_cp, self._cells.sequences
        for _ in range(MOVES):
            move = self._cells.gather()
            if move is None:
                return
            if move.swap:
                copy(move.target, spare)
            copy(move.source, move.target)
            if move.swap:
                copy(spare, move.source)
            self.stats.moves += 1
            for live in self._live:
                if live.sequence == move.source:
                    live.sequence = move.target

    def _plan(self) -> list[_Piece]:
        """Fill the batch: who reads what in it.

        In order of sequence: llama.cpp computes neighbours together, and each gap costs a pass of its own.
        """
        batch, chosen = self._batch, {}
        batch.clear()
        writers = [live for live in self._live if live.writing]
        chunk = min(
            CHUNK * (1 + self._held_up) if writers else ALONE, ALONE, batch.capacity - len(self._live)
        )
        scored = ROWS
        for live in self._live:  # in order of arrival
            count = 1 if live.writing else min(len(live.tokens), max(chunk, 0))
            n_rows = self._rows(live, count)
            if live.call.wanted is not None and n_rows > scored:
                count -= n_rows - scored
                n_rows = scored
            if live.call.wanted is not None:
                scored -= n_rows
            if not live.writing:
                chunk -= count
            if count:
                chosen[live.sequence] = (live, count, n_rows)
        planned, taken = [], 0
        for sequence in sorted(chosen):
            live, count, n_rows = chosen[sequence]
            self._read(live, count, n_rows)
            planned.append(_Piece(live, count, range(taken, taken + n_rows)))
            taken += n_rows
        return planned

    def _plan_alike(self) -> list[_Piece]:
        """The same in steps of two shapes, in turn where there is work for both."""
        batch, length = self._batch, self._cells.length
        batch.clear()
        reading = [live for live in self._live if live.begin < live.call.prompt]
        stepping = [live for live in self._live if live.begin >= live.call.prompt]
        self._block_next = bool(reading) and (self._block_next or not stepping)
        if self._block_next:
            live = reading[0]
            count = min(CHUNK - live.begin % CHUNK, live.call.prompt - live.begin)
            n_rows = self._rows(live, count)
            self._read(live, count, n_rows)
            self._block_next = False
            return [_Piece(live, count, range(n_rows))]
        self._block_next = True
        tokens = np.zeros(length.size, np.int32)
        for live in stepping:
            tokens[live.sequence] = live.tokens[0]
        self._lent = sorted({*range(length.size)} - {live.sequence for live in stepping})
        batch.add(tokens, length, np.arange(length.size), np.ones(length.size, np.int8))
        return [
            _Piece(live, 1, range(live.sequence, live.sequence + self._rows(live, 1))) for live in stepping
        ]

    def _read(self, live: _Live, count: int, n_rows: int) -> None:
        """Add `count` tokens to the batch, the last `n_rows` of them with their logits."""
        outputs = np.zeros(count, np.int8)
        outputs[count - n_rows :] = 1
        self._batch.add(
            live.tokens[:count], np.arange(live.begin, live.begin + count), live.sequence, outputs
        )

    @staticmethod
    def _rows(live: _Live, count: int) -> int:
        """How many of the next `count` tokens' logits the call takes: always those after the last ones."""
        wanted = live.call.wanted
        if wanted is None:
            return int(count == len(live.tokens) and count > 0)
        return max(0, min(count, live.begin + count - wanted))

    def _take(self, live: _Live, row: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        """Give a call its logits; what it draws from them is read in the next step."""
        if live.done:
            return
        if not live.writing and live.call.wanted is None:
            self._cells.keep_row(live.sequence, row.copy())
        sampled = live.call.sampled
        try:
            token = live.call.take(row)
        except Exception as error:  # noqa: BLE001 - a call's own fault, say its `watch`, ends that call alone
            live.call.fail(_failed(error))
            live.done = True
            return
        finally:
            self.stats.sampled += live.call.sampled - sampled
        live.writing = live.call.wanted is None
        if token is not None:
            live.tokens.append(token)
            self._cells.append(live.sequence, token)

    def _admit(self) -> None:
        """Give sequences to who waits, in order of arrival; who waits for another's prefix has one set aside."""
        free = self._cells.free
        self._held_up = 0
        still: deque[Call] = deque()
        while self._waiting:
            call = self._waiting.popleft()
            if call.abandoned:
                continue
            if not free:
                still.append(call)
                break
            free -= 1
            if not self._begin(call):
                self._held_up += 1
                still.append(call)
        self._waiting.extendleft(reversed(still))

    def _begin(self, call: Call) -> bool:
        fork = self._cells.fork(call.tokens, call.wanted, call.prompt)
        if fork is None:
            return False
        context, stats = self._context, self.stats
        if fork.source != fork.target and fork.shared:
            context.seq_cp(fork.source, fork.target, fork.shared)
            stats.forks += 1
        else:
            context.seq_rm(fork.target, fork.shared)
        stats.reused += fork.shared
        stats.renewed += fork.renewed
        stats.reread += fork.reread
        call.cached = fork.shared
        live = _Live(call, fork.target, call.tokens[fork.shared :].tolist(), fork.shared)
        self._live.append(live)
        if fork.row is not None:
            self._take(live, fork.row)
            live.done |= not live.tokens
        return True

    def _drop(self) -> None:
        """Let go of calls that are done or were abandoned; what they read stays in the cache.

        Only now are they answered: whoever goes on from a segment finds it in the cache and in the counters.
        """
        ended = [live for live in self._live if live.done or live.call.abandoned]
        if not ended:
            return
        self._live = [live for live in self._live if live not in ended]
        for live in ended:
            self._cells.release(live.sequence)
        for live in ended:
            live.call.finish()

    def _fail(self, error: Exception) -> None:
        """A step failed: so do the calls in it, and the cache, whose state is unknown, is emptied."""
        for live in self._live:
            if live.done:
                live.call.finish()
            else:
                live.call.fail(_failed(error))
        self._live.clear()
        self._lent = []
        self._cells.clear()
        self._context.clear()


def _closed() -> EngineClosed:
    return EngineClosed("The engine is closed. Open it again.")


def _failed(error: Exception) -> EngineError:
    """An error of its own for each who waits, for exceptions carry a traceback with them."""
    if isinstance(error, EngineError):
        return error
    return EngineError(f"The engine failed in a step ({error}). Try again; if it fails twice, open it anew.")
