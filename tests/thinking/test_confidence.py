"""DeepConf's measures against the paper's words, written out slowly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ponder.core.prefix import Prefix, Prompt, Segment
from ponder.thinking.confidence import MEASURES, bottom, groups, lowest, mean, of_path, of_token, tail


def test_a_sure_token_has_a_high_confidence():
    uniform = [math.log(1 / 20)] * 20
    sure = [math.log(0.99)] + [math.log(0.01 / 19)] * 19
    assert of_token(uniform) == pytest.approx(math.log(20))
    assert of_token(sure) > of_token(uniform)
    assert of_token([math.log(0.5), math.log(0.5), -math.inf]) == pytest.approx(math.log(2))
    assert of_token([]) == 0


@given(some.lists(some.floats(0, 30), min_size=1, max_size=40), some.integers(1, 50))
def test_groups_are_the_means_of_windows(tokens, window):
    size = min(window, len(tokens))
    slow = [sum(tokens[i : i + size]) / size for i in range(len(tokens) - size + 1)]
    assert groups(tokens, window) == pytest.approx(slow, abs=1e-9)
    assert lowest(tokens, window) == pytest.approx(min(slow), abs=1e-9)
    assert tail(tokens, window) == pytest.approx(slow[-1], abs=1e-9)
    worst = sorted(slow)[: max(1, len(slow) // 10)]
    assert bottom(tokens, window) == pytest.approx(sum(worst) / len(worst), abs=1e-9)
    assert lowest(tokens, window) <= bottom(tokens, window) + 1e-9


def test_a_trace_shorter_than_the_window_is_one_group():
    tokens = [1.0, 2.0, 6.0]
    assert groups(tokens, 2048) == [3.0]
    assert {measure(tokens, 2048) for measure in MEASURES.values()} == {mean(tokens)}


@pytest.mark.parametrize(("tokens", "window"), [([], 3), ([1.0], 0)])
def test_no_group_is_an_error(tokens, window):
    with pytest.raises(ValueError, match="Groups need"):
        groups(tokens, window)


def test_only_tokens_that_were_recorded_count():
    recorded = Segment("ab", top_logprobs=(((1, -1.0), (2, -3.0)), ((1, -2.0),)))
    path = Prefix(Prompt()) + recorded + "written" + Segment("c")
    assert of_path(path) == [2.0, 2.0]
    assert of_path(path, top=1) == [1.0, 2.0]
