"""Early-stopping self-consistency (ESC): stop at the first window that agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from ponder.strategies.catalogue import Count, Natural, Range, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import counts, expected_samples, majority, unanimous

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


@method
class EarlyStopping:
    """Windows of `w` samples until one is unanimous, at most `n` in all (Li et al. 2024, 2401.10480).

    `of_window` returns the unanimous window's answer, as the released code does; otherwise the majority so far.

    `control` is the paper's control scheme: from the answers of the first window it estimates how many samples windows
    of each size would draw in the mean, and goes on with the largest, up to `w`, that draws no more than `control`; with
    the one that draws least where all draw more. 0 keeps `w`.
    """

    name: ClassVar[str] = "early-stopping"
    aliases: ClassVar[tuple[str, ...]] = ("esc",)
    paper: ClassVar[str] = "2401.10480"
    cost: ClassVar[str] = "E[k] * L, w <= k <= n"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 40
    w: Count = 5
    control: Annotated[float, Range(0)] = 0.0
    of_window: bool = False
    temperature: Temperature = 0.7
    top_k: Natural = 40
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        prompt = ask(problem, "cot", self.shots)
        seen: list[Candidate] = []
        w = self.w
        while len(seen) < self.n:
            paths = await run.sample(
                prompt,
                min(w, self.n - len(seen)),
                temperature=self.temperature,
                top_k=self.top_k,
                max_tokens=self.max_tokens,
            )
            window = await run.read(paths)
            seen += window
            run.propose(majority(seen))
            if len(window) == w and unanimous(window):
                return majority(window if self.of_window else seen)
            if self.control and window == seen:
                w = self.controlled(window)
        return majority(seen)

    def controlled(self, window: list[Candidate]) -> int:
        """The window to go on with, from the answers of the first one."""
        found = counts(window)
        shares = [count / sum(found) for count in found]
        means = {w: expected_samples(shares, w, self.n) for w in range(min(2, self.w), self.w + 1)}
        return max((w for w in means if means[w] <= self.control), default=min(means, key=means.__getitem__))
