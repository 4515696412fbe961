"""Methods that need control of the thinking, over servers: what they send, and what comes of it."""

import asyncio

import pytest
from serving import layered, run, served
from support import attempt, close

from ponder import Prefix, Prompt, Sampling, Unsupported
from ponder.core.calls import SwitchPenalty
from ponder.core.events import Extended
from ponder.core.problem import Message
from ponder.core.protocols import Tokenizes
from ponder.engines.layers import Penalising
from ponder.engines.scripted import Scripted
from ponder.engines.servers.found import Found
from ponder.engines.servers.link import Link
from ponder.engines.servers.upstream import Upstream
from ponder.thinking.markers import FAMILIES

ASK = Prefix(Prompt((Message("user", "What is 6 * 7?"),)))


def thinker(markers=True, apart=True):
    """It ends its thinking at once, and after each "Wait" again; then it answers. `apart`: a chat tells it apart."""

    def script(prefix):
        text = prefix.text
        if "</think>" in text or text.endswith("Final Answer:"):
            return {" The answer is 42.": 1.0}
        end = "</think> The answer is 41." if markers else ""
        thought = " it may be 42." if text.endswith("Wait") else "I think that it is 41."
        return {thought + end: 1.0}

    return Scripted(script, thinking=FAMILIES["think"] if markers and apart else None)


def forced(strategy, engine, dialect):
    async def job():
        async with served(dialect, engine) as (mock, server):
            assert not isinstance(server, Tokenizes)
            result, events = await attempt(strategy, Penalising(layered(server)))
            return result, [e for e in events if isinstance(e, Extended)], mock.counters

    return run(job)


@pytest.mark.parametrize("markers", [True, False], ids=["thinks", "plain"])
@pytest.mark.parametrize("dialect", ["vllm", "llama-server", "sglang"])
@pytest.mark.parametrize("waits", [0, 1, 3])
def test_budget_forcing_takes_the_end_back_on_any_server_that_continues(dialect, markers, waits):
    result, calls, counters = forced(
        f"budget-forcing:waits={waits},markers={'<think>...</think>' if markers else 'text'}",
        thinker(markers, dialect != "sglang"),
        dialect,
    )
    assert len(calls) == waits + 2, "one round more than waits, and the answer"
    assert [e.written.endswith("Wait") for e in calls] == [False, *[True] * waits, False]
    assert result.answer == "42"
    assert result.text.count("Wait") == waits
    assert result.usage.completion <= counters.completion_tokens
    if markers:
        assert result.text.count("</think>") == 1


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
def test_the_thinking_never_grows_beyond_its_budget(dialect):
    result, calls, _ = forced(
        "budget-forcing:waits=9,max_thinking=20,max_answer=8,markers=<think>...</think>", thinker(), dialect
    )
    assert sum(e.usage.completion for e in calls[:-1]) <= 20
    assert calls[-1].usage.completion <= 8
    assert result.answer == "42"


SWITCH = {"a wait b": 0.5, "a c d": 0.5}


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
@pytest.mark.parametrize(
    ("beta", "since", "expected"), [(5, 0, 0.25), (1, 0, 0.5), (0, 0, 0.5), (5, 4, 0.5), (5, 3, 0.25)]
)
def test_the_penalty_in_parts_has_its_distribution_over_a_server(dialect, beta, since, expected):
    """One in two is a switch; a penalty of log 3 makes it one in four while the thought is shorter than beta."""

    async def job():
        async with served(dialect, Scripted(SWITCH)) as (_, server):
            engine = Penalising(layered(server))
            assert "switch_penalty" in engine.capabilities.can
            [switch] = await engine.tokens(" wait")
            penalty = SwitchPenalty((switch,), 1.0986122886681098, beta, since)
            draws = [
                engine.extend(ASK, Sampling(max_tokens=8, temperature=1.0, seed=seed, switch_penalty=penalty))
                for seed in range(150)
            ]
            return [segment.text for segment in await asyncio.gather(*draws)]

    texts = run(job)
    assert set(texts) == set(SWITCH)
    assert close(sum("wait" in text for text in texts) / len(texts), expected, len(texts))


@pytest.mark.parametrize("dialect", ["vllm", "llama-server"])
def test_tip_finds_its_tokens_through_the_server(dialect):
    text = "First, 6 * 7 is 42. Alternatively, it is 41."

    def script(prefix):
        said = prefix.text.removeprefix("Let's think step by step.")
        return {text[len(said) :] if text.startswith(said) else " 42.": 1.0}

    result, calls, _ = forced("tip:alpha=3,beta=4", Scripted(script), dialect)
    assert len(calls) == 2
    assert calls[0].text == text
    assert result.text.startswith("Let's think step by step.")
    assert result.usage.calls == 2, "the parts of one call are one call"


def test_tip_says_what_a_server_lacks():
    with pytest.raises(Unsupported, match="stop at token ids and penalise switches of thought"):
        forced("tip", Scripted({"x": 1.0}), "sglang")


def test_a_model_of_the_configuration_penalises():
    found = Found(
        "http://127.0.0.1:1", "m", "vllm", frozenset({"continue", "token_ids", "logit_bias", "stop_ids"})
    )
    engine = Upstream("m", (found.url,)).engine([(Link(found.url), found)])
    assert "switch_penalty" in engine.capabilities.can
