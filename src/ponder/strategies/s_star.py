"""S*: many programs, debugged on the public examples, and chosen by inputs that tell them apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from ponder.core.executions import Stdin
from ponder.strategies.catalogue import Count, Natural, Temperature, method
from ponder.thinking.examples import examples, probes, written_calls
from ponder.thinking.programs import asked, program
from ponder.thinking.prompts import (
    ask,
    compare_programs,
    comparison_grammar,
    debug_program,
    read_comparison,
    write_distinguishing_inputs,
    write_inputs,
)
from ponder.thinking.selecting import (
    Cluster,
    Draft,
    best_of,
    clusters,
    differences,
    failure,
    most_points,
    pairs,
    passes,
)
from ponder.thinking.votes import majority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.executions import Call, Input
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Choice, Run

SHOWN: Final = 3
"""Examples that failed, and inputs that tell two programs apart, that a prompt shows at most."""
POINTS: Final[dict[tuple[str | None, str | None], tuple[float, float]]] = {
    ("A", "B"): (1.0, 0.0),
    ("B", "A"): (0.0, 1.0),
    ("tie", "tie"): (0.5, 0.5),
}
"""By the judge's two verdicts, the second with the order swapped; where they contradict each other, nobody gets any."""


@method
class SStar:
    """Parallel and sequential scaling, and adaptive input synthesis (Li et al. 2025, 2502.14382, algorithm 1).

    `n` programs (N) are written in `rounds` rounds each (R): after the first attempt come rounds of debugging on the public
    examples of the question, until all pass. The paper has N = 16 and R = 3. Of those that pass most of them one is chosen
    by `selection`:

    "adaptive": the programs are run on `inputs` inputs that the model wrote, and on as many that are made from the examples,
    and those that do the same form a cluster. For at most `duels` pairs of clusters the model writes inputs that tell their
    representatives apart; both are run, and a judge sees what they gave, twice, with the order swapped. A judge that prefers
    one both times gives it a point, and half a point to each where it says both times that they are equal; the cluster with
    most points wins, and of several the largest. What a model expects as an output is never asked for.
    "majority": the largest cluster; no model is asked. "public": the first that passes most of the examples. "judge": as
    "adaptive", but the judge sees the programs and nothing that they gave.

    The model in the role "judge" writes inputs and judges. The paper judges all pairs of programs; one representative of each
    cluster gives at most so many as there are pairs of clusters. Inputs made from the examples are ours.
    """

    name: ClassVar[str] = "s-star"
    aliases: ClassVar[tuple[str, ...]] = ("s*",)
    paper: ClassVar[str] = "2502.14382"
    cost: ClassVar[str] = "n * rounds * L at most, and 3 short calls for each duel"
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("solver", "judge")
    executes: ClassVar[bool] = True

    n: Count = 16
    rounds: Count = 3
    selection: Literal["adaptive", "majority", "public", "judge"] = "adaptive"
    inputs: Natural = 5
    duels: Natural = 6
    temperature: Temperature = 0.7
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        paths = await run.sample(
            ask(problem), self.n, temperature=self.temperature, max_tokens=self.max_tokens
        )
        run.propose(majority(await run.read(paths)))
        drafts = await run.each(partial(self.debugged, problem, run), paths)
        candidates = await run.read([draft.path for draft in drafts])
        choice, pool = majority(candidates), best_of(drafts)
        if not pool:
            return choice
        run.propose(pool[0].path)
        chosen = await self.chosen(problem, run, pool)
        winner = candidates[drafts.index(chosen)]
        return replace(choice, path=winner.path, answer=winner.answer)

    async def debugged(self, problem: Problem, run: Run, path: Prefix) -> Draft:
        """Stage 1: the program after its last round."""
        shown = examples(problem.question)
        history: list[tuple[str, list[str]]] = []
        while True:
            code = program(path.text, problem.question) or ""
            if not code or not shown:
                return Draft(path, code)
            done = await run.execute(code, [one.call for one in shown])
            failed = [
                failure(one, gave) for one, gave in zip(shown, done, strict=True) if not passes(gave, one)
            ]
            history.append((path.text, failed[:SHOWN]))
            if not failed or len(history) == self.rounds:
                return Draft(path, code, 1 - len(failed) / len(shown))
            prompt = replace(debug_program(ask(problem), history), origin=path.place)
            path = await run.extend(prompt, temperature=self.temperature, max_tokens=self.max_tokens)

    async def chosen(self, problem: Problem, run: Run, pool: Sequence[Draft]) -> Draft:
        """Stage 2: one of the programs that pass most examples."""
        if self.selection == "public" or len(pool) == 1:
            return pool[0]
        given: list[Input] = list(probes(problem.question))
        if self.selection == "adaptive":
            given += await self.written(problem, run, partial(write_inputs, problem), self.inputs)
        given = list(dict.fromkeys(given)) or [Stdin("")]
        groups = clusters(pool, await run.each(lambda draft: run.execute(draft.code, given), pool))
        run.propose(groups[0].first.path)
        duels = pairs(len(groups), self.duels)
        if self.selection == "majority" or not duels:
            return groups[0].first
        duel = partial(self.duel, problem, run, given)
        points = await run.each(lambda pair: duel(groups[pair[0]], groups[pair[1]]), duels)
        return groups[most_points(len(groups), duels, points)].first

    async def duel(
        self, problem: Problem, run: Run, given: Sequence[Input], a: Cluster, b: Cluster
    ) -> tuple[float, float]:
        """The points of two clusters, by what their representatives give where they differ."""
        one, other = a.first.code, b.first.code
        shown: list[tuple[str, str, str]] = []
        if self.selection == "adaptive":
            apart = partial(write_distinguishing_inputs, problem, one, other)
            calls = await self.written(problem, run, apart, SHOWN)
            gave = [await run.execute(code, calls) if calls else [] for code in (one, other)]
            shown = differences([*calls, *given], [*gave[0], *a.gave], [*gave[1], *b.gave])[:SHOWN]
        forward = await self.judged(run, compare_programs(problem, one, other, shown))
        swapped = [(x, of_b, of_a) for x, of_a, of_b in shown]
        backward = await self.judged(run, compare_programs(problem, other, one, swapped))
        return POINTS.get((forward, backward), (0.0, 0.0))

    async def judged(self, run: Run, prompt: Prefix) -> str | None:
        """The judge's verdict: A, B or tie."""
        grammar = comparison_grammar() if run.can("grammar", "judge") else None
        path = await run.extend(prompt, role="judge", temperature=0, max_tokens=16, grammar=grammar)
        return read_comparison(path.text)

    async def written(
        self, problem: Problem, run: Run, prompt: Callable[[str, int], Prefix], n: int
    ) -> list[Call]:
        """Inputs that the model in the role "judge" writes; none where it is not a function that is asked for."""
        wanted = asked(problem.question)
        if n == 0 or wanted is None:
            return []
        path = await run.extend(
            prompt(wanted.function, n), role="judge", temperature=self.temperature, max_tokens=256
        )
        return written_calls(path.text, wanted.function, n)
