"""Revisions: chains of attempts, each of which sees those before it, side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from ponder.strategies.catalogue import Count, Natural, Range, Temperature, method
from ponder.thinking.critique import shape
from ponder.thinking.prompts import SHOTS, ask, revise
from ponder.thinking.votes import majority, select

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run, Scorer

MEMORY = 4
"""Attempts that the next one sees, the last ones (2408.03314, section 6.1)."""


@method
class Revisions:
    """`n` attempts in chains, sequential to parallel as `ratio` says (Snell et al. 2024, 2408.03314, section 6).

    `ratio` is the depth of the chains by their number: 1 makes a square, `n` a single chain, 1 / `n` independent
    samples. Each attempt sees the last four of its chain. The last one is never simply returned, for revising turns
    many right answers wrong (38 % in the paper): without a `scorer`, all attempts of all chains vote; with one, the
    weighted best-of-n is taken within each chain and then across the winners, each with the value of its best attempt.

    The paper trains the model to revise; a model that is only asked to is no such model.
    """

    name: ClassVar[str] = "revisions"
    aliases: ClassVar[tuple[str, ...]] = ("sequential-revisions",)
    paper: ClassVar[str] = "2408.03314"
    cost: ClassVar[str] = "n * L, with up to four attempts in each prompt"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    n: Count = 16
    ratio: Annotated[float, Range(1e-6)] = 1.0
    scorer: Scorer | str | None = None
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        chains, depth = shape(self.n, self.ratio)
        seen: list[Candidate] = []

        async def chain(start: Prefix) -> list[Candidate]:
            attempts = await run.read([start])
            for _ in range(depth - 1):
                prompt = revise(problem, [c.path.text for c in attempts[-MEMORY:]], self.shots)
                path = await run.extend(
                    prompt, temperature=self.temperature, max_tokens=self.max_tokens, logprobs=0
                )
                new = await run.read([path])
                attempts += new
                seen.extend(new)
                run.propose(majority(seen))
            return attempts

        starts = await run.sample(
            ask(problem, "cot", self.shots),
            chains,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            logprobs=0,
        )
        seen += await run.read(starts)
        run.propose(majority(seen))
        ended = await run.each(chain, starts)
        everything = [candidate for attempts in ended for candidate in attempts]
        if self.scorer is None:
            return majority(everything)
        values = iter(await run.score([c.path for c in everything], by=self.scorer, unit=True))
        scored = [[replace(c, weight=next(values)) for c in attempts] for attempts in ended]
        winners = [within(attempts) for attempts in scored]
        across = select([replace(c, weight=1.0) for c in winners], [c.weight for c in winners], "weighted")
        return replace(across, candidates=tuple(c for attempts in scored for c in attempts))


def within(attempts: list[Candidate]) -> Candidate:
    """A chain's winner by weighted best-of-n: the best attempt that has the winning answer."""
    chosen = select([replace(c, weight=1.0) for c in attempts], [c.weight for c in attempts], "weighted").path
    [key] = {c.key for c in attempts if c.path is chosen}
    return max((c for c in attempts if c.key == key), key=lambda c: c.weight)
