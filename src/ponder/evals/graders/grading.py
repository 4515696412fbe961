"""The one grader: votes and grades ask the same equivalence, and puzzles ask the scorer of their task.

An answer is right if it has the same key as the gold (`ponder.runtime.equality`). So two answers that a vote counts as
one get one grade. Where many answers are right (countdown, puzzles) the task's own scorer judges what is written, in a
process that may be killed; there two spellings of one key may get two grades, and the one that was decided counts.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from ponder.core.errors import UnknownName
from ponder.evals.countdown import GRADER as LINES
from ponder.evals.countdown import Verifier
from ponder.evals.graders.programs import Programs
from ponder.evals.graders.scoring import LIMIT, Scorers
from ponder.evals.tasks.coding import GRADER as TESTS
from ponder.evals.tasks.gym import GRADER
from ponder.thinking.answers import find, outline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ponder.core.problem import Kind
    from ponder.evals.values import Item
    from ponder.runtime.equality import Equality
    from ponder.sandbox import Sandbox

EQUAL: Final = frozenset({"math", "choice", "exact", "json"})
"""Graders by equivalence. They differ in the kind of answer alone, which is the problem's."""

NEAR: Final = 1e-9
"""A scorer gives 1 to what is right; anything less is credit for trying."""


class Graders:
    """Judges answers of any item. `aclose` ends its processes; the equality belongs to who made it.

    Every answer is judged within about `limit` seconds of a worker's time. One that takes longer is wrong.

    Args:
        equality: the one that the votes use.
        sandbox: where programs are run, which is who made it's to close; without it none is, and none can be graded.
        workers: processes that score at the same time.
        limit: seconds for one answer to be scored.
        memory: grades that are remembered.

    """

    def __init__(
        self,
        equality: Equality,
        *,
        sandbox: Sandbox | None = None,
        workers: int = 2,
        limit: float = LIMIT,
        memory: int = 50_000,
    ) -> None:
        self.equality = equality
        self.scorers = Scorers(workers=workers, limit=limit)
        self.programs = Programs(sandbox)
        self.memory = memory
        self._golds: dict[tuple[str, Kind], tuple[str, str]] = {}
        self._known: OrderedDict[tuple[str, str], bool | None] = OrderedDict()

    async def grade(self, item: Item, answer: str | None, *, whole: bool = False) -> bool | None:
        """Whether the answer is right, or an alias of what is; None where nobody knows.

        Args:
            item: the problem with its gold.
            answer: what was decided, as `thinking.answers.find` found it in a text. No answer is wrong.
            whole: `answer` is a whole text: the last answer that it declares is graded, and a text that declares
                several different ones gets no credit.

        Raises:
            NoSandbox: the answer is a program, and there is nowhere to run it.
            UnknownName: the item names a grader that does not exist.
            UsageError: the item was made by a package that is missing here, or by another version of it.

        """
        if item.grader == LINES:
            return await Verifier().grade(item, answer)
        if item.grader not in (GRADER, TESTS) and item.grader not in EQUAL:
            raise UnknownName("grader", item.grader, [*EQUAL, GRADER, LINES, TESTS])
        if item.gold is None:
            return None
        if item.grader == TESTS:  # no answer, too: nobody is graded by tests that are wrong
            return await self._kept(item, answer or "", self.programs.grade)
        try:
            if answer is not None and whole:
                found = find(answer, item.problem.kind, choices=item.problem.choices)
                answer = found.text if found else None
            if answer is None or not answer.strip():
                return False
            if item.grader != GRADER:
                kind = item.problem.kind
                for gold in (item.gold, *item.meta.get("aliases", ())):
                    if await self._is_equal(gold, answer, kind):
                        return True
                return False
        except RecursionError:  # JSON a thousand levels deep is nobody's answer
            return False
        return await self._kept(item, answer, self._is_solution)

    async def _kept(
        self, item: Item, answer: str, grade: Callable[[Item, str], Awaitable[bool | None]]
    ) -> bool | None:
        """The grade, from memory if it was given before."""
        known = (item.problem.id, answer)
        if known not in self._known:
            self._known[known] = await grade(item, answer)
            while len(self._known) > self.memory:
                self._known.popitem(last=False)
        return self._known[known]

    async def grades(self, item: Item, answers: Sequence[str | None]) -> list[bool | None]:
        """The grades of many answers to one item, in their order."""
        return [await self.grade(item, answer) for answer in answers]

    async def aclose(self) -> None:
        """End the scoring processes. A later question starts new ones."""
        await self.scorers.aclose()

    async def _is_equal(self, gold: str, answer: str, kind: Kind) -> bool:
        """Whether the keys are equal. An answer of many expressions is given up at the first that the gold has not.

        The key of a list, a matrix or an interval is written out of the keys of its parts, so a part that is not in the
        gold's key settles it; a hostile answer costs the time of one expression and not of two hundred.
        """
        right, parts = await self._gold(gold, kind)
        for text in dict.fromkeys(outline(answer, kind).pending):
            part = _flat(await self.equality.key(text, "math"))
            if not part.startswith("hash:") and part not in parts:
                return False
        return await self.equality.key(answer, kind) == right

    async def _gold(self, gold: str, kind: Kind) -> tuple[str, str]:
        """The gold's key, and it again as it would be written at any depth of another."""
        if (gold, kind) not in self._golds:
            shape = outline(gold, kind)
            decided = {text: await self.equality.key(text, "math") for text in dict.fromkeys(shape.pending)}
            self._golds[gold, kind] = await self.equality.key(gold, kind), _flat(shape.key(decided))
        return self._golds[gold, kind]

    async def _is_solution(self, item: Item, answer: str) -> bool:
        bare = answer.strip().strip("`\n").strip()
        score = await self.scorers.score(item.meta, bare)
        return score is not None and score >= 1 - NEAR


def _flat(key: str) -> str:
    r"""A key without quotes and backslashes: alike whether it stands alone or is quoted in another, however deep."""
    return json.dumps(key).replace("\\", "").replace('"', "")
