"""PlanSearch: many plans in words, made of combined observations, and a program of each."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, method
from ponder.thinking.examples import examples
from ponder.thinking.programs import program
from ponder.thinking.prompts import (
    derive,
    implement,
    observe,
    pseudocode,
    read_items,
    sketch,
    sketch_otherwise,
)
from ponder.thinking.selecting import Draft, best_of, passes
from ponder.thinking.votes import majority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Choice, Run


@method
class PlanSearch:
    """A search over ideas and not over tokens (Wang et al. 2024, 2409.03733, section 4).

    The model writes `observations` observations; for every set of at most `size` of them, the empty one too, it derives
    more, and sketches a solution in words. It is told that each sketch is wrong, and sketches another. Every sketch becomes
    pseudocode, and that a program. The paper has 10 observations and sets of 2 at most, so 56 sets and 112 programs, and
    counts how often one of them is right; `sets` takes the first so many. One answer is chosen here as the paper filters:
    the programs that pass most public examples vote by what they do.
    """

    name: ClassVar[str] = "plan-search"
    aliases: ClassVar[tuple[str, ...]] = ("plansearch",)
    paper: ClassVar[str] = "2409.03733"
    cost: ClassVar[str] = "sets * (1 + 2 * 3) texts, and one"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    executes: ClassVar[bool] = True

    observations: Count = 10
    size: Natural = 2
    sets: Count = 8
    temperature: Temperature = 0.9
    top_p: Probability = 0.95
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        first = read_items(await self.text(run, observe(problem, self.observations)), self.observations)
        sets = [chosen for k in range(self.size + 1) for chosen in combinations(first, k)][: self.sets]
        found = await run.each(partial(self.programs, problem, run), sets)
        drafts = await run.each(partial(self.tested, problem, run), [path for pair in found for path in pair])
        candidates = await run.read([draft.path for draft in drafts])
        best = best_of(drafts) or drafts
        return majority([c for c, draft in zip(candidates, drafts, strict=True) if draft in best])

    async def programs(self, problem: Problem, run: Run, chosen: Sequence[str]) -> list[Prefix]:
        """The programs of a set of observations: of an idea, and of another in its place."""
        derived = read_items(await self.text(run, derive(problem, chosen, 5)), 5) if chosen else []
        idea = await self.text(run, sketch(problem, [*chosen, *derived]))
        other = await self.text(run, sketch_otherwise(problem, idea))
        paths = []
        for one in (idea, other):
            plan = await self.text(run, pseudocode(problem, one))
            paths.append(await run.extend(implement(problem, plan), **self.writing))
            run.propose(paths[-1])
        return paths

    async def tested(self, problem: Problem, run: Run, path: Prefix) -> Draft:
        """The program on a path, and the share of the public examples that it passes."""
        code, shown = program(path.text, problem.question) or "", examples(problem.question)
        if not code or not shown:
            return Draft(path, code)
        done = await run.execute(code, [one.call for one in shown])
        return Draft(path, code, sum(map(passes, done, shown)) / len(shown))

    async def text(self, run: Run, prompt: Prefix) -> str:
        return (await run.extend(prompt, **self.writing)).text

    @property
    def writing(self) -> dict[str, Any]:
        """How all is written."""
        return {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
