"""rStar: five ways to go on, chosen by tree search, and a second model that must agree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from ponder.strategies.catalogue import Count, Natural, Temperature, Weight, method
from ponder.thinking.prompts import SHOTS, SUBANSWER, SUBQUESTION, ask, rephrase, rephrased
from ponder.thinking.search.values import Node, best_child, reward_up
from ponder.thinking.steps import DELIMITER, head
from ponder.thinking.votes import best, majority

if TYPE_CHECKING:
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Choice, Run

AFTER = {
    "": ("A1", "A2", "A3", "A5"),
    "A1": ("A1", "A2"),
    "A3": ("A1", "A2", "A3", "A4"),
    "A4": ("A1", "A2", "A3"),
    "A5": ("A1", "A2", "A3"),
}
"""Which actions may follow which (section 3.2 and the released code); "" is the question."""


@dataclass
class State:
    """What an action led to: the path, the actions not tried from here, and at the end its answer with its reward."""

    path: Prefix
    untried: list[str] = field(default_factory=list)
    end: Candidate | None = None


@method
class RStar:
    """Self-play mutual reasoning (Qi et al. 2024, 2408.06195, section 3).

    Each roll-out goes down by UCT = Q / N + w sqrt(ln N_p / N) to a node with an action that was not tried, tries one
    at random, and goes on so to an end. A1 writes one step, A2 all that remain, A3 a sub-question and its answer, A4
    answers that sub-question again, A5 puts the question in other words. A1 and A3 may be tried `candidates` times,
    the others once. The reward of an end is the self-consistency share of its answer: among the `votes` samples of
    A2, or among all ends so far.

    Then each trajectory is cut off after 20 to 80 % of its steps, and the role "discriminator" completes it `masks`
    times. Where it comes to the same answer, they agree; of those that agree in at least half, the trajectory with
    the highest product of its reward and its answer's share is the choice.
    """

    name: ClassVar[str] = "rstar"
    paper: ClassVar[str] = "2408.06195"
    cost: ClassVar[str] = "rollouts * (depth steps + votes * L) + masks * L for each end"
    needs: ClassVar[frozenset[Ability]] = frozenset({"continue"})
    roles: ClassVar[tuple[str, ...]] = ("solver", "discriminator")

    rollouts: Count = 16
    depth: Count = 5
    w: Weight = 2.0
    candidates: Count = 3
    votes: Count = 4
    masks: Natural = 1
    temperature: Temperature = 0.8
    shots: Natural = SHOTS
    step_tokens: Count = 128
    max_tokens: Count = 512

    async def solve(self, problem: Problem, run: Run) -> Choice:
        root = Node(State(ask(problem, "steps", self.shots), self.actions("", 0)))
        ends: list[Candidate] = []
        for _ in range(self.rollouts):
            node = root
            while not node.state.untried and node.children:
                node = best_child(node, self.w)
            while node.state.untried:
                node = await self.act(problem, node, ends, run)
            if node.state.end is not None and node.visits == 0:
                ends.append(node.state.end)
                run.propose(majority(ends))
            reward_up(node, node.state.end.weight if node.state.end else 0.0)
            run.visited((above.state.path, above.value, above.visits) for above in node.line())
        if not ends:
            return majority(await run.read([await self.write(root.state.path, run)]))
        agreed = [end for end, agrees in zip(ends, await self.agree(ends, run), strict=True) if agrees]
        pool = agreed or ends
        return best([replace(end, weight=end.weight * share(end, ends)) for end in pool])

    def actions(self, action: str, depth: int) -> list[str]:
        """What may be tried after an action. In the last step but one only A2 can still come to an answer."""
        if depth == self.depth - 1:
            return ["A2"]
        return [a for a in AFTER[action] for _ in range(self.candidates if a in ("A1", "A3") else 1)]

    async def act(self, problem: Problem, node: Node[State], ends: list[Candidate], run: Run) -> Node[State]:
        """A new child, by an action that was not tried."""
        action = node.state.untried.pop(run.rng.randrange(len(node.state.untried)))
        if action == "A2":
            samples = await run.sample(
                node.state.path, self.votes, temperature=self.temperature, max_tokens=self.max_tokens
            )
            read = await run.read(samples)
            path = majority(read).path
            return node.add(State(path, end=ended(read, path, read)))
        path = await self.step(problem, action, node.state.path, run)
        (read_one,) = await run.read([path])
        if path.done:
            return node.add(State(path, end=ended([read_one], path, [*ends, read_one])))
        return node.add(State(path, self.actions(action, node.depth + 1)))

    async def step(self, problem: Problem, action: str, path: Prefix, run: Run) -> Prefix:
        """The path after A1, A3, A4 or A5."""
        if action == "A5":
            words = await self.write(rephrase(problem), run)
            return replace(ask(rephrased(problem, words.text), "steps", self.shots), origin=words.place)
        if action == "A3":
            asked = await self.write(path + SUBQUESTION, run, "\n")
            return await self.write(asked.before_stop + f"\n{SUBANSWER}", run, DELIMITER)
        return await self.write(path.rewind() if action == "A4" else path, run, DELIMITER)

    async def write(self, path: Prefix, run: Run, stop: str = "") -> Prefix:
        """The path up to a stop, or to its end."""
        return await run.extend(
            path,
            temperature=self.temperature,
            max_tokens=self.step_tokens if stop else self.max_tokens,
            stop=(stop,) if stop else (),
        )

    async def agree(self, ends: list[Candidate], run: Run) -> list[bool]:
        """Whether the discriminator comes to the same answer, from a part of each trajectory, at least half the time."""

        async def one(end: Candidate) -> bool:
            starts = [
                replace(end.path, segments=(), origin=end.path.place)
                + head(end.path.text, run.rng.uniform(0.2, 0.8))
                for _ in range(self.masks)
            ]
            if end.key is None or not starts:
                return end.key is not None
            completed = await run.sample(
                starts, role="discriminator", temperature=self.temperature, max_tokens=self.max_tokens
            )
            same = [c.key == end.key for c in await run.read(completed)]
            return 2 * sum(same) >= len(same)

        return await run.each(one, ends)


def share(candidate: Candidate, among: list[Candidate]) -> float:
    """How many have the same answer; an answer that is none has no share."""
    return sum(c.key == candidate.key for c in among) / len(among) if candidate.key is not None else 0.0


def ended(read: list[Candidate], path: Prefix, among: list[Candidate]) -> Candidate:
    """The end that a path came to, its reward as its weight."""
    end = next(c for c in read if c.path is path)
    return replace(end, weight=share(end, among))
