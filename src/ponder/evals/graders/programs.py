"""Grading programs by tests, which stay in a sandbox of their own.

The program runs in one sandbox as a server of its function, the test in another; what passes between them are calls and
outputs, as JSON. So the tests are out of the program's reach: it learns each input when it is asked for it, its exit code
and what it prints count for nothing, and what it says is compared where it has no say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ponder.core.errors import NoSandbox
from ponder.thinking.programs import program

if TYPE_CHECKING:
    from ponder.core.executions import Verdict
    from ponder.evals.values import Item
    from ponder.sandbox import Sandbox


TRIES: Final = 2
"""Times that a program may take too long before it has failed, and a solution may fail before its tests are wrong: a machine
that is busy may be late once, and no grade is to depend on that."""


class Programs:
    """Grades programs. `wrong` are the items whose tests are wrong, and why: nobody is graded by those.

    Tests are wrong where they do not pass the data set's own solution, or break before they call the program.
    """

    def __init__(self, sandbox: Sandbox | None) -> None:
        self.wrong: dict[str, str] = {}
        self._sandbox = sandbox
        self._checked: set[str] = set()

    async def grade(self, item: Item, answer: str) -> bool | None:
        """Whether the program in an answer passes the item's tests; None where the tests themselves are wrong.

        Raises:
            NoSandbox: there is nowhere to run it.

        """
        name = item.problem.id
        if name not in self._checked:
            await self._check(item)
            self._checked.add(name)
        code = program(f"```python\n{answer}\n```" if "```" not in answer else answer, item.problem.question)
        if name in self.wrong:
            return None
        if code is None:
            return False
        for _ in range(TRIES):
            verdict = await self._tested(item, code)
            if "TimeoutError" not in verdict.why:
                break
        if verdict.outcome == "broken" and not verdict.called:
            self.wrong[name] = f"they break: {verdict.why}"
            return None
        return verdict.outcome == "passed"

    async def _check(self, item: Item) -> None:
        """See whether the tests pass what the data set gives as the solution; without one they are trusted."""
        solution = item.meta.get("solution")
        if not solution:
            return
        for _ in range(TRIES):
            verdict = await self._tested(item, solution)
            if verdict.outcome == "passed":
                return
        why = verdict.why.rstrip(": ") or "an assertion"
        self.wrong[item.problem.id] = f"the data set's own solution fails them: {why}"

    async def _tested(self, item: Item, code: str) -> Verdict:
        if self._sandbox is None:
            raise NoSandbox(f"{item.problem.id} is graded by running programs, and no sandbox was given.")
        meta = item.meta
        return await self._sandbox.test(code, meta["function"], meta["test"], meta["given"])
