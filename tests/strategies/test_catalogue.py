import pytest

from ponder import UnknownName, UsageError
from ponder.strategies import CATALOGUE, BestOfN, SelfConsistency, parameters, parse


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_strategy_is_read_as_it_is_written(name):
    strategy = parse(name)
    assert str(strategy) == name
    assert parse(str(strategy)) == strategy
    for parameter, _, default in parameters(CATALOGUE[name]):
        if isinstance(default, int) and not isinstance(default, bool):
            other = parse(f"{name}:{parameter}={default + 1}")
            assert parse(str(other)) == other != strategy


def test_parameters_are_read_by_their_types():
    assert parse("best-of-n:n=8,temperature=0.5,scorer=mean-logprob") == BestOfN(n=8, temperature=0.5)
    assert parse("majority:n=3") == SelfConsistency(n=3)
    assert parse("esc:of-window=true").of_window is True
    assert parse(" adaptive : rule = dirichlet ".replace(" ", "")).rule == "dirichlet"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("self-consistancy", UnknownName, "self-consistency"),
        ("self-consistency:m=3", UnknownName, "There are"),
        ("self-consistency:temprature=3", UnknownName, "temperature"),
        ("self-consistency:n=many", UsageError, "whole number"),
        ("self-consistency:n", UsageError, "parameter=value"),
        ("self-consistency:n=(3", UsageError, "parentheses"),
        ("adaptive:rule=gamma", UnknownName, "beta"),
        ("esc:of_window=perhaps", UsageError, "true or false"),
        ("", UnknownName, "strategy"),
    ],
)
def test_nonsense_is_named(text, error, says):
    with pytest.raises(error, match=says):
        parse(text)


@pytest.mark.parametrize("text", ["self-consistency:n=0", "esc:w=0", "best-of-n:n=-3", "cot:max_tokens=0"])
def test_values_that_make_no_sense_are_refused(text):
    with pytest.raises(UsageError):
        parse(text)
