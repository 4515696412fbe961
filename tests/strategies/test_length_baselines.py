"""s1's other ways to a length: asking for it, and drawing until it comes by chance."""

import math

import pytest
import trio
from support import QUESTION, Keys, attempt, virtual

from ponder.engines.scripted import Scripted
from ponder.runtime.solve import solve
from ponder.strategies import ConditionalControl, RejectionSampling
from ponder.thinking.markers import FAMILIES

SHORT, LONG = "Six sevens.", "Six and six and six and six and six and six and six."


def thinker(short):
    def script(prefix):
        if "</think>" in prefix.text:
            return {" The answer is 42.": 1.0}
        return {
            f"{text}</think> The answer is 42.": p for text, p in ((SHORT, short), (LONG, 1 - short)) if p > 0
        }

    return Scripted(script, thinking=FAMILIES["think"])


def test_rejection_draws_as_often_as_chance_has_it_and_pays_for_all():
    """The number of tries is geometric, cut at n: mean (1 - (1 - q)^n) / q."""
    q, n, runs = 0.4, 8, 600

    async def main():
        engine, tries = thinker(q), []
        for seed in range(runs):
            result = await solve(
                QUESTION, RejectionSampling(limit=6, n=n), {"solver": engine}, equality=Keys(), seed=seed
            )
            long = result.usage.calls - 2
            kept = SHORT in result.text
            assert result.usage.completion >= 14 * long, "tries that were too long are paid for"
            tries.append(result.usage.calls - 1)
            assert kept or (tries and tries[-1] == n)
        return tries

    tries = trio.run(main)
    mean = sum(tries) / runs
    spread = math.sqrt(sum((t - mean) ** 2 for t in tries) / runs)
    assert abs(mean - (1 - (1 - q) ** n) / q) < 3.5 * spread / math.sqrt(runs)


def test_after_n_tries_the_shortest_counts():
    result, events = virtual(attempt, RejectionSampling(limit=3, n=5), thinker(0.5))
    assert sum(e.kind == "extended" for e in events) == 6
    assert SHORT in result.text
    assert result.answer == "42"


def test_the_first_short_one_is_kept_and_none_is_drawn_after_it():
    result, _ = virtual(attempt, RejectionSampling(limit=6), thinker(1.0))
    assert result.usage.calls == 2


@pytest.mark.parametrize(
    ("condition", "said"), [("tokens", "up to 300 tokens."), ("steps", "up to 3 steps.")]
)
def test_what_is_asked_for_is_not_enforced(condition, said):
    asked = []

    def script(prefix):
        asked.append(prefix.prompt.messages[-1].text)
        return {"word and " * 3 + "</think> The answer is 42.": 1.0}

    engine = Scripted(script, thinking=FAMILIES["think"])
    result, _ = virtual(attempt, ConditionalControl(condition=condition, n=300), engine)
    assert asked[0].endswith(said)
    assert result.answer == "42"
    assert (
        virtual(attempt, ConditionalControl(condition=condition, n=1), thinker(0.0))[0].usage.completion > 10
    )
