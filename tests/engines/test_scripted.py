"""The scripted engine says exactly what its script says: held against enumerated probabilities."""

import itertools
import math
import random
from collections import Counter

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.calls import Sampling
from ponder.core.errors import ContextOverflow, EngineClosed, Unsupported, UsageError
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.core.protocols import Delta
from ponder.engines._language import EOS, NEVER
from ponder.engines.scripted import Scripted

ASK = Prefix(Prompt(raw="Well?"))
SCRIPT = {"yes": 0.5, "yes it is": 0.25, "no": 0.2, "": 0.05}


def draw(engine, prefix=ASK, watch=None, **sampling):
    return anyio.run(engine.extend, prefix, Sampling(**sampling), watch)


def draws(engine, n, prefix=ASK, **sampling):
    async def all_of_them():
        return [await engine.extend(prefix, Sampling(seed=i, **sampling)) for i in range(n)]

    return anyio.run(all_of_them)


def shares(segments):
    counts = Counter(s.text for s in segments)
    return {text: count / len(segments) for text, count in counts.items()}


def near(found, p, n):
    """Within five standard errors, text by text, and nothing else; the seeds are fixed, so it never flickers."""
    assert set(found) <= {text for text, share in p.items() if share > 0}
    for text, share in p.items():
        assert abs(found.get(text, 0.0) - share) <= 5 * math.sqrt(share * (1 - share) / n) + 1e-12


def test_the_probability_of_each_text_is_the_scripts():
    for segment in draws(Scripted(SCRIPT), 40, temperature=1.0, logprobs=0):
        assert math.exp(sum(segment.logprobs)) == pytest.approx(SCRIPT[segment.text], rel=1e-12)
        assert segment.finish == "eos"
        assert segment.token_ids[-1] == EOS
        assert segment.usage.completion == len(segment.token_ids) == len(segment.ends)


@pytest.mark.parametrize("n", [4000])
def test_texts_come_as_often_as_the_script_says(n):
    near(shares(draws(Scripted(SCRIPT), n, temperature=1.0)), SCRIPT, n)


def test_it_does_not_matter_in_how_many_calls_a_text_is_written():
    engine, n = Scripted(SCRIPT), 2000

    async def in_pieces(i):
        path, size = ASK, itertools.count(1)
        while not path.done:
            seed = 1000 * i + len(path.segments)
            path = path + await engine.extend(
                path, Sampling(max_tokens=next(size) % 2 + 1, temperature=1.0, seed=seed)
            )
        return path

    async def main():
        return [await in_pieces(i) for i in range(n)]

    near(shares(anyio.run(main)), SCRIPT, n)


def test_truncations_and_temperature_act_on_each_token_in_order():
    script = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}
    cases = {
        "top_k": ({"top_k": 2}, {"a": 4 / 7, "b": 3 / 7}),
        "top_p": ({"top_p": 0.6}, {"a": 4 / 7, "b": 3 / 7}),
        "exact top_p": ({"top_p": 0.4}, {"a": 1.0}),
        "min_p": ({"min_p": 0.5}, {"a": 4 / 9, "b": 3 / 9, "c": 2 / 9}),
        "top_k before top_p": ({"top_k": 2, "top_p": 0.5}, {"a": 1.0}),
        "half temperature": ({"temperature": 0.5}, {"a": 16 / 30, "b": 9 / 30, "c": 4 / 30, "d": 1 / 30}),
        "truncated at temperature 1": ({"temperature": 9.0, "top_p": 0.6}, None),
        "greedy": ({"temperature": 0.0}, {"a": 1.0}),
        "bias": ({"logit_bias": {1: 0.0}}, script),
    }
    n = 2000
    for sampling, expected in cases.values():
        found = shares(draws(Scripted(script), n, **{"temperature": 1.0, **sampling}))
        if expected is None:
            assert set(found) == {"a", "b"}
        else:
            near(found, expected, n)


def test_a_bias_is_in_nats_and_leaves_logprobs_alone():
    engine, n = Scripted({"a": 0.5, "b": 0.5}), 2000
    (a,) = engine.encode("a")
    found = draws(engine, n, temperature=1.0, logit_bias={a: math.log(3)}, logprobs=0)
    near(shares(found), {"a": 0.75, "b": 0.25}, n)
    assert {s.logprobs[0] for s in found} == {math.log(0.5)}
    assert shares(draws(engine, 50, temperature=1.0, logit_bias={a: -100})) == {"b": 1.0}


def test_a_banned_token_is_never_said_even_where_nothing_else_could_be():
    engine = Scripted({"only this": 1})
    only, this = engine.encode("only this")
    for banned in (only, this):
        segment = draw(engine, temperature=0.0, logit_bias={banned: -100}, max_tokens=5)
        assert banned not in segment.token_ids
    endless = draw(engine, temperature=0.0, logit_bias={EOS: -100}, max_tokens=5)
    assert endless.text == "only thisonly thisonly"


def test_min_tokens_goes_on_as_the_script_says_and_another_call_goes_on_from_there():
    def script(prefix):
        return {" Wait, no.": 1.0} if prefix.text else {"It is 4": 0.5, "It is 5": 0.5}

    engine = Scripted(script)
    whole = draw(engine, temperature=0.0, min_tokens=5, logprobs=0)
    assert whole.text == "It is 4 Wait, no."
    assert whole.logprobs == (0.0, 0.0, math.log(0.5), NEVER, 0.0, 0.0, 0.0, 0.0)
    for n in range(1, 8):
        first = draw(engine, temperature=0.0, min_tokens=5, max_tokens=n)
        rest = draw(engine, ASK + first, temperature=0.0, min_tokens=max(0, 5 - n))
        assert first.text + rest.text == whole.text
    assert draw(Scripted({"": 1}), temperature=0.0, min_tokens=2).text == " hm hm"


def test_it_conditions_on_what_was_written():
    engine = Scripted({"The answer is 42.": 0.6, "The answer is 7.": 0.2, "No idea.": 0.2})
    assert shares(draws(engine, 200, ASK + "No")) == {" idea.": 1.0}
    near(
        shares(draws(engine, 2000, ASK + "The ans", temperature=1.0)),
        {"wer is 42.": 0.75, "wer is 7.": 0.25},
        2000,
    )
    near(
        shares(draws(engine, 2000, ASK + "The answer" + " is", temperature=1.0)),
        {" 42.": 0.75, " 7.": 0.25},
        2000,
    )


def test_it_asks_again_where_the_script_says_no_such_thing():
    asked = []

    def script(prefix):
        asked.append(prefix.text)
        return {" 7 then.": 1.0} if prefix.text.endswith("Wait,") else {"It is 4.": 1.0}

    engine = Scripted(script)
    path = ASK + draw(engine, temperature=0.0) + "Wait,"
    more = draw(engine, path, temperature=0.0, max_tokens=1)
    assert more.text == " 7"
    assert draw(engine, path + more, temperature=0.0).text == " then."
    assert asked == ["", "It is 4.Wait,"]


def test_ids_of_another_vocabulary_are_read_as_text():
    one, two = Scripted(SCRIPT), Scripted({"x": 0.9, **SCRIPT})
    first = draw(one, temperature=0.0, max_tokens=1)
    assert draw(two, ASK + first, temperature=0.0).text in ("", " it is")
    assert one.capabilities.tokenizer != two.capabilities.tokenizer


def test_stops_are_found_across_tokens_and_whole_tokens_are_kept():
    engine = Scripted({"One step.\n\nTwo steps. Done": 1})
    cases = {".\n": "One step.\n\n", "p.": "One step.", "\n\n": "One step.\n\n", "ne": "One", "Two s": None}
    for stop, text in cases.items():
        segment = draw(engine, stop=("never", stop))
        assert segment.text == (text or "One step.\n\nTwo steps")
        assert (segment.finish, segment.stopped_by) == ("stop", stop)
    assert draw(engine, stop=("p.\n", "p.")).stopped_by == "p."
    assert draw(engine, stop=("step", "te")).stopped_by == "step"
    (end,) = engine.encode("\n\n")
    ended = draw(engine, stop_ids=(end,))
    assert (ended.text, ended.stopped_by) == ("One step.\n\n", "\n\n")
    assert (ASK + ended).before_stop.text == "One step."
    assert draw(engine, stop_ids=(end,), min_tokens=4).text == "One step.One step.\n\n"


def test_special_tokens_are_one_token():
    engine = Scripted({"<think>Hm.</think>4<|end|>": 1})
    (close,) = engine.encode("</think>")
    assert draw(engine, stop_ids=(close,)).stopped_by == "</think>"
    assert len(engine.encode("<|end|>")) == 1


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_any_text_is_its_tokens(text):
    engine = Scripted({text: 1})
    ids = engine.encode(text)
    assert engine._vocabulary.decode(ids) == text
    assert draw(engine, max_tokens=100).text == text


def test_solver_is_right_with_probability_p():
    n = 4000
    engine = Scripted.solver(0.6, "12", {"11": 3, "13": 1}, "It is {answer}.", name="pupil")
    near(shares(draws(engine, n, temperature=1.0)), {"It is 12.": 0.6, "It is 11.": 0.3, "It is 13.": 0.1}, n)
    assert engine.capabilities.name == "pupil"
    assert shares(draws(Scripted.solver(1.0), 9)) == {"Let me think. The answer is 42.": 1.0}
    assert "42." not in str(shares(draws(Scripted.solver(0.0), 9)))


def test_scores_are_the_log_probabilities():
    engine = Scripted(SCRIPT)
    assert anyio.run(engine.logprobs, ASK, "yes it is") == pytest.approx(
        (math.log(0.75), math.log(1 / 3), 0.0)
    )
    assert anyio.run(engine.logprobs, ASK + "yes", " it") == pytest.approx((math.log(1 / 3),))
    assert anyio.run(engine.logprobs, ASK, "no way yes") == (pytest.approx(math.log(0.2)), NEVER, NEVER)
    assert anyio.run(engine.logprobs, ASK, "") == ()


def test_usage_is_counted():
    engine = Scripted(SCRIPT)
    chat = Prefix(Prompt(messages=(Message("user", "One two three"),)))
    segment = draw(engine, chat, temperature=0.0, max_tokens=1)
    assert segment.usage.prompt == engine.count(chat) == 1 + 3 + 1 + 1
    assert engine.count(chat + segment) == segment.usage.prompt + 1
    assert engine.count(chat + segment + "Wait a bit") == segment.usage.prompt + 4
    images = Prefix(Prompt(messages=(Message("user", ({"type": "text", "text": "One"}, {"type": "image"})),)))
    assert draw(engine, images, temperature=0.0).usage.prompt == engine.count(images)
    assert engine.calls == 2
    assert engine.completion_tokens == 3


def test_the_watch_ends_it_at_once_and_slow_engines_say_the_same():
    for delay in (0.0, lambda _, rng: rng.random() * 1e-6):
        deltas = []

        def watch(delta, deltas=deltas):
            deltas.append(delta)
            return len(deltas) < 2

        segment = draw(Scripted({"a b c d": 1}, delay=delay), watch=watch, seed=3)
        assert (segment.text, segment.finish) == ("a b", "cancelled")
        assert deltas == [Delta("a", 1), Delta(" b", 1)]
    slow = Scripted(SCRIPT, delay=lambda _, rng: rng.random() * 1e-9, latency=1e-9)
    assert [s.text for s in draws(slow, 30)] == [s.text for s in draws(Scripted(SCRIPT), 30)]


def test_hosted_engines_cannot_continue_nor_tell():
    engine = Scripted(SCRIPT, without={"continue", "logprobs", "token_ids", "streams", "tells_stop_from_eos"})
    segment = draw(engine, logprobs=3, watch=lambda _: False)
    assert (segment.token_ids, segment.ends, segment.logprobs, segment.top_logprobs) == (
        None,
        None,
        None,
        None,
    )
    assert (segment.finish, segment.stopped_by) == ("stop", None)
    with pytest.raises(Unsupported, match="cannot continue"):
        draw(engine, ASK + "Well,")


def test_many_read_their_prompt_once():
    engine = Scripted(SCRIPT)
    first, *others = anyio.run(engine.extend_many, ASK, Sampling(temperature=1.0), 20)
    assert len({s.text for s in (first, *others)}) > 1
    assert first.usage.prompt == anyio.run(engine.extend, ASK, Sampling()).usage.prompt
    assert {s.usage.prompt for s in others} == {0}
    assert {s.usage.cached for s in (first, *others)} == {0}
    assert engine.calls == 2
    assert engine.most_in_flight == 20
    assert engine.in_flight == 0


def test_errors_say_what_to_do():
    with pytest.raises(ContextOverflow, match="a context of 10"):
        draw(Scripted(SCRIPT, context=10), max_tokens=9)
    assert draw(Scripted(SCRIPT, context=10), max_tokens=8).finish == "eos"
    for nothing in ({}, {"a": 0.0}, {"a": -1.0, "b": 2.0}, {"a": math.nan}):
        with pytest.raises(UsageError, match="positive, finite"):
            draw(Scripted(nothing))
    engine = Scripted(SCRIPT, delay=1e-3)

    async def close_while_it_writes():
        async with anyio.create_task_group() as group:
            group.start_soon(engine.extend, ASK, Sampling())
            await anyio.lowlevel.checkpoint()
            await engine.aclose()

    with pytest.raises(ExceptionGroup) as errors:
        anyio.run(close_while_it_writes)
    assert isinstance(errors.value.exceptions[0], EngineClosed)
    assert engine.in_flight == 0


def test_unseeded_calls_repeat_with_the_engine_not_within_it():
    def texts(seed):
        engine = Scripted(SCRIPT, seed=seed)
        return [draw(engine, temperature=1.0).text for _ in range(20)]

    assert len(set(texts(0))) > 1
    assert texts(0) == texts(0) != texts(1)
    assert random.Random(0).random() == random.Random(0).random()
