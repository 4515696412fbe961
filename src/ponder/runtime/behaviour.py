"""Programs that do the same are one answer: the keys of votes among programs.

They are run on inputs that belong to the question (`thinking.examples.probes`): so a key depends on the question and the
program alone, and equality is transitive.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.runtime.place import name
from ponder.runtime.tasks import side_by_side
from ponder.thinking.examples import probes
from ponder.thinking.programs import program
from ponder.thinking.selecting import behaviour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.executions import Execution, Input
    from ponder.runtime.attempt import Attempt
    from ponder.runtime.place import Place


async def behaviours(attempt: Attempt, answers: Sequence[str], place: Place) -> list[str]:
    """A key for each answer, equal where the programs in them give the same outputs.

    Where there is nothing to run a program on, or it fails on everything, its text is its key. Reading an answer costs
    nothing, as with all other kinds: what is run here is not charged. Equal programs are run once in an attempt.
    """
    problem, sandbox = attempt.problem, attempt.sandbox
    inputs = probes(problem.question)
    texts = await attempt.equality.keys(answers, problem.kind)
    if sandbox is None or not inputs:
        return texts

    async def done(code: str) -> str | None:
        executions = await sandbox.execute(code, inputs)
        attempt.emit(executed(place, code, inputs, executions, Usage()))
        outputs = behaviour(executions)
        return None if outputs is None else "does:" + hashlib.sha256(outputs.encode()).hexdigest()[:24]

    codes = [program(f"```python\n{answer}\n```", problem.question) for answer in answers]
    known = attempt.behaviours
    new = [code for code in dict.fromkeys(codes) if code is not None and code not in known]
    known.update(zip(new, await side_by_side([partial(done, code) for code in new]), strict=True))
    return [known.get(code or "") or text for code, text in zip(codes, texts, strict=True)]


def executed(
    place: Place, code: str, inputs: Sequence[Input], executions: Sequence[Execution], usage: Usage
) -> e.Executed:
    """The event of a program that was run."""
    told = tuple(
        (json.dumps(one.message(), sort_keys=True), given.output, given.error)
        for one, given in zip(inputs, executions, strict=True)
    )
    return e.Executed(name(place), code, told, usage)
