"""Dollars are a budget like tokens: set aside before they are spent, never overrun, exact to the nanodollar."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import attempt, virtual

from ponder import Budget, Unsupported, UsageError
from ponder.core.calls import NANO, Prices, Usage
from ponder.engines.layers import Layer
from ponder.engines.scripted import Scripted

PRICES = Prices(prompt=0.5, completion=2.0, cached=0.1)


class Priced(Layer):
    """A scripted engine that costs something."""

    def __init__(self, engine, prices=PRICES):
        super().__init__(engine)
        self.prices = prices

    @property
    def capabilities(self):
        return replace(self.engine.capabilities, prices=self.prices)


def solver(**options):
    return Scripted.solver(0.7, text="Let me think about it.\n\nThe answer is {answer}.", **options)


def test_budgets_of_dollars_are_read_as_they_are_written():
    for text, dollars in (("$0.02", 0.02), ("dollars=0.02", 0.02), ("$3", 3.0), ("$0.000001", 1e-6)):
        budget = Budget.parse(text)
        assert budget == Budget(dollars=dollars)
        assert Budget.parse(str(budget)) == budget
    assert str(Budget.parse("4k,$0.5,30s")) == "4k,30s,$0.5"
    for text in ("$", "$x", "$1,$2", "$-1"):
        with pytest.raises(UsageError):
            Budget.parse(text)
    with pytest.raises(UsageError, match="dollars per million"):
        Prices(-1.0, 1.0)


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.tuples(*[st.floats(0, 100)] * 3)
)
def test_what_is_set_aside_pays_for_whatever_comes_of_it(prompt, completion, money, prices):
    of = Prices(*prices)
    affords = of.affords(money, prompt)
    if affords >= 0:
        n = min(affords, completion)
        assert of.most(prompt, n) <= money
        for cached in (0, prompt // 2, prompt):
            assert of.nanodollars(prompt, n, cached) <= of.most(prompt, n)
        if affords < 1 << 60:
            assert of.most(prompt, affords + 1) > money


@pytest.mark.parametrize("without", [set(), {"streams", "stoppable"}])
@pytest.mark.parametrize("budget", ["$0", "$0.00001", "$0.0001", "$0.0003", "$0.001", "$0.0003,40", None])
def test_no_budget_of_dollars_is_overrun(budget, without):
    limit = round((Budget.parse(budget).dollars if budget else 1.0) * NANO)
    for seed in range(4):
        engine = solver(without=without, delay=lambda prefix, rng: rng.choice([0.0, 0.1]))
        result, events = virtual(
            lambda engine=engine, seed=seed: attempt(
                "self-consistency:n=8", Priced(engine), budget, seed=seed
            )
        )
        usage = result.usage
        assert usage.nanodollars <= limit
        assert usage.completion == engine.completion_tokens
        paid = [e.usage for e in events if e.kind in ("extended", "failed")]
        assert usage.nanodollars == sum(PRICES.nanodollars(u.prompt, u.completion, u.cached) for u in paid)
        if budget == "$0":
            assert (result.stop, engine.calls) == ("budget", 0)
        if budget is None:
            assert result.usage.dollars > 0


def test_dollars_without_prices_are_refused_before_the_first_token():
    engine = solver()
    with pytest.raises(Unsupported, match=r"prices of scripted.*ponder\.toml"):
        virtual(attempt, "direct", engine, "$1")
    assert engine.calls == 0


def test_an_engine_that_only_bounds_its_prompts_can_be_limited_too():
    class Bounding(Priced):
        """Knows no tokens."""

        def __init__(self, engine):
            super().__init__(engine)
            del self.encode, self.count
            self.count_at_most = lambda prefix: 2 * engine.count(prefix)

    for budget in ("$0.003", "total=4000"):
        engine = solver()
        result, _ = virtual(attempt, "self-consistency:n=8", Bounding(engine), budget)
        assert 0 < result.usage.completion == engine.completion_tokens
        assert result.usage.total <= 4000 or budget != "total=4000"
        assert result.usage.nanodollars <= 3_000_000


def test_estimates_and_prices_add_up():
    whole = Usage(1, nanodollars=5) + Usage(2, estimated=True, nanodollars=7)
    assert (whole.prompt, whole.nanodollars, whole.estimated) == (3, 12, True)
