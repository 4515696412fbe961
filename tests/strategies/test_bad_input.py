"""What the sequential methods make of prompts that do not fit, and of thinking that fills the context."""

import pytest
from support import attempt, virtual

from ponder import AllFailed, ContextOverflow, Prefix
from ponder.engines.scripted import Scripted
from ponder.thinking.markers import FAMILIES

SEQUENTIAL = (
    "budget-forcing",
    "conditional-control",
    "rejection-sampling:n=2",
    "tip",
    "self-backtracking:k=2",
    "chain-of-draft",
    "deepconf:n=2,mode=offline",
    "early-exit",
    "adaptive-consistency",
    "early-stopping",
    "chain-of-thought:thinking=20",
)


@pytest.mark.parametrize("strategy", SEQUENTIAL)
def test_a_prompt_that_is_longer_than_the_context_costs_nothing_and_says_so(strategy):
    engine = Scripted({"<think>\nHm.</think> The answer is 42.": 1.0}, context=5, thinking=FAMILIES["think"])
    with pytest.raises((ContextOverflow, AllFailed), match="a context of 5"):
        virtual(attempt, strategy, engine)
    assert engine.completion_tokens == 0


@pytest.mark.parametrize(
    "strategy", ["budget-forcing:max_thinking=60,max_answer=60", "tip:max_thinking=60,max_answer=60"]
)
def test_an_answer_that_no_longer_fits_loses_none_of_the_thinking(strategy):
    def script(prefix):
        return {" so it is 42, and the answer is 42.": 1.0}

    plain = Scripted(script)
    whole, _ = virtual(attempt, strategy, plain)
    first = Prefix(whole.prompt, whole.choice.path.segments[:1])  # the prompt, and how the thinking is opened
    engine = Scripted(script, context=plain.count(first) + 60)
    result, events = virtual(attempt, strategy, engine)
    assert result.stop == "degraded"
    assert any("context" in e.error for e in events if e.kind == "failed")
    assert result.usage.completion == engine.completion_tokens > 0
    assert "42" in result.text
