"""Sandboxes for many programs: some wait ready, each is used once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from ponder.core.executions import Call, Execution, Verdict
from ponder.sandbox.box import Box, Ended
from ponder.sandbox.bubblewrap import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.executions import Input

__all__ = ["AT_ONCE", "Sandbox"]

AT_ONCE: Final = 2
"""Programs that run at a time: they compete with the model for the processor."""


PATIENCE: Final = 2
"""Inputs that may take too long before a program is asked no more."""


class Sandbox:
    """Runs programs that nobody trusts, each in a sandbox of its own.

    `aclose` ends those that wait; so does the interpreter's exit, and its death. One instance serves any number of tasks
    of one event loop at a time.

    Args:
        limits: of each program.
        at_once: programs that run at a time.
        spare: sandboxes that wait, started before they are needed.

    """

    name: Final = "bubblewrap"

    def __init__(self, limits: Limits | None = None, *, at_once: int = AT_ONCE, spare: int = 2) -> None:
        self.limits = limits or Limits()
        self.at_once = at_once
        self.spare = spare
        self._waiting: list[Box] = []
        self._slots: dict[object, anyio.Semaphore] = {}  # a semaphore belongs to the event loop it is made in

    async def execute(self, program: str, inputs: Sequence[Input]) -> list[Execution]:
        """What the program gives for each input, in their order; one that fails, or takes too long, has an `error`.

        The inputs are given one after the other to the same process. Once that has ended, or took too long twice, the
        rest have its error.

        Raises:
            NoSandbox: nothing can be run here; nothing was.

        """
        if not inputs:
            return []
        async with self._slot():
            box = self._take()
            try:
                await box.begin(program=program)
                return await self._answers(box, inputs)
            finally:
                await _gone(box)

    async def test(self, program: str, function: str, test: str, given: str = "") -> Verdict:
        """Whether a program's function passes a test, which runs in another sandbox and calls the function from there.

        Args:
            program: defines `function`.
            test: Python that asserts of `candidate`, or of the function by its name; one that defines `check(candidate)`
                is asked through it.
            given: what the test's own lines may use, run before it.

        A test that raises anything else than AssertionError while the function gave outputs is "broken". One that breaks
        before it called the function breaks for every program.

        Raises:
            NoSandbox: nothing can be run here; nothing was.

        """
        async with self._slot():
            candidate, tester = self._take(), self._take()
            try:
                await candidate.begin(program=program)
                await tester.begin(test=test, given=given, function=function)
                return await self._asked(tester, candidate, function)
            finally:
                await _gone(candidate, tester)

    async def check(self) -> None:
        """See that a sandbox starts.

        Raises:
            NoSandbox: it does not, and why.

        """
        await self.execute("def f(): return 1", [Call("f")])

    async def aclose(self) -> None:
        """End the sandboxes that wait. A later program starts new ones."""
        while self._waiting:
            self._waiting.pop().kill()

    def _slot(self) -> anyio.Semaphore:
        loop = anyio.lowlevel.current_token()
        if loop not in self._slots:
            self._slots = {loop: anyio.Semaphore(self.at_once)}
        return self._slots[loop]

    def _take(self) -> Box:
        """A sandbox that waited, if one lives; and another begins to wait in its place."""
        found: Box | None = None
        while self._waiting and found is None:
            box = self._waiting.pop(0)
            if box.alive:
                found = box
            else:
                box.kill()
        found = found or Box(self.limits)
        while len(self._waiting) < self.spare:
            self._waiting.append(Box(self.limits))
        return found

    async def _answers(self, box: Box, inputs: Sequence[Input]) -> list[Execution]:
        found: list[Execution] = []
        late = 0
        began = anyio.current_time()
        ended = ""
        for one in inputs:
            if not ended and anyio.current_time() - began > self.limits.wall:
                ended = f"TimeoutError: the program took longer than {self.limits.wall:g} s in all"
            elif not ended and late == PATIENCE:
                ended = f"TimeoutError: it took too long on {late} inputs before, and was not asked again"
            if ended:
                found.append(Execution(error=ended))
                continue
            started = time.perf_counter()
            try:
                await box.send(**one.message())
                told = await box.receive()
            except Ended as error:
                ended = str(error)
                told = {"error": ended}
            late += str(told.get("error")).startswith("TimeoutError")
            found.append(Execution.told(told, time.perf_counter() - started))
        return found

    async def _asked(self, tester: Box, candidate: Box, function: str) -> Verdict:
        """Carry calls from the test to the candidate, and outputs back, until there is a verdict."""
        began = anyio.current_time()
        ended = ""
        called = False
        while True:
            try:
                said = await tester.receive()
            except Ended as error:
                return Verdict("broken", f"The test did not end: {error}", called)
            if "verdict" in said:
                return Verdict.told(said, called=called)
            called = True
            if anyio.current_time() - began > self.limits.wall:
                return Verdict("failed", f"TimeoutError: it took longer than {self.limits.wall:g} s in all")
            if not ended:
                try:
                    await candidate.send(function=function, args=str(said.get("call")))
                    told = await candidate.receive()
                except Ended as error:
                    ended = str(error)
            answer = Execution.told({"error": ended} if ended else told)
            try:
                await tester.send(**answer.message())
            except Ended as error:
                return Verdict("broken", f"The test did not end: {error}", called)


async def _gone(*boxes: Box) -> None:
    """End them, whatever happens here meanwhile."""
    with anyio.CancelScope(shield=True):
        for box in boxes:
            await anyio.to_thread.run_sync(box.kill)
