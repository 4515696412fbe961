"""TIP in parts is TIP inside the engine: every token is drawn from the same distribution."""

import math
import random

import numpy as np
import pytest
import trio

from ponder import Prefix, Prompt, Sampling, Unsupported
from ponder.core.calls import SwitchPenalty, Usage
from ponder.core.prefix import Segment
from ponder.core.protocols import Capabilities
from ponder.engines import _writing
from ponder.engines.embedded.sampling import Sampler
from ponder.engines.layers import Penalising
from ponder.engines.scripted import Scripted

START = Prefix(Prompt(raw="?"))
TEXTS = {
    "a wait b wait c d": 0.3,
    "a b c d": 0.2,
    "wait wait wait a": 0.2,
    "a b c wait a b": 0.2,
    "b": 0.1,
}


def drawn(engine, path, sampling, monkeypatch):
    """One call that is made to draw `path`, and the probability of each token of it; stops where `path` ends."""
    shares, taken = [], iter(path)

    def pick(node, how, held, rng):
        logs = {i: log + how.logit_bias.get(i, 0.0) for i, log in node.ranked if i not in held}
        if not logs:
            return None
        i = next(taken)
        shares.append(math.exp(logs[i]) / math.fsum(map(math.exp, logs.values())))
        return i

    monkeypatch.setattr(_writing, "pick", pick)
    segment = trio.run(engine.extend, START, sampling)
    return segment, shares


@pytest.mark.parametrize("beta", [0, 1, 2, 3, 5, 100])
@pytest.mark.parametrize("since", [0, 1, 4])
@pytest.mark.parametrize(
    "how",
    [{}, {"min_tokens": 3}, {"stop": (" c d",)}, {"max_tokens": 4}, {"stop": (" wait",)}, {"bias": True}],
    ids=str,
)
def test_every_text_has_the_same_probability(beta, since, how, monkeypatch):
    whole, parts = Scripted(TEXTS), Penalising(Scripted(TEXTS, without={"switch_penalty"}))
    assert [whole.encode(text) for text in TEXTS] == [parts.encode(text) for text in TEXTS]
    (switch,), (b,) = whole.encode(" wait"), whole.encode(" b")
    first = whole.encode("wait")
    how = {"max_tokens": 30} | how
    if how.pop("bias", False):
        how["logit_bias"] = {b: 0.7, switch: -0.2}
    sampling = Sampling(
        temperature=1, switch_penalty=SwitchPenalty((switch, *first), 1.5, beta, since), **how
    )
    assert "switch_penalty" in parts.capabilities.can
    compared = 0
    for text in TEXTS:
        path = (*whole.encode(text), 0, *whole.encode(" b b b"), 0)
        try:
            expected, shares = drawn(whole, path, sampling, monkeypatch)
        except (StopIteration, KeyError, RuntimeError):
            continue  # not a text of this sampling, with the end held off
        found, same = drawn(parts, path, sampling, monkeypatch)
        compared += 1
        assert same == pytest.approx(shares, abs=1e-12)
        assert (found.text, found.token_ids, found.ends) == (expected.text, expected.token_ids, expected.ends)
        assert (found.finish, found.stopped_by) == (expected.finish, expected.stopped_by)
        assert found.usage.completion == len(found.token_ids)
        assert found.usage.calls == 1
    assert compared >= 4, how


class OnLogits:
    """The embedded engines' sampler on logits that are a function of what was written, and nothing else."""

    WORDS = 12

    def __init__(self, can):
        self.capabilities = Capabilities("logits", frozenset(can))
        self.seen = []

    async def extend(self, prefix, sampling, watch=None):
        history = [i for s in prefix.segments for i in s.token_ids]
        sampler, ids = Sampler(sampling, np.empty(0, np.intp)), []
        finish = "length"
        while len(ids) < sampling.max_tokens:
            row = np.random.default_rng([*history, *ids, 1]).normal(0, 2, self.WORDS).astype(np.float32)
            self.seen.append(sampler._processed(row, len(ids)).copy())
            fate = np.random.default_rng([*history, *ids, 2]).integers(self.WORDS)  # the same in both

            def choose(logits, fate=fate):
                return int(fate)

            sampler._any = choose
            ids.append(sampler.draw(row, len(ids)).token)
            if ids[-1] in sampling.stop_ids:
                finish = "stop"
                break
        text = "".join(chr(97 + i) for i in ids)
        ends = tuple(range(1, len(ids) + 1))
        return Segment(text, tuple(ids), ends, Usage(completion=len(ids), calls=1), finish=finish)


@pytest.mark.parametrize("beta", [0, 1, 3, 7, 600])
@pytest.mark.parametrize("alpha", [3.0, 30.0])
def test_the_embedded_sampler_sees_the_same_logits(beta, alpha):
    """To within 1e-5 nats: a bias and a penalty are added to float32 in another order than their sum is."""
    sampling = Sampling(
        max_tokens=120,
        temperature=1,
        logit_bias={3: -1.25},
        switch_penalty=SwitchPenalty((2, 5), alpha, beta, since=1),
    )
    whole = OnLogits({"switch_penalty"})
    inner = OnLogits({"continue", "token_ids", "logit_bias", "stop_ids"})
    expected = trio.run(whole.extend, START, sampling)
    found = trio.run(Penalising(inner).extend, START, sampling)
    assert found.token_ids == expected.token_ids
    assert len(inner.seen) == len(whole.seen) == 120
    for one, other in zip(whole.seen, inner.seen, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5, strict=True)
    penalised = sum(
        bool((a != b).any()) for a, b in zip(whole.seen, unpenalised(expected.token_ids), strict=True)
    )
    if beta in (0, 1, 600):  # a switch token is the first of its thought
        assert penalised == (120 if beta == 600 else 0)
    else:
        assert 0 < penalised < 120


def unpenalised(ids):
    """The raw logits before each of these tokens, with the constant bias."""
    for n in range(len(ids)):
        row = np.random.default_rng([*ids[:n], 1]).normal(0, 2, OnLogits.WORDS).astype(np.float32)
        row[3] += np.float32(-1.25)
        yield row


def test_what_cannot_be_done_in_parts_is_refused_and_what_can_be_done_inside_is_left_alone():
    engine = Scripted(TEXTS)
    assert Penalising(engine).capabilities == engine.capabilities
    poor = Penalising(Scripted(TEXTS, without={"logit_bias", "switch_penalty"}))
    assert "switch_penalty" not in poor.capabilities.can
    parts = Penalising(Scripted(TEXTS, without={"switch_penalty"}))
    with pytest.raises(Unsupported, match="grammar"):
        trio.run(parts.extend, START, Sampling(grammar="{}", switch_penalty=SwitchPenalty((1,))))


def test_a_watch_that_says_no_ends_the_call_between_two_parts_too():
    parts = Penalising(Scripted({"a b c d e f g h": 1.0}, without={"switch_penalty"}))
    for most in range(1, 9):
        seen = []

        def watch(delta, seen=seen, most=most):
            seen.append(delta)
            return len(seen) < most

        sampling = Sampling(max_tokens=20, switch_penalty=SwitchPenalty((999,), 1.0, 3))
        segment = trio.run(parts.extend, START, sampling, watch)
        assert (segment.finish, len(segment.token_ids), len(seen)) == ("cancelled", most, most)


def test_the_same_seed_gives_the_same_text_and_another_part_another_seed():
    parts = Penalising(
        Scripted({"a": 0.5, "b": 0.5} | {f"a {x}": 0.2 for x in "cdefg"}, without={"switch_penalty"})
    )
    sampling = Sampling(temperature=1, seed=5, switch_penalty=SwitchPenalty((999,), 1.0, 1))
    texts = {trio.run(parts.extend, START, sampling).text for _ in range(5)}
    assert len(texts) == 1
    assert random.Random(5).random() != random.Random(6).random()
