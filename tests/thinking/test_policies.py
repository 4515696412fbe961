"""Policies are values that can be written down, and a nonsense in their files is named with its line."""

import math

import pytest

from ponder import UsageError, parse
from ponder.core.policy import Policy, Rule
from ponder.thinking.difficulty import Signs, difficulty
from ponder.thinking.policies import read, written

RULES = (
    Rule(500, 0.0, "self-consistency:n=4", 120, (0.9, 0.84, 0.94), 210.5),
    Rule(500, 0.25, "best-of-n:n=8,scorer=(judge:mode=pairwise,samples=3)", 80, (0.5, 0.4, 0.6), 480.0),
    Rule(500, 0.5, "beam-search", agreed=True),
    Rule(2000, 0.0, "chain-of-thought", alone=True),
)
WHOLE = Policy(
    "mine",
    RULES,
    "some model: v1",
    "arithmetic",
    3,
    2,
    {"bias": 1.5, "agreement": -3.25},
    "agreement",
    True,
    ("a", "b"),
)
GOOD = """model = "m"
probe = 4

[difficulty]
bias = 1.0

[[rule]]
budget = 500
above = 0
strategy = "self-consistency:n=4"

[[rule]]
budget = 500
above = 0.5
strategy = "cot"
right = [0.5, 0.4, 0.6]
"""


def test_what_is_written_is_read_again():
    assert read(written(WHOLE, "about it\nin two lines"), "mine", "mine.toml", parse) == WHOLE
    assert len(read(GOOD, "good", "good.toml", parse).rules) == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('"m"', "m", 1, "no TOML"),
        ("probe = 4", "prob = 4", 2, "Did you mean probe"),
        ("probe = 4", 'probe = "4"', 2, "whole number"),
        ("probe = 4", "probe = 0", 2, "from 1 up"),
        ("bias = 1.0", "bais = 1.0", 5, "Did you mean bias"),
        ("bias = 1.0", "bias = nan", 5, "takes a number"),
        ("bias = 1.0", 'bias = "a"', 5, "takes a number"),
        ("above = 0.5", "above = -0.5", 14, "from 0 up"),
        ("above = 0.5", "above = 50", 14, "from 0 to 1"),
        ("above = 0.5", "above = nan", 14, "from 0 up"),
        ("above = 0.5", "above = 0", 14, "two rules"),
        ("above = 0.5", 'above = 0.5\nagreed = "yes"', 15, "true or false"),
        ("above = 0\n", "above = 0\nagreed = true\n", 8, "no rule with above = 0"),
        ("above = 0\n", "above = 0.1\n", 8, "no rule with above = 0"),
        ('"cot"', '"cto"', 15, "Did you mean"),
        ('"cot"', "7", 15, "text in quotes"),
        ('strategy = "cot"\n', "", 12, "no strategy"),
        ("[0.5, 0.4, 0.6]", "[0.5, 0.6, 0.4]", 16, "interval"),
        ("[0.5, 0.4, 0.6]", "[0.5, true, 9]", 16, "interval"),
        ("budget = 500\nabove = 0.5", "budget = true\nabove = 0.5", 13, "whole number"),
        ("right = [0.5, 0.4, 0.6]", "alone = true", 16, "the only one of its budget"),
        ("right = [0.5, 0.4, 0.6]", "alone = 1", 16, "true or false"),
        ("[[rule]]", "[[ruel]]", 7, "Did you mean rule"),
        (GOOD[GOOD.index("[[rule]]") :], "[rule]\nbudget = 5", 7, "two brackets"),
    ],
)
def test_nonsense_is_named_with_its_line(old, new, line, said):
    with pytest.raises(UsageError, match=said) as raised:
        read(GOOD.replace(old, new), "good", "good.toml", parse)
    assert f"line {line}" in str(raised.value)


@pytest.mark.parametrize("text", ["", "probe = 4", "rule = []", "rule = [1]", "rule = 7"])
def test_a_policy_without_rules_is_none(text):
    with pytest.raises(UsageError, match=r"x\.toml, line 1"):
        read(text, "x", "x.toml", parse)


def test_the_rule_is_that_of_the_budget_and_of_the_difficulty():
    def chosen(d, b):
        return WHOLE.rule(d, b).strategy

    assert chosen(0.0, 500) == chosen(0.2499, 1999) == "self-consistency:n=4"
    assert chosen(0.25, 500) == chosen(1.0, 1999) == RULES[1].strategy
    assert chosen(0.9, 2000) == chosen(0.9, None) == "chain-of-thought"
    assert chosen(0.0, 3) == "self-consistency:n=4", "below all budgets the smallest counts"


def test_signs_of_samples():
    signs = Signs.of(
        ["4", "4", None, "5"], [math.log(0.5), math.nan, math.log(0.7), 0.0], [10, 20, 30, 40], [0.2, 0.4]
    )
    assert signs.agreement == 0.5
    assert signs.confidence == pytest.approx((0.5 + 0.7 + 1) / 3)
    assert signs.length == pytest.approx(math.log(26))
    assert signs.score == pytest.approx(0.3)
    assert Signs.of([None], [math.nan], [0]) == (0, 0, 0, 0)
    with pytest.raises(ValueError):
        Signs.of([], [], [])


def test_difficulty_is_a_logistic_regression_on_signs():
    signs = Signs(0.75, 0.9, 4.0, 0.0)
    assert difficulty(signs, {}) == 0.25
    odds = 1.5 - 3.25 * 0.75 + 0.5 * 4
    expected = 1 / (1 + math.exp(-odds))
    assert difficulty(signs, {"bias": 1.5, "agreement": -3.25, "length": 0.5}) == pytest.approx(expected)
    assert 0 <= difficulty(signs, {"bias": 1e6}) <= 1
