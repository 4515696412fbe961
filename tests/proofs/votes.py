"""What must not change a decision: the order of candidates, seeing each twice, samples that failed or say nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from laws import test_strategies as laws
from support import Flaky, attempt, virtual

from ponder import AllFailed, Candidate, EngineError
from ponder.core.prefix import Prefix, Prompt
from ponder.engines.scripted import Scripted
from ponder.strategies import CATALOGUE
from ponder.thinking import votes
from proofs import Figure, row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ponder.core.protocols import Choice
    from proofs import Tier

    Vote = Callable[[Sequence[Candidate]], Choice]


def _selected(how: Any) -> Vote:
    return lambda candidates: votes.select(
        [replace(c, weight=1.0) for c in candidates], [c.weight for c in candidates], how
    )


VOTES: dict[str, Vote] = {
    "majority": lambda candidates: votes.majority([replace(c, weight=1.0) for c in candidates]),
    "weighted": votes.majority,
    "best": votes.best,
    "borda": votes.borda,
    **{f"select {how}": _selected(how) for how in ("naive", "weighted", "majority", "borda")},
}
ANSWERS = ("41", "42", "43", None)


@row(
    "R29",
    "No decision depends on the order of candidates but for ties, which go to the first seen; seeing every candidate twice "
    "changes nothing; a sample that failed is never an answer, one that survives is, and where none does there is an error; "
    "texts without an answer give none and are outvoted by any that has one",
    "0 decisions that differ, 0 failed samples chosen, 0 answers made of nothing",
)
def invariants(folder: Path, tier: Tier) -> Figure:
    del folder
    many = 20 if tier == "N" else 1
    wrong = [*_of_votes(1_000 * many), *_of_strategies(3 * many)]
    return Figure(
        f"{1_000 * many:,} sets of candidates x {len(VOTES)} votes x 4 orders, {len(CATALOGUE)} strategies x "
        f"{4 + 3 * many} engines that fail or say nothing: {len(wrong)} wrong"
        + "".join(f"; {w}" for w in wrong[:3]),
        held=not wrong,
    )


def _candidates(chance: random.Random) -> list[Candidate]:
    """A few, with weights whose sums are exact, so that no rounding breaks a tie."""
    found = []
    for i in range(chance.randrange(1, 10)):
        answer = chance.choice(ANSWERS)
        path = Prefix(Prompt(raw=f"candidate {i}"))
        weight = chance.randrange(1, 9) / 8
        found.append(Candidate(path, answer, None if answer is None else f"n:{answer}", weight))
    return found


def _of_votes(sets: int) -> list[str]:
    chance, wrong = random.Random(29), []
    for _ in range(sets):
        given = _candidates(chance)
        answered = [c for c in given if c.key is not None]
        for name, vote in VOTES.items():
            choice = vote(given)
            if (choice.answer is None) != (not answered):
                wrong.append(f"{name}: an answer of nothing, or none of something")
            twice = vote([*given, *given])
            if name != "borda" and "borda" not in name and twice.answer != choice.answer:
                wrong.append(f"{name}: {choice.answer} once, {twice.answer} twice")
            for _ in range(4):
                other = vote(chance.sample(given, len(given)))
                if other.answer != choice.answer and not _tied(name, given, {other.answer, choice.answer}):
                    wrong.append(f"{name}: {choice.answer} in one order, {other.answer} in another")
    return wrong


def _tied(name: str, given: list[Candidate], both: set[str | None]) -> bool:
    """Whether two answers may each win, by a tie of votes, or of weights that say who ranks first."""
    if "borda" in name:  # ranks of equal weights are those of the order
        weights = [c.weight for c in given if c.key is not None]
        return len(set(weights)) < len(weights)
    if name in ("best", "select naive"):
        top = max(c.weight for c in given if c.key is not None)
        return both <= {c.answer for c in given if c.weight == top}
    totals: dict[str | None, float] = {}
    for c in given:
        totals[c.answer] = totals.get(c.answer, 0.0) + (1.0 if "majority" in name else c.weight)
    return len({totals[answer] for answer in both}) == 1


def _of_strategies(seeds: int) -> list[str]:
    wrong = []
    for name in sorted(CATALOGUE):
        wrong += [f"{name}: {what}" for what in _all_fail(name) + _nothing(name)]
        for seed in range(seeds):
            wrong += [f"{name}: {what}" for what in _some_fail(name, 0.5, seed)]
        wrong += [f"{name}: {what}" for what in _some_fail(name, 0.9, 7)]
    return wrong


def _all_fail(name: str) -> list[str]:
    try:
        result, _ = virtual(attempt, name, Flaky(laws.solver(), 1.0), None)
    except (EngineError, AllFailed):
        return []
    return [f"answered {result.answer} when every call failed"]


def _some_fail(name: str, share: float, seed: int) -> list[str]:
    try:
        result, events = virtual(attempt, name, Flaky(laws.solver(), share, seed), None)
    except (EngineError, AllFailed):
        return []
    failed = {e.place for e in events if e.kind == "failed"}
    used = {c.path.place for c in result.choice.candidates} | {result.choice.path.place}
    wrong = ["a failed sample is a candidate"] * bool(failed & used)
    return wrong + [f"answered {result.answer}"] * (result.answer not in ("41", "42", "43", None))


def _nothing(name: str) -> list[str]:
    """Texts that say nothing; and the same with one in eight that does."""
    wrong = []
    for script, may in (
        ({"": 0.5, "\n\n": 0.5}, {None}),
        ({"": 0.875, "The answer is 42.": 0.125}, {None, "42"}),
    ):
        try:
            result, _ = virtual(attempt, name, Scripted(script), "2k")
        except (EngineError, AllFailed):
            continue
        said = result.answer if result.choice is not None else None
        answers = {c.answer for c in result.choice.candidates} if result.choice is not None else set()
        wrong += [f"made {said} of {sorted(script)}"] * (said not in may)
        if (
            len(script) == 2
            and said is None
            and "42" in answers
            and name in ("self-consistency", "best-of-n")
        ):
            wrong.append("outvoted by silence")
    return wrong
