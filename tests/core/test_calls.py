import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder import Budget, Sampling, Usage, UsageError


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("4k", Budget(tokens=4000)),
        ("4k,30s", Budget(tokens=4000, seconds=30)),
        ("calls=20", Budget(calls=20)),
        ("total=16k, 2min", Budget(total_tokens=16000, seconds=120)),
        ("0", Budget(tokens=0)),
        ("1.5k", Budget(tokens=1500)),
        ("5.5k", Budget(tokens=5500)),
        ("1.001k", Budget(tokens=1001)),  # 1000.9999999999999 as a float
        ("0.0005m", Budget(tokens=500)),
        ("4.0", Budget(tokens=4)),
        ("total=2.5k", Budget(total_tokens=2500)),
        ("tokens=7", Budget(tokens=7)),
        ("500ms", Budget(seconds=0.5)),
        ("2M", Budget(tokens=2_000_000)),
    ],
)
def test_budgets_are_read(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    "text", ["", ",", "four", "-4k", "4k,5k", "4 k x", "calls=", "30s,1min", "nan", "1e9999x"]
)
def test_nonsense_budgets_are_refused_with_an_example(text):
    with pytest.raises(UsageError):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("5.5", "5, 6 or 5.5k"),
        ("4k,calls=2.5", "calls=2 or calls=3"),
        ("total=0.3", "total=1 or total=0.3k"),
        ("1.2345k", "1234 or 1235"),
    ],
)
def test_a_part_of_a_token_is_refused_with_what_may_be_meant(text, near):
    with pytest.raises(UsageError, match=f"no whole number of (tokens|calls). Did you mean {near}\\?"):
        Budget.parse(text)


@pytest.mark.parametrize("limit", [{"tokens": 5.5}, {"total_tokens": 8e3}, {"calls": float("inf")}])
def test_counts_are_whole_in_python_too(limit):
    with pytest.raises(UsageError, match="whole number"):
        Budget(**limit)


limits = st.none() | st.integers(0, 10**6)


@given(limits, limits, st.none() | st.integers(0, 10**10).map(lambda n: n / 1000), limits)
def test_a_budget_is_read_as_it_is_written(tokens, total, seconds, calls):
    budget = Budget(tokens, total, seconds, calls)
    if budget != Budget():
        assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"min_p": 1.0},
        {"top_k": -1},
        {"stop": "\n"},
        {"stop": ("",)},
    ],
)
def test_impossible_sampling_is_refused(wrong):
    with pytest.raises(UsageError):
        Sampling(**wrong)


def test_usage_adds_up_field_by_field():
    a = Usage(1, 2, 3, 4, 5, 6.0, 7.0)
    assert a + a == Usage(2, 4, 6, 8, 10, 12.0, 14.0)
    assert a.total == 1 + 3 + 4  # cached tokens are prompt tokens already
