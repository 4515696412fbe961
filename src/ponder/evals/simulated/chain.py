"""How a simulated model attempts one problem: a text, token by token, with the odds of every choice in it.

A chain reads

    Add 25 to 412, checking the ones: 412 + 25 = 437.

    Take 18 from 437: 437 - 18 = 419.

    The answer is 419.

A step may slip; then all that follows is reckoned rightly from the wrong value, so the answer is off by that slip.
A line may begin with "Wait", which states the running value anew, rightly or not.
"""

from __future__ import annotations

import math
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

from ponder.evals.simulated.options import Options, Spot, Where
from ponder.evals.simulated.puzzle import RARE, uniforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ponder.evals.simulated.puzzle import Puzzle
    from ponder.evals.simulated.traits import Traits

Style = Literal["cot", "draft", "direct"]

CHECK: Final = "hecking again: the value is"
_SHARES: Final = (4 / 7, 2 / 7, 1 / 7)
_CLAUSES: Final = (" checking the ones", " checking the tens", " checking the sign")
_ANSWERS: Final[dict[Where, tuple[str, str]]] = {
    "answer": (" ", "."),
    "spaced": ("", "."),
    "bare": ("", ""),
    "marked": (" ", ""),
    "boxed": ("", "}"),
}
_NORMAL: Final = NormalDist()


class Chain:
    """One problem in one style, as a simulated model of these traits writes it."""

    def __init__(self, puzzle: Puzzle, traits: Traits, style: Style = "cot") -> None:
        self.puzzle, self.traits, self.style = puzzle, traits, style
        self._known: dict[tuple[Where, int, int, int], Options] = {}
        draw = uniforms("traps", traits.seed, puzzle.world, puzzle.index)
        self.chances = tuple(self._chance(next(draw)) for _ in range(puzzle.steps))
        self.start = Spot("", "bare", 0, 0) if style == "direct" else self.line(0, 0)

    def options(self, spot: Spot) -> Options:
        """What may come after all that is certain at a spot."""
        key = (spot.where, spot.step, spot.slip, spot.clause)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._made(spot)
        return found.begun(spot.begun) if spot.begun else found

    def line(self, step: int, slip: int, before: str = "") -> Spot:
        """Where a line begins, after so many steps and these words."""
        if self.style == "cot":
            return Spot(before, "line", step, slip)
        if self.style == "direct":
            return Spot(f"{before}The answer is", "answer", step, slip)
        if step == self.puzzle.steps:
            return Spot(f"{before}####", "marked", step, slip)
        return Spot(before + self._sum(step, slip), "value", step, slip)

    def again(self, spot: Spot) -> Spot:
        """Where a new line begins, for a text that left its course here."""
        if spot.where == "check":
            return Spot(f"C{CHECK}", "check", spot.step, spot.slip)
        return self.line(spot.step, spot.slip)

    def _chance(self, u: float) -> float:
        """That a step is right in a full chain."""
        hard = self.traits.spread * _NORMAL.inv_cdf(max(u, 2**-54))
        return 1 / (1 + math.exp(-4 - 6 * (self.traits.skill - self.puzzle.difficulty) - hard))

    def _sum(self, step: int, slip: int) -> str:
        before, after = self.puzzle.values[step : step + 2]
        return f"{before + slip} {'+' if after > before else '-'} {abs(after - before)} ="

    def _made(self, spot: Spot) -> Options:
        where, step, slip = spot.where, spot.step, spot.slip
        if where == "line":
            return Options.of(self._line(step, slip))
        if where == "clause":
            more = self.traits.ramble if slip else self.traits.wordy
            following = (spot.clause + 1) % len(_CLAUSES)
            value = Spot(f" {self._sum(step, slip)}", "value", step, slip)
            clause = Spot(_CLAUSES[spot.clause], "clause", step, slip, following)
            return Options.of([(1 - more, ":", value), (more, ",", clause)])
        if where == "value":
            chance = self.chances[step] ** (self.traits.draft if self.style == "draft" else 1)
            return self._values(slip, chance, step + 1, self._after_value)
        if where == "check":
            if not slip:
                return self._values(0, 1 - self.traits.spoil, step, self._after_check)
            told = [(self.traits.correct, 0), (1 - self.traits.correct, slip)]
            return Options.of((share, *self._after_check(step, off)) for share, off in told)
        if where == "end":
            return Options.of([(1.0, "", spot._replace(rest=""))])
        chance = math.prod(p**self.traits.direct for p in self.chances[step:])
        return self._values(slip, chance, self.puzzle.steps, partial(self._after_answer, where))

    def _line(self, step: int, slip: int) -> Iterator[tuple[float, str, Spot]]:
        wait = self.traits.notice if slip else 0.0
        if step == self.puzzle.steps:
            yield 1 - wait, "The", Spot(" answer is", "answer", step, slip)
        else:
            before, after = self.puzzle.values[step : step + 2]
            word, towards = ("Add", "to") if after > before else ("Take", "from")
            rest = f" {abs(after - before)} {towards} {before + slip}"
            yield 1 - wait, word, Spot(rest, "clause", step, slip)
        yield wait, "Wait", Spot(f", c{CHECK}", "check", step, slip)

    def _values(
        self, slip: int, chance: float, step: int, then: Callable[[int, int], tuple[str, Spot]]
    ) -> Options:
        """A value after `step` steps, right with this chance. A chain that has slipped keeps its slip."""
        if slip:
            return Options((0.0,), lambda _: then(step, slip))
        rare = self.traits.tail / len(RARE)
        wrong = [(1 - self.traits.tail) * share for share in _SHARES]
        ranked = [(1 - chance) * share for share in (*wrong, *[rare] * len(RARE))]
        slips = [*self.puzzle.slips, *RARE]
        if rare > wrong[-1]:
            order = sorted(range(len(slips)), key=lambda j: -ranked[j])
            ranked, slips = [ranked[j] for j in order], [slips[j] for j in order]
        at = next((j for j, share in enumerate(ranked) if share <= chance), len(ranked))
        ranked.insert(at, chance)
        slips.insert(at, 0)
        if not ranked[-1]:
            slips = [off for off, share in zip(slips, ranked, strict=True) if share]
            ranked = [share for share in ranked if share]
        return Options(tuple(map(math.log, ranked)), lambda j: then(step, slips[j]))

    def _after_value(self, step: int, slip: int) -> tuple[str, Spot]:
        between = ".\n\n" if self.style != "draft" else "; " if step < self.puzzle.steps else " "
        return f" {self.puzzle.values[step] + slip}", self.line(step, slip, between)

    def _after_check(self, step: int, slip: int) -> tuple[str, Spot]:
        return f" {self.puzzle.values[step] + slip}", self.line(step, slip, ".\n\n")

    def _after_answer(self, where: Where, step: int, slip: int) -> tuple[str, Spot]:
        before, after = _ANSWERS[where]
        return f"{before}{self.puzzle.values[step] + slip}", Spot(after, "end", step, slip)


class Guess:
    """What a simulated model says to a question that it does not know: one of `answers`, all equally likely."""

    def __init__(self, answers: tuple[str, ...], style: Style = "cot") -> None:
        self.answers, self.style = answers, style
        said = "I do not know this problem, so I guess.\n\nThe answer is"
        self.start = Spot("", "bare", 0, 0) if style == "direct" else Spot(said, "answer", 0, 0)
        self._known: dict[Where, Options] = {}

    def options(self, spot: Spot) -> Options:
        """What may come after all that is certain at a spot."""
        found = self._known.get(spot.where)
        if found is None:
            found = self._known[spot.where] = Options.of(self._shares(spot))
        return found.begun(spot.begun) if spot.begun else found

    def again(self, spot: Spot) -> Spot:
        """Where a new line begins, for a text that left its course here."""
        return (
            Spot(f"C{CHECK}", "check", 0, 0)
            if spot.where == "check"
            else Spot("The answer is", "answer", 0, 0)
        )

    def _shares(self, spot: Spot) -> Iterator[tuple[float, str, Spot]]:
        if spot.where == "end":
            yield 1.0, "", spot._replace(rest="")
            return
        before, after = _ANSWERS.get(spot.where, (" ", ".\n\nThe answer is"))
        then: Where = "end" if spot.where in _ANSWERS else "answer"
        for answer in self.answers:
            yield 1.0, before + answer, Spot(after, then, 0, 0)
