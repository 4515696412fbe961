"""DeepConf: a vote of confident traces; those that lose confidence are stopped while they are written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Probability, Range, Temperature, method
from ponder.thinking.confidence import MEASURES, TOP, Falling, lowest, of_path, percentile, window_for
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import majority, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class DeepConf:
    """A confidence-weighted vote of the traces that keep their confidence (Fu et al. 2025, 2508.15260).

    Confidence is of groups of `window` tokens, or of an eighth of the mean trace where that is less. "online": the
    `warmup` traces are written whole; s is the percentile 100 - `eta` of their least confident groups; every further
    trace, up to `n`, is stopped where its current group falls below s, and none is begun or finished once the leading
    answer has `consensus` of the weight. Those that stayed above s vote, warm-up traces too, each by its least
    confident group. "offline": all `n` are written whole, and the `eta` percent with the highest `measure` vote by it.

    Where the engine says nothing while it writes, traces are written in chunks, and stopped between two of them.
    """

    name: ClassVar[str] = "deepconf"
    paper: ClassVar[str] = "2508.15260"
    cost: ClassVar[str] = "warmup * L + the traces after them as far as they go; offline n * L"
    needs: ClassVar[frozenset[Ability]] = frozenset({"top_logprobs"})

    n: Count = 32
    mode: Literal["online", "offline"] = "online"
    warmup: Count = 16
    eta: Annotated[float, Range(0, 100)] = 90
    measure: Literal["mean", "tail", "lowest", "bottom"] = "tail"
    window: Count = 2048
    consensus: Probability = 0.95
    temperature: Temperature = 0.6
    top_p: Annotated[float, Range(1e-6, 1)] = 0.95
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        prompt = ask(problem, "cot", self.shots)
        writing: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "logprobs": TOP,
        }
        online = self.mode == "online"
        first = min(self.warmup, self.n) if online else self.n
        warm = await run.read(await run.sample(prompt, first, **writing))
        run.propose(majority(warm))
        traces = [of_path(c.path) for c in warm]
        window = window_for(traces, self.window)
        measure = lowest if online else MEASURES[self.measure]
        s = percentile([measure(trace, window) for trace in traces if trace] or [0.0], 100 - self.eta)

        def weighed(candidates: Sequence[Candidate]) -> list[Candidate]:
            """Each with its confidence, and those below the threshold with no weight."""
            found = [(c, of_path(c.path)) for c in candidates]
            values = [measure(trace, window) if trace else 0.0 for _, trace in found]
            return [replace(c, weight=v if v >= s else 0.0) for (c, _), v in zip(found, values, strict=True)]

        voting = weighed(warm)
        run.propose(majority(voting))
        later: list[Candidate] = []

        def settled(new: Sequence[Candidate] = ()) -> bool:
            later.extend(weighed(new[len(later) :]))
            return share([*voting, *later]) >= self.consensus

        if online and first < self.n and not settled():
            await run.sample(
                prompt, self.n - first, until=settled, halt=lambda: Falling(window, s), **writing
            )
        return majority([*voting, *later])
