"""One equivalence for every vote and every grade: two answers are the same if and only if their keys are equal.

What pure text can decide is decided in this process (`ponder.thinking.answers`). What needs algebra goes to worker
processes that are killed when one expression takes longer than the limit, wherever they hang: parsers and computer
algebra cannot be interrupted from within, and signals do not work in threads. Who asks next does not wait for an import
(`ponder.runtime.forking`). What cannot be decided in time is compared
as text, which keeps equality transitive: such an answer equals only those written alike.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

from ponder.runtime.worker import Worker, bare, put, twice
from ponder.thinking.answers import outline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.problem import Kind
    from ponder.thinking.shapes import Shape

LIMIT: Final = 1.25
"""Seconds for one expression, so that an answer that hangs is judged within two, all else included."""
LONGEST: Final = 2_000
"""Longer expressions are compared as text without asking."""
MOST: Final = 16
"""So are expressions of one answer beyond these: a hostile one must not take the limit a hundred times."""


def _as_text(text: str) -> str:
    return "text:" + "".join(text.split())


def _short(name: str) -> str:
    return name if len(name) <= 500 else "hash:" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


class Equality:
    """Gives answers their keys. Workers start when first needed; `aclose` ends them, as does the interpreter's exit.

    One instance serves any number of tasks of one event loop at a time. Keys are remembered (`memory` of them), so that a
    vote over many samples asks for each distinct answer once.
    """

    def __init__(self, *, workers: int = 2, limit: float = LIMIT, memory: int = 50_000) -> None:
        self.workers = workers
        self.limit = limit
        self.memory = memory
        self.undecided = 0  # expressions compared as text because no worker could tell in time
        self._known: OrderedDict[str, str] = OrderedDict()
        self._idle: list[Worker] = []
        self._closed = False
        self._slots: dict[
            object, anyio.Semaphore
        ] = {}  # by event loop: a semaphore belongs to the one it is made in

    async def key(self, answer: str, kind: Kind = "auto") -> str:
        """The name of the answer's class. It never fails, and takes at most the limit for each expression in it."""
        return await self._named(outline(answer, kind))

    async def _named(self, shape: Shape) -> str:
        pending = list(dict.fromkeys(shape.pending))
        decided = {text: await self._decide(text) for text in pending[:MOST]}
        decided |= {text: _as_text(text) for text in pending[MOST:]}
        return _short(shape.key(decided))

    async def keys(self, answers: Sequence[str], kind: Kind = "auto") -> list[str]:
        """The keys of many answers, in their order; equal answers are asked once, and all workers share the rest."""
        found: dict[str, str] = {}
        shapes = {answer: outline(answer, kind) for answer in dict.fromkeys(answers)}

        async def one(answer: str) -> None:
            found[answer] = await self._named(shapes[answer])

        hard = [answer for answer, shape in shapes.items() if shape.pending]
        for answer, shape in shapes.items():
            if not shape.pending:  # its text alone tells, and nobody has to be waited for
                found[answer] = _short(shape.key({}))
        if hard:
            async with anyio.create_task_group() as group:
                for answer in hard:
                    group.start_soon(one, answer)
        return [found[answer] for answer in answers]

    async def same(self, one: str, other: str, kind: Kind = "auto") -> bool:
        """Whether two answers are the same."""
        return await self.key(one, kind) == await self.key(other, kind)

    async def aclose(self) -> None:
        """End the workers. A later question starts new ones."""
        while self._idle:
            self._idle.pop().kill()

    async def _decide(self, text: str) -> str:
        known = self._known.get(text)
        if known is None:
            known = await self._ask(text) if len(text) <= LONGEST else None
            if known is None:
                self.undecided += 1
                known = _as_text(text)
            self._known[text] = known
            while len(self._known) > self.memory:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(text)
        return known

    async def _ask(self, text: str) -> str | None:
        loop = anyio.lowlevel.current_token()
        if loop not in self._slots:
            self._slots = {loop: anyio.Semaphore(self.workers)}
        async with self._slots[loop]:
            if text in self._known:  # another task asked while this one waited
                return self._known[text]
            return await twice(partial(self._put, text, until=anyio.current_time() + self.limit))

    async def _put(self, text: str, *, until: float) -> str | None:
        """Ask a worker. Raises if it dies."""
        reply = await put({"expr": text}, self._idle, _worker, until - anyio.current_time())
        name = (reply or {}).get("key")
        return None if name is None else str(name)


def _worker() -> Worker:
    return Worker(["ponder.runtime._symbolic"], bare())
