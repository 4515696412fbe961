"""A thinking budget on servers: asked for in the words of each, obeyed, ignored or refused, and counted here."""

from dataclasses import replace

import pytest
from serving import layered, run, served
from support import attempt

from ponder import ContextOverflow, EngineError, Sampling, TransientError
from ponder.core.events import Thought
from ponder.core.markers import Markers
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines.scripted import Scripted
from ponder.engines.servers.asking import parameters
from ponder.engines.servers.dialects import DIALECTS
from ponder.engines.servers.failures import Unwelcome, refused
from ponder.engines.servers.found import Found
from ponder.strategies import ChainOfThought
from ponder.thinking.markers import FAMILIES

THINK = FAMILIES["think"]
LONG = "<think>\n" + " ".join(f"{n} is odd or even," for n in range(20)) + "</think>\n\nThe answer is 42."
ASK = Prefix(Prompt((Message("user", "What is 6 * 7?"),)))


def thinker(opens=False):
    """It thinks for long, and answers once its thinking is closed; `opens`: its template opened the thinking."""
    long = LONG.removeprefix("<think>\n") if opens else LONG

    def script(prefix):
        text = prefix.text
        if text.endswith("Final Answer:"):
            return {" 42.": 1.0}
        return {"\n\nThe answer is 42." if text.endswith("</think>") else long: 1.0}

    return Scripted(script, thinking=replace(THINK, start="") if opens else THINK)


def solved(dialect, manner, later=None, strategy=None):
    """The result, what was thought, and what the server was found to do; it behaves as `later` after that."""

    async def job():
        async with served(dialect, thinker(), thinking=manner) as (mock, server):
            found = server.found
            mock.thinking = later or manner
            engine = layered(server)
            result, events = await attempt(strategy or ChainOfThought(thinking=10), engine)
            return result, [e for e in events if isinstance(e, Thought)], found, mock

    return run(job)


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
def test_a_server_that_keeps_to_a_budget_is_asked_once(dialect):
    result, [told], found, mock = solved(dialect, "obeys")
    assert "thinking_budget" in found.can
    assert found.markers.end == "</think>"
    assert not [note for note in found.notes if "thinking" in note]
    assert (told.by, told.most, told.tokens, told.obeyed) == ("engine", 10, 10, True)
    assert (result.answer, result.overthought, result.usage.calls) == ("42", 0, 1)
    assert mock.counters.requests >= 1


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
@pytest.mark.parametrize(
    ("manner", "says"), [("ignores", "ignores a cap on thinking: asked for 8"), ("refuses", "refuses a cap")]
)
def test_where_it_does_not_it_is_said_and_kept_by_continuing(dialect, manner, says):
    result, [told], found, _ = solved(dialect, manner)
    assert "thinking_budget" not in found.can
    assert any(note.startswith(says) for note in found.notes)
    assert (told.by, told.tokens, told.obeyed) == ("continuation", 10, True)
    assert (result.answer, result.overthought, result.stop) == ("42", 0, "finished")
    assert "Final Answer: 42" in result.text


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
def test_a_server_that_begins_to_ignore_it_is_reported(dialect):
    result, [told], _, _ = solved(dialect, "obeys", "ignores")
    assert (told.by, told.obeyed, result.overthought) == ("engine", False, 1)
    assert told.tokens > 50
    assert result.answer == "42"


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
def test_a_server_that_begins_to_refuse_it_is_led_by_hand_at_once(dialect):
    result, [told], _, _ = solved(dialect, "obeys", "refuses")
    assert (told.by, told.tokens, told.obeyed) == ("continuation", 10, True)
    assert (result.answer, result.failed, result.stop) == ("42", 0, "finished")


@pytest.mark.parametrize("dialect", ["openai", "sglang"])
def test_an_effort_is_a_wish_that_is_counted(dialect):
    """Both keep the reasoning apart; OpenAI does not even show it, and tells its tokens."""
    result, [told], found, _ = solved(dialect, "obeys")
    assert found.asks == "effort"
    assert any("which is a wish" in note for note in found.notes)
    assert told.by == "nobody"
    assert told.tokens <= round(0.2 * 512), "an effort of less than 10 in 512 tokens is minimal: 10 % of them"
    assert result.answer == "42"
    assert "</think>" not in result.text
    result, [told], _, _ = solved(dialect, "ignores", strategy=ChainOfThought(thinking=10))
    assert (told.by, told.obeyed, result.overthought) == ("nobody", False, 1)


@pytest.mark.parametrize("dialect", ["openai", "sglang"])
def test_an_effort_that_is_refused_is_asked_for_no_more(dialect):
    result, [told], found, _ = solved(dialect, "refuses")
    assert found.asks is None
    assert "refuses a thinking effort" in found.notes
    assert (told.by, told.obeyed, result.answer) == ("nobody", False, "42")
    result, [told], _, _ = solved(dialect, "obeys", "refuses")
    assert (told.by, told.obeyed, result.answer, result.failed) == ("nobody", False, "42", 0)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, "thinking_token_budget is set but reasoning_config is not configured", Unwelcome),
        (422, "Unsupported value: 'reasoning_effort' does not support 'none'", Unwelcome),
        (400, "top_p must be in (0, 1]", EngineError),
        (400, "maximum context length is 512 tokens, reasoning included", ContextOverflow),
        (500, "reasoning parser crashed", TransientError),
    ],
)
def test_only_a_complaint_about_thinking_is_taken_for_one(status, said, kind):
    assert type(refused(status, {}, said, "host")) is kind


def test_a_model_that_does_not_think_is_asked_for_nothing():
    async def job():
        async with served("vllm") as (_, server):
            return server.found, parameters(server.found, Sampling(thinking=5), ids=True, wire="completions")

    found, body = run(job)
    assert (found.markers, found.asks) == (None, None)
    assert not [field for field in body if "think" in field or "reason" in field]


def test_a_template_that_opens_the_thinking_is_told_so():
    """llama-server's budget counts from the opening tag, which it would not see in the prompt."""
    found = Found("u", "m", "llama-server", asks="cap", markers=Markers("", "</think>"), opened="<think>")
    body = parameters(found, Sampling(thinking=20), ids=True, wire="native")
    assert body["reasoning_budget_tokens"] == 20
    assert body["reasoning_budget_start_tag"] == "<think>" == body["generation_prompt"]
    assert body["reasoning_budget_end_tags"] == ["</think>"]
    assert body["reasoning_budget_message"] == ""


@pytest.mark.parametrize(
    ("dialect", "how", "thinking", "fields"),
    [
        ("vllm", "cap", 200, {"thinking_token_budget": 200}),
        ("vllm", "effort", 200, {"reasoning_effort": "low"}),
        ("vllm", "effort", 1, {"reasoning_effort": "minimal"}),
        ("vllm", "effort", "xhigh", {"reasoning_effort": "xhigh"}),
        ("sglang", "cap", 200, {"custom_params": {"thinking_budget": 200}}),
        ("sglang", "effort", 0, {"reasoning_effort": "none"}),
        ("llama-server", "cap", 200, {"thinking_budget_tokens": 200}),
        ("ollama", "effort", 1, {"reasoning_effort": "low"}),
        ("ollama", "effort", "xhigh", {"reasoning_effort": "high"}),
        ("deepseek", "effort", "none", {"thinking": {"type": "disabled"}}),
        ("deepseek", "effort", "high", {"thinking": {"type": "enabled"}}),
        ("anthropic", "cap", 3000, {"thinking": {"type": "enabled", "budget_tokens": 3000}}),
        ("anthropic", "cap", 100, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("anthropic", "cap", 0, {"thinking": {"type": "disabled"}}),
        ("openrouter", "cap", 300, {"reasoning": {"max_tokens": 300}}),
        ("openrouter", "effort", "medium", {"reasoning": {"effort": "medium"}}),
        ("openai", "effort", "high", {"reasoning_effort": "high"}),
        ("openai", None, "high", {}),
        ("lm-studio", "effort", "high", {}),
    ],
)
def test_the_words_of_each_dialect(dialect, how, thinking, fields):
    sampling = Sampling(thinking=thinking, max_tokens=4000 if dialect == "anthropic" else 1000)
    assert DIALECTS[dialect].thinks.fields(sampling, "chat", how, THINK, "") == fields


def test_anthropic_is_not_asked_to_think_longer_than_it_may_write():
    how = Sampling(thinking=500, max_tokens=900)
    assert DIALECTS["anthropic"].thinks.fields(how, "chat", "cap", None, "") == {
        "thinking": {"type": "disabled"}
    }
