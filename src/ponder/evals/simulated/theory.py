"""What a simulated model does, worked out from its chain rather than sampled.

Exact, whatever the temperature and the truncations, where no text is cut off by `max_tokens` and no bias is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ponder.core.calls import Sampling
from ponder.evals.simulated import tokens
from ponder.evals.simulated.options import Spot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.evals.simulated.chain import Chain

PLAIN: Final = Sampling(temperature=1.0)


class _Line(NamedTuple):
    """At the beginning of a line: how likely a wrong chain is put right there, and how many "Wait"s it writes."""

    mended: float
    waits: float


def answers(chain: Chain, sampling: Sampling = PLAIN, waits: int = 0) -> dict[str, float]:
    """The probability of each answer of one sample, likeliest first.

    Args:
        chain: see `Simulated.chain`.
        sampling: its temperature and truncations count.
        waits: how often a strategy takes off the end and writes "Wait" (of a full chain, not of drafts).

    """
    last = chain.puzzle.steps
    if chain.style == "direct":
        slips = _chosen(chain, chain.start, sampling)
    else:
        slips = {0: 1.0}
        for step in range(last):
            slips = _valued(chain, step, _mended(chain, step, slips, sampling), sampling)
        slips = _mended(chain, last, slips, sampling)
    for _ in range(waits):
        checked: dict[int, float] = {}
        for slip, mass in slips.items():
            for off, share in _chosen(chain, Spot("", "check", last, slip), sampling).items():
                checked[off] = checked.get(off, 0.0) + mass * share
        slips = _mended(chain, last, checked, sampling)
    gold = int(chain.puzzle.gold)
    ranked = sorted(slips.items(), key=lambda slip: -slip[1])
    return {str(gold + slip): mass for slip, mass in ranked if mass > 0}


def right(chain: Chain, sampling: Sampling = PLAIN, waits: int = 0) -> float:
    """The probability that one sample is right."""
    return answers(chain, sampling, waits).get(chain.puzzle.gold, 0.0)


def after_waits(p: float, waits: int, correct: float, spoil: float) -> float:
    """p(right) after so many "Wait"s, each of which puts right or wrong; it tends to correct / (correct + spoil).

    The two-state chain's closed form; `answers` says the same of a model that never says "Wait" itself.
    """
    if correct + spoil == 0:
        return p
    limit = correct / (correct + spoil)
    return limit + (p - limit) * (1 - correct - spoil) ** waits


def length(chain: Chain, sampling: Sampling = PLAIN) -> float:
    """The mean number of completion tokens of one sample, end-of-text included."""
    puzzle = chain.puzzle
    if chain.style == "direct":
        return 2.0
    answer = " ####" if chain.style == "draft" else "The answer is"
    total: float = len(tokens.split(answer)) + (2 if chain.style == "draft" else 3)  # value, full stop, end
    slips = {0: 1.0}
    for step in range(puzzle.steps + 1):
        wrong = 1 - slips.get(0, 0.0)
        line = _line(chain, step, sampling)
        total += wrong * line.waits * len(tokens.split("Wait" + _CHECKED))
        slips = _mended(chain, step, slips, sampling)
        if step == puzzle.steps:
            break
        wrong = 1 - slips.get(0, 0.0)
        total += _step(chain, step, 0, sampling) * (1 - wrong) + _step(chain, step, 1, sampling) * wrong
        slips = _valued(chain, step, slips, sampling)
    return total


_CHECKED: Final = ", checking again: the value is 500.\n\n"


def _step(chain: Chain, step: int, slip: int, sampling: Sampling) -> float:
    """The mean number of tokens of a step, up to where the next line begins."""
    if chain.style == "draft":
        return len(tokens.split("500 + 11 = 511")) + (step < chain.puzzle.steps - 1)
    more = _odds(chain, Spot("", "clause", step, slip), sampling).get(",", 0.0)
    plain = len(tokens.split("Add 11 to 500: 500 + 11 = 511.\n\n"))
    return plain + more / (1 - more) * len(tokens.split(", checking the ones"))


def _line(chain: Chain, step: int, sampling: Sampling) -> _Line:
    """Of a wrong chain, whatever it is off by."""
    if chain.style != "cot":
        return _Line(0.0, 0.0)
    slip = chain.puzzle.slips[0]
    wait = _odds(chain, Spot("", "line", step, slip), sampling).get("Wait", 0.0)
    put_right = _chosen(chain, Spot("", "check", step, slip), sampling).get(0, 0.0)
    again = 1 - wait * (1 - put_right)
    return _Line(wait * put_right / again, wait / again)


def _mended(chain: Chain, step: int, slips: Mapping[int, float], sampling: Sampling) -> dict[int, float]:
    mended = _line(chain, step, sampling).mended
    wrong = {slip: mass * (1 - mended) for slip, mass in slips.items() if slip}
    return {0: slips.get(0, 0.0) + mended * sum(mass for slip, mass in slips.items() if slip), **wrong}


def _valued(chain: Chain, step: int, slips: Mapping[int, float], sampling: Sampling) -> dict[int, float]:
    """After one step more: what was right may slip, what slipped stays so."""
    found = {slip: mass for slip, mass in slips.items() if slip}
    for slip, share in _chosen(chain, Spot("", "value", step, 0), sampling).items():
        found[slip] = found.get(slip, 0.0) + slips.get(0, 0.0) * share
    return found


def _chosen(chain: Chain, spot: Spot, sampling: Sampling) -> dict[int, float]:
    """What the value chosen at a spot is off by."""
    options = chain.options(spot)
    odds = zip(options.told, options.odds(sampling), strict=False)
    return {then.slip: share for (_, then), share in odds if share}


def _odds(chain: Chain, spot: Spot, sampling: Sampling) -> dict[str, float]:
    options = chain.options(spot)
    odds = zip(options.told, options.odds(sampling), strict=False)
    return {text: share for (text, _), share in odds}
