"""Adaptive-Consistency: sample until the majority is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from ponder.strategies.catalogue import Count, Natural, Range, Temperature, method
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import beta, counts, dirichlet, entropy, majority, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run


THRESHOLDS = {"beta": 0.95, "dirichlet": 0.95, "entropy": 0.75, "share": 0.8, "random": 0.1}
LEAST = 4
"""Samples with an answer before entropy or share may stop: as many as the Beta rule needs, for one agrees with itself."""


@method
class AdaptiveConsistency:
    """Self-consistency that stops once the leader is probably the winner (Aggarwal et al. 2023, 2305.11860).

    Samples are drawn `block` at a time, which trades latency against samples drawn in vain; the rule is asked
    after every one of them, in order, and the rest of a block is cancelled in flight once it holds.
    `rule`: "beta" compares the two leading answers, "dirichlet" the five most common, and stops at a probability of
    `threshold`. The rest are the paper's baselines: "entropy" stops where the answers' normalised entropy is at most
    `threshold`, "share" where the leader has at least that part of the votes, both after four samples at the least;
    "random" after each sample with that probability. Where no `threshold` is given it is the paper's: 0.95, 0.75, 0.8, 0.1.
    """

    name: ClassVar[str] = "adaptive-consistency"
    aliases: ClassVar[tuple[str, ...]] = ("adaptive",)
    paper: ClassVar[str] = "2305.11860"
    cost: ClassVar[str] = "E[k] * L, 4 <= k <= n"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 40
    threshold: Annotated[float | None, Range(0, 1)] = None
    rule: Literal["beta", "dirichlet", "entropy", "share", "random"] = "beta"
    block: Count = 4
    temperature: Temperature = 0.7
    top_k: Natural = 40
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        prompt = ask(problem, "cot", self.shots)
        threshold = THRESHOLDS[self.rule] if self.threshold is None else self.threshold
        seen: list[Candidate] = []
        # "random" draws when it will stop at once, for a rule may be asked about the same samples twice.
        stop_at = next((i for i in range(1, self.n + 1) if run.rng.random() < threshold), self.n)

        def settled(new: Sequence[Candidate] = ()) -> bool:
            candidates = [*seen, *new]
            match self.rule:
                case "beta":
                    return beta(candidates) >= threshold
                case "dirichlet":
                    return dirichlet(candidates) >= threshold
                case "entropy":
                    return sum(counts(candidates)) >= LEAST and entropy(candidates) <= threshold
                case "share":
                    return sum(counts(candidates)) >= LEAST and share(candidates) >= threshold
                case "random":
                    return len(candidates) >= stop_at

        while len(seen) < self.n and not settled():
            paths = await run.sample(
                prompt,
                min(self.block, self.n - len(seen)),
                until=settled,
                temperature=self.temperature,
                top_k=self.top_k,
                max_tokens=self.max_tokens,
            )
            seen += await run.read(paths)
            run.propose(majority(seen))
        return majority(seen)
