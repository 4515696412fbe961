"""Reward models: trained to say how good a step (PRM) or a solution (ORM) is, in this process or behind a server."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from ponder.core.errors import BadScore, UsageError
from ponder.core.protocols import Score
from ponder.scorers.batched import Batched
from ponder.scorers.catalogue import scorer
from ponder.thinking.reward_formats import FORMATS
from ponder.thinking.steps import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run, Scale
    from ponder.thinking.reward_formats import Format


class Reading(Protocol):
    """One text that a model is to read: `tokens` at most, and how many it was in the end (`read`)."""

    tokens: int
    read: int


class RewardModel(Protocol):
    """Reads a question and steps; a value for each step, or one for the whole."""

    async def prepare(self, question: str, steps: Sequence[str]) -> Reading:
        """What is to be read, without what was read before."""
        ...

    async def values(self, readings: Sequence[Any]) -> list[list[float]]:
        """The values of each, in order."""
        ...


@scorer
class ProcessReward:
    """A process reward model values each step of a path: the probability that it is right so far.

    `format` is the layout that the model was trained on: "math-shepherd" (2312.08935), "rlhflow" (2410.01257's
    release), "qwen" (Qwen2.5-Math-PRM, 2501.07301) or "skywork". `model` is a folder or a hub name, run in this
    process, where a prefix that was read is not read again; or with a `url` the name that a vLLM-style server knows it
    by, asked at `/pooling` with step pooling. The path's value is its last step's.
    """

    name: ClassVar[str] = "prm"
    scale: ClassVar[Scale] = "probability"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    format: Literal["math-shepherd", "rlhflow", "qwen", "skywork"] = "qwen"
    model: str = ""
    url: str = ""

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        steps = [split(path.text) for path in paths]
        asked = [s for s in steps if s]  # an empty path has no step to value
        found = iter(await _read(self, FORMATS[self.format], "/pooling", problem, asked, run))
        return [_of_steps(s, next(found), self) if s else Score(0.0) for s in steps]


@scorer
class OutcomeReward:
    """An outcome reward model values a whole solution; on its own scale, higher is better.

    A sequence classifier with one label, in this process (`model` is a folder or a hub name), or behind a vLLM-style
    server at `url`: `route` "classify" takes the probability of the last class, "score" that of question and solution
    as a pair.
    """

    name: ClassVar[str] = "orm"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    model: str = ""
    url: str = ""
    route: Literal["classify", "score"] = "classify"

    @property
    def scale(self) -> Scale | None:
        """A class's probability of a server's, its logit here; what a server's /score gives is for its model to say."""
        if not self.url:
            return "logit"
        return "probability" if self.route == "classify" else None

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        solutions = [[path.text] for path in paths]
        found = await _read(self, FORMATS["outcome"], f"/{self.route}", problem, solutions, run)
        return [Score(_of_steps([""], values, self).value) for values in found]


async def _read(
    by: ProcessReward | OutcomeReward,
    form: Format,
    route: str,
    problem: Problem,
    asked: Sequence[Sequence[str]],
    run: Run,
) -> list[list[float]]:
    """The values of each list of steps; what is read is set aside before."""
    if not by.model:
        raise UsageError(
            f"The scorer {by.name} needs a model: {by.name}:model=FOLDER, or {by.name}:url=http://HOST:PORT,model=NAME."
        )
    model, values = _opened(form.name, by.model, by.url, route)
    readings = [await model.prepare(problem.question, steps) for steps in asked]
    async with run.charge(sum(reading.tokens for reading in readings)) as bill:
        found = await values(readings)
        bill.tokens = sum(reading.read for reading in readings)
    return found


@cache
def _opened(form: Any, model: str, url: str, route: str) -> tuple[RewardModel, Batched[Any, list[float]]]:
    """One model in a process, and one place where calls to it are joined."""
    opened: RewardModel
    if url:
        from ponder.scorers.served import Served

        opened = Served(FORMATS[form], model, url, route)
    else:
        from ponder.scorers.in_process import InProcess

        opened = InProcess(FORMATS[form], model)
    return opened, Batched(opened.values)


def _of_steps(steps: Sequence[str], values: Sequence[float], by: ProcessReward | OutcomeReward) -> Score:
    """The score of a path.

    Raises:
        BadScore: there are not as many values as steps, or one is no number.

    """
    if len(values) != len(steps):
        raise BadScore(
            f"The scorer {by.name} gave {len(values)} values for {len(steps)} steps. Is its format the model's, and "
            "does the text hold the model's own step tag?"
        )
    if any(math.isnan(value) for value in values):
        raise BadScore(
            f"The scorer {by.name} gave a value that is not a number. Are the model's weights whole?"
        )
    return Score(values[-1], tuple(values))
