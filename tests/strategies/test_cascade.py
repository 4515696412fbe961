"""A cascade ends where its scorer is sure, goes on where it is not, and keeps what it drew."""

import pytest
from support import attempt, virtual

from ponder.engines.scripted import Scripted

VERIFIED = "cascade:first=(chain-of-thought),then=(chain-of-draft),scorer=arithmetic,aggregation=min,tau=1"


def solved(strategy, first, later="The answer is 7.", budget=None):
    def script(prefix):
        return {later if "draft" in prefix.prompt.messages[0].text else first: 1.0}

    engine = Scripted(script)
    result, events = virtual(attempt, strategy, engine, budget)
    return result, [event.strategy.partition(":")[0] for event in events if event.kind == "delegated"]


def test_what_is_verified_ends_it_and_what_is_not_goes_on():
    right, asked = solved(VERIFIED, "6 * 7 = 42.\n\nThe answer is 42.")
    assert (right.answer, asked) == ("42", ["chain-of-thought"])
    wrong, asked = solved(VERIFIED, "6 * 7 = 43.\n\nThe answer is 43.")
    assert (wrong.answer, asked) == ("7", ["chain-of-thought", "chain-of-draft"])


def test_the_first_answer_stands_where_the_second_has_none_or_the_budget_ends():
    none, _ = solved(VERIFIED, "6 * 7 = 43.\n\nThe answer is 43.", later="")
    assert none.answer == "43"
    ended, asked = solved(VERIFIED, "6 * 7 = 43.\n\nThe answer is 43.", budget="calls=1")
    assert (ended.answer, ended.stop, asked[0]) == ("43", "budget", "chain-of-thought")


@pytest.mark.parametrize(("share", "calls"), [(1.0, 2), (0.5, 16)])
def test_samples_of_the_first_are_the_first_of_the_second(share, calls):
    engine = Scripted(
        lambda _: (
            {"The answer is 42.": share, "The answer is 41.": 1 - share}
            if share < 1
            else {"The answer is 42.": 1.0}
        )
    )
    result, _ = virtual(attempt, "cascade:tau=0.99", engine)
    assert engine.calls == calls
    assert result.usage.completion == engine.completion_tokens
