"""Auto: a few samples tell how hard a problem is; the easy ones are done, a policy knows what the others need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from ponder.strategies.catalogue import Count as Whole
from ponder.strategies.catalogue import Natural, Range, Temperature, method, parse
from ponder.thinking.difficulty import Signs, difficulty
from ponder.thinking.prompts import SHOTS, ask
from ponder.thinking.votes import majority, unanimous

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.policy import Policy
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run, Scorer, Strategy


@method
class Auto:
    """The strategy that a policy names for the difficulty of the problem and the budget (Snell et al. 2024, 2408.03314,
    section 3; for the model and the scorer, too: Liu et al. 2025, 2502.06703).

    theta*(N) = argmax over theta of P(right | theta, N, q), with the difficulty of q estimated from `probe` chains of
    thought, which the papers do not count and we do. Where all of them agree, that is the answer, unless the policy has
    seen such agreement deceive. Where not, what is left of the budget goes to the strategy named, which begins with the
    chains that are there, if it draws such.
    Where the policy says that for this budget no probe pays, its strategy has the whole budget at once.
    Before the chains may come `direct` answers, without any reasoning, which end it where two or more all agree.

    `policy` is a name, or a file that `ponder calibrate` wrote; if none is said, one that was learnt for this model and
    scorer, else the default one. `probe` and `direct` are its own unless they are said.
    `scorer` is the one that it was learnt with: its value of the chains is a sign of difficulty. `then` is a strategy
    that takes the place of whatever the policy would name, also where samples agree.
    """

    name: ClassVar[str] = "auto"
    paper: ClassVar[str] = "2408.03314"
    cost: ClassVar[str] = "probe * L where samples agree, else what the budget has"
    needs: ClassVar[frozenset[Ability]] = frozenset()

    policy: str | None = None
    scorer: Scorer | str | None = None
    then: Strategy | None = None
    probe: Annotated[int | None, Range(1)] = None
    direct: Annotated[int | None, Range(0)] = None
    temperature: Temperature = 0.7
    top_k: Natural = 40
    shots: Natural = SHOTS
    max_tokens: Whole = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        policy = run.policy(self.policy, self.scorer)
        budget = run.budget.left.tokens
        first = policy.rule(0.0, budget)
        if first.alone and not self.then:
            return await run.delegate(parse(first.strategy))
        quick: list[Candidate] = []
        if n := policy.direct if self.direct is None else self.direct:
            quick = await run.read(await self.answers(problem, run, n))
            run.propose(majority(quick))
            if len(quick) > 1 and unanimous(quick):
                return majority(quick)
        paths = await run.sample(
            ask(problem, "cot", self.shots),
            self.probe or policy.probe,
            temperature=self.temperature,
            top_k=self.top_k,
            max_tokens=self.max_tokens,
            logprobs=0,
        )
        seen = await run.read(paths)
        vote = majority(seen if any(c.key for c in seen) else quick or seen)
        run.propose(vote)
        chosen = await self.chosen(run, policy, seen, budget)
        if chosen is None:
            return vote
        choice = await run.delegate(chosen, given=paths)
        return choice if choice.answer is not None else vote

    async def answers(self, problem: Problem, run: Run, n: int) -> Sequence[Prefix]:
        """Direct answers: the likeliest one, or `n` samples."""
        return await run.sample(
            ask(problem, "direct", self.shots),
            n,
            temperature=self.temperature if n > 1 else 0.0,
            top_k=self.top_k,
            max_tokens=128,
        )

    async def chosen(
        self, run: Run, policy: Policy, seen: Sequence[Candidate], budget: int | None
    ) -> Strategy | None:
        """What the policy names for a problem whose samples show this; None where they are believed."""
        agreed = len(seen) > 1 and unanimous(seen)
        if agreed and not self.then and not policy.doubts(budget):
            return None
        paths = [c.path for c in seen]
        values = await run.score(paths, by=self.scorer) if self.scorer else ()
        if self.then:  # the values are in the trace, from which calibrate learns
            return self.then
        signs = Signs.of(
            [c.key for c in seen], [p.mean_logprob for p in paths], [p.tokens for p in paths], values
        )
        hard = difficulty(signs, policy.weights)
        rule = policy.doubts(budget, hard) if agreed else policy.rule(hard, budget)
        return parse(rule.strategy) if rule else None
