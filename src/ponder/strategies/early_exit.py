"""Early exit: ask for the answer while the model still reasons, and stop once it stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ponder.core.protocols import Choice
from ponder.strategies.catalogue import Count, Natural, Probability, Temperature, method
from ponder.thinking.hesitation import hesitates, mean_probability
from ponder.thinking.prompts import PROBE, SHOTS, ask
from ponder.thinking.votes import unanimous

if TYPE_CHECKING:
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Candidate, Run


@method
class EarlyExit:
    """Certainty probes of Dynasor (Fu et al. 2024, 2412.20993, section 4): every `k` tokens, a side branch answers.

    It writes "The final answer is" after the reasoning so far, and the model goes on greedily, which is paid for. Once
    `c` probes in a row have the same answer, and none of them hesitates ("wait", "hmm"), that answer counts. A probe
    also hesitates where the mean probability of its tokens is below `confidence`; 0 does not ask.
    """

    name: ClassVar[str] = "early-exit"
    aliases: ClassVar[tuple[str, ...]] = ("dynasor",)
    paper: ClassVar[str] = "2412.20993"
    cost: ClassVar[str] = "L at most, and max_probe for every k tokens of it"

    k: Count = 32
    c: Count = 3
    confidence: Probability = 0.0
    max_probe: Count = 24
    temperature: Temperature = 0.6
    shots: Natural = SHOTS
    max_tokens: Count = 1024

    @property
    def needs(self) -> frozenset[Ability]:
        """Log-probabilities only where the confidence of probes is asked for."""
        return frozenset({"continue", "logprobs"}) if self.confidence else frozenset({"continue"})

    async def solve(self, problem: Problem, run: Run) -> Choice:
        path = ask(problem, "cot", self.shots)
        probes: list[Candidate] = []
        while (left := self.max_tokens - path.tokens) > 0:
            path = await run.extend(path, temperature=self.temperature, max_tokens=min(self.k, left))
            if path.done:
                break
            probe = await run.extend(
                path + PROBE, temperature=0, max_tokens=self.max_probe, stop=("\n",), logprobs=0
            )
            probes += await run.read([probe])
            run.propose(decision(probes))
            last = probes[-self.c :]
            if len(last) == self.c and unanimous(last) and not any(map(self.unsure, last)):
                return decision(probes)
        [whole] = await run.read([path])
        return decision([*probes, whole])

    def unsure(self, probe: Candidate) -> bool:
        """Whether a probe's own words, or their probabilities, speak against it."""
        said = probe.path.segments[-1]
        sure = not self.confidence or mean_probability(said.logprobs or ()) >= self.confidence
        return hesitates(said.text) or not sure


def decision(read: list[Candidate]) -> Choice:
    """The last answer that was read."""
    last = next((c for c in reversed(read) if c.key is not None), read[-1])
    return Choice(last.path, last.answer, tuple(read))
