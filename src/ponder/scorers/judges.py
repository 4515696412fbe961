"""A model that judges what was written: one solution, two against each other, or all in a tournament."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from ponder.core.protocols import Score
from ponder.scorers.catalogue import Count, Temperature, scorer
from ponder.thinking.prompts import (
    compare_solutions,
    comparison_grammar,
    is_it_true,
    judge_solution,
    read_comparison,
    read_score,
    says_nothing,
    score_grammar,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Run, Scale

TOP = 20
VERDICT = 32
"""Tokens that a verdict without a reason takes at most."""


class _Match(NamedTuple):
    """How often the first of two is better, in [0, 1], and how many verdicts could not be read."""

    first: float
    unread: int


@scorer
class Judge:
    """A model, in the role "judge", says how good each path is (Zheng et al. 2023, 2306.05685), in [0, 1].

    `mode` "absolute" asks for a score from 0 to 10. "pairwise" asks for each two which is better, both ways round, and
    a path's value is how often it won: n * (n - 1) questions. "tournament" is a knock-out with as many rounds as it
    takes, n - 1 matches of two questions each; the value is the share of rounds won. Each question is asked `samples`
    times. With `explain` a reason comes before the verdict.

    Where the engine can, a grammar holds it to a verdict. One that cannot be read is counted in the trace and is no
    information: a path with no other has 1/2, a match without any is a tie. A path that says nothing, or nothing but
    "Thought process:", has 0 unasked, and loses unasked.
    """

    name: ClassVar[str] = "judge"
    scale: ClassVar[Scale] = "probability"
    aliases: ClassVar[tuple[str, ...]] = ("llm-judge",)
    needs: ClassVar[frozenset[Ability]] = frozenset()
    roles: ClassVar[tuple[str, ...]] = ("judge",)

    mode: Literal["absolute", "pairwise", "tournament"] = "absolute"
    samples: Count = 1
    explain: bool = False
    temperature: Temperature = 0.7
    max_tokens: Count = 200
    longest: Count = 8000

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        texts = [path.text for path in paths]
        able = [i for i, text in enumerate(texts) if not says_nothing(text)]
        judged = [texts[i] for i in able]
        if self.mode == "absolute":
            found = await run.each(lambda text: self._absolute(problem, text, run), judged)
        elif self.mode == "pairwise":
            found = await self._pairwise(problem, judged, len(texts), run)
        else:
            found = await self._tournament(problem, judged, run)
        scores = dict(zip(able, found, strict=True))
        return [scores.get(i, Score(0.0)) for i in range(len(paths))]

    async def _absolute(self, problem: Problem, text: str, run: Run) -> Score:
        said = await self._ask(judge_solution(problem, text, explain=self.explain, most=self.longest), run)
        scores = [score for reply in said if (score := read_score(reply)) is not None]
        return Score(_mean(scores), unread=len(said) - len(scores))

    async def _pairwise(self, problem: Problem, texts: Sequence[str], n: int, run: Run) -> list[Score]:
        pairs = [(i, j) for i in range(len(texts)) for j in range(i)]
        matches = await run.each(
            lambda pair: self._match(problem, texts[pair[0]], texts[pair[1]], run), pairs
        )
        won = [float(n - len(texts))] * len(texts)  # against those that say nothing
        unread = [0] * len(texts)
        for (i, j), match in zip(pairs, matches, strict=True):
            won[i] += match.first
            won[j] += 1 - match.first
            unread[i] += match.unread
        return [Score(w / (n - 1) if n > 1 else 0.5, unread=u) for w, u in zip(won, unread, strict=True)]

    async def _tournament(self, problem: Problem, texts: Sequence[str], run: Run) -> list[Score]:
        rounds = math.ceil(math.log2(len(texts))) if len(texts) > 1 else 0
        won, unread = [0] * len(texts), [0] * len(texts)
        standing = list(range(len(texts)))
        for _ in range(rounds):
            pairs = list(zip(standing[::2], standing[1::2], strict=False))
            matches = await run.each(
                lambda pair: self._match(problem, texts[pair[0]], texts[pair[1]], run), pairs
            )
            on = []
            for (i, j), match in zip(pairs, matches, strict=True):
                winner = i if match.first >= 0.5 else j  # a tie goes to the first seen
                on.append(winner)
                unread[winner] += match.unread
            standing = on + standing[len(pairs) * 2 :]  # without an opponent it stays in
            for i in standing:
                won[i] += 1
        return [Score(w / rounds if rounds else 0.5, unread=u) for w, u in zip(won, unread, strict=True)]

    async def _match(self, problem: Problem, a: str, b: str, run: Run) -> _Match:
        """Both ways round: what likes only a place is a tie."""
        if a.strip() == b.strip():
            return _Match(0.5, 0)

        async def ask(flipped: bool) -> tuple[list[float], int]:
            first, second = (b, a) if flipped else (a, b)
            asked = compare_solutions(problem, first, second, explain=self.explain, most=self.longest)
            said = await self._ask(asked, run, compares=True)
            read = [better for reply in said if (better := read_comparison(reply))]
            points = [0.5 if better == "tie" else float((better == "A") != flipped) for better in read]
            return points, len(said) - len(read)

        (one, lost), (other, more) = await run.each(ask, (False, True))
        ways = [_mean(points) for points in (one, other) if points]
        return _Match(_mean(ways), lost + more)

    async def _ask(self, asked: Prefix, run: Run, *, compares: bool = False) -> list[str]:
        grammar = comparison_grammar if compares else score_grammar
        held = run.can("grammar", "judge")
        said = await run.sample(
            asked,
            self.samples,
            role="judge",
            temperature=self.temperature,
            max_tokens=self.max_tokens if self.explain else min(VERDICT, self.max_tokens),
            grammar=grammar(explain=self.explain) if held else None,
        )
        return [reply.text for reply in said]


@scorer
class PTrue:
    """The probability that the model, in the role "judge", gives to its solution being true
    (Kadavath et al. 2022, 2207.05221, section 3).

    One token is drawn after "The proposed solution is: (", and P(A) / (P(A) + P(B)) is taken from the log-probabilities
    of the likeliest. Where neither letter is among them nothing is known, and the value is 1/2.
    """

    name: ClassVar[str] = "p-true"
    scale: ClassVar[Scale] = "probability"
    aliases: ClassVar[tuple[str, ...]] = ("ptrue",)
    needs: ClassVar[frozenset[Ability]] = frozenset({"top_logprobs", "continue", "token_ids"})
    roles: ClassVar[tuple[str, ...]] = ("judge",)

    longest: Count = 8000

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        true, false = [await _tokens(letter, run) for letter in "AB"]

        async def one(path: Prefix) -> Score:
            if says_nothing(path.text):
                return Score(0.0)
            asked = is_it_true(problem, path.text, self.longest)
            said = await run.extend(asked, role="judge", max_tokens=1, temperature=0.0, logprobs=TOP)
            likeliest = dict((said.segments[-1].top_logprobs or ((),))[0])
            yes, no = (
                math.fsum(math.exp(likeliest[i]) for i in ids if i in likeliest) for ids in (true, false)
            )
            return Score(yes / (yes + no)) if yes + no else Score(0.5, unread=1)

        return await run.each(one, paths)


async def _tokens(letter: str, run: Run) -> set[int]:
    """What a letter may begin with after "(": some tokenizers put a blank before what stands alone."""
    alone, behind = await run.encode([letter, f"({letter}"], "judge")
    return {alone[0], behind[-1]}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.5
