"""Grading programs by tests, which stay in a sandbox of their own.

The program runs in one sandbox as a server of its function, the test in another; what passes between them are calls and
outputs, as JSON. So the tests are out of the program's reach: it learns each input when it is asked for it, its exit code
and what it prints count for nothing, and what it says is compared where it has no say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core.errors import NoSandbox
from ponder.thinking.programs import program

if TYPE_CHECKING:
    from ponder.core.executions import Verdict
    from ponder.evals.values import Item
    from ponder.sandbox import Sandbox


class Programs:
    """Grades programs. `wrong` are the items whose own solution does not pass their tests: nobody is graded by those."""

    def __init__(self, sandbox: Sandbox | None) -> None:
        self.wrong: dict[str, str] = {}
        self._sandbox = sandbox
        self._sound: dict[str, bool] = {}

    async def grade(self, item: Item, answer: str) -> bool | None:
        """Whether the program in an answer passes the item's tests; None where the tests themselves are wrong.

        Raises:
            NoSandbox: there is nowhere to run it.

        """
        if not await self._is_sound(item):
            return None
        code = program(f"```python\n{answer}\n```" if "```" not in answer else answer, item.problem.question)
        return code is not None and (await self._tested(item, code)).outcome == "passed"

    async def _is_sound(self, item: Item) -> bool:
        """Whether the tests pass what the data set gives as the solution; without one they are trusted."""
        name = item.problem.id
        if name not in self._sound:
            solution = item.meta.get("solution")
            verdict = await self._tested(item, solution) if solution else None
            if verdict is not None and verdict.outcome != "passed":
                self.wrong[name] = verdict.why
            self._sound[name] = verdict is None or verdict.outcome == "passed"
        return self._sound[name]

    async def _tested(self, item: Item, code: str) -> Verdict:
        if self._sandbox is None:
            raise NoSandbox(f"{item.problem.id} is graded by running programs, and no sandbox was given.")
        meta = item.meta
        return await self._sandbox.test(code, meta["function"], meta["test"], meta["given"])
