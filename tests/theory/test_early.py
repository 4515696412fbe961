"""Methods that stop early: what they stop at, what they save, and what a stop costs."""

import math
import random
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from support import QUESTION, attempt, virtual

from ponder import Candidate, Prefix, Prompt, parse
from ponder.core.protocols import Delta
from ponder.engines.layers import Layer
from ponder.engines.scripted import Scripted
from ponder.runtime.place import derive
from ponder.strategies import AdaptiveConsistency, DeepConf, EarlyExit, EarlyStopping
from ponder.thinking import confidence, votes
from ponder.thinking.hesitation import hesitates, mean_probability

PATH = Prefix(Prompt(raw=""))


def counted(*counts):
    return [Candidate(PATH, str(i), str(i)) for i, n in enumerate(counts) for _ in range(n)]


def run(strategy, engine, budget=None, **more):
    return virtual(partial(attempt, **more), strategy, engine, budget)


# -- early-stopping and adaptive consistency --------------------------------------------------------------------------


@pytest.mark.parametrize(("q", "mean"), [(0.5, 9.961), (0.1, 28.477)])
def test_the_mean_number_of_samples_is_the_paper_s(q, mean):
    """METHODS 2.3; q is made of one answer with that fifth power, and of many that never agree."""
    assert votes.expected_samples([q**0.2], 5, 40) == pytest.approx(mean, abs=1e-3)
    assert votes.expected_samples([1.0], 5, 40) == 5
    assert votes.expected_samples([], 5, 40) == 40
    assert votes.expected_samples([1.0], 5, 3) == 5


def test_the_control_scheme_takes_the_largest_window_that_is_expected_to_cost_no_more():
    strategy = EarlyStopping(n=40, w=5, control=20)
    found = {split: strategy.controlled(counted(*split)) for split in ((4, 1), (3, 2), (1, 1, 1, 1, 1), ())}
    for split, w in found.items():
        shares = [k / 5 for k in split]
        means = {size: votes.expected_samples(shares, size, 40) for size in range(2, 6)}
        allowed = [size for size, mean in means.items() if mean <= 20]
        assert w == (max(allowed) if allowed else min(means, key=means.get))
    assert (found[4, 1], found[3, 2], found[1, 1, 1, 1, 1]) == (5, 3, 2)
    torn = Scripted.solver(0.6, wrong=("41",), text="The answer is {answer}.")
    plain = [run(EarlyStopping(), torn, seed=seed)[0].usage.calls for seed in range(60)]
    held = [run(EarlyStopping(control=10), torn, seed=seed)[0].usage.calls for seed in range(60)]
    assert sum(held) < sum(plain)


@pytest.mark.parametrize(
    ("rule", "answers", "stops"),
    [
        ("entropy", (4,), True),
        ("entropy", (3,), False),
        ("entropy", (2, 2), True),  # log 2 of log 4: a half
        ("entropy", (2, 1, 1), False),  # three quarters and a little by rounding, or exactly
        ("entropy", (1, 1, 1, 1), False),
        ("share", (4, 1), True),
        ("share", (3, 1), False),
        ("share", (3,), False),
    ],
)
def test_the_baselines_of_adaptive_consistency(rule, answers, stops):
    candidates = counted(*answers)
    measure = {"entropy": votes.entropy(candidates) <= 0.75, "share": votes.share(candidates) >= 0.8}[rule]
    if answers != (2, 1, 1):
        assert (measure and len(candidates) >= 4) == stops
    engine = Scripted({f"The answer is {i}.": n for i, n in enumerate(answers)})
    result, _ = run(AdaptiveConsistency(rule=rule, n=12), engine, seed=3)
    assert 4 <= result.usage.calls <= 12


def test_entropy_is_normalised_and_knows_its_ends():
    assert votes.entropy(counted(5)) == 0
    assert votes.entropy(counted(1, 1, 1)) == pytest.approx(1)
    assert votes.entropy(counted(2, 1, 1)) == pytest.approx(0.75)
    assert votes.entropy(counted(1)) == votes.entropy([]) == 1
    assert votes.share(counted(3, 1)) == 0.75
    assert votes.share([]) == votes.share([Candidate(PATH)]) == 0
    assert votes.share([Candidate(PATH, "a", "a", 0.0)]) == 0


def test_stopping_at_random_is_a_geometric_number_of_samples():
    engine = Scripted.solver(1.0)
    calls = [
        run("adaptive:rule=random,block=1,n=40", engine, seed=seed)[0].usage.calls for seed in range(200)
    ]
    mean = sum((0.9 ** (i - 1) * 0.1 if i < 40 else 0.9**39) * i for i in range(1, 41))
    assert sum(calls) / len(calls) == pytest.approx(mean, abs=3.5 * 8.5 / math.sqrt(200))


@pytest.mark.parametrize("rule", ["beta", "dirichlet", "entropy", "share"])
def test_a_threshold_may_be_given(rule):
    engine = Scripted.solver(0.7, wrong=("41", "43"))
    hard = f"adaptive:rule={rule},threshold={0 if rule == 'entropy' else 1}"
    pairs = [
        [run(how, engine, seed=seed)[0].usage.calls for how in (f"adaptive:rule={rule}", hard)]
        for seed in range(8)
    ]
    assert all(usual <= strict for usual, strict in pairs)
    assert sum(usual for usual, _ in pairs) < sum(strict for _, strict in pairs)
    assert str(parse(f"adaptive:rule={rule}")) == "adaptive-consistency" + f":rule={rule}" * (rule != "beta")


class Paced(Scripted):
    """The first four samples take a hundredth of a second for a token, all others a second."""

    async def extend(self, prefix, sampling, watch=None):
        first = [derive(0, QUESTION.id, (0, i)) for i in range(4)]
        self._delay = 0.01 if sampling.seed in first else 1.0
        return await super().extend(prefix, sampling, watch)

    async def _steps(self, prefix, sampling, rng, watch):
        pace, self._delay = self._delay, lambda prefix, clock: pace
        return await super()._steps(prefix, sampling, rng, watch)


def test_the_rest_are_cancelled_in_flight_and_pay_only_for_what_they_had_written():
    """Four quick samples agree while four slow ones write: those cost the tokens of that moment, and none after it."""
    engine = Paced({"word " * 40 + "The answer is 42.": 1.0})
    result, events = virtual(attempt, "adaptive:block=8,shots=0", engine, None)
    whole = [event for event in events if event.kind == "extended"]
    cancelled = [event for event in events if event.kind == "failed" and event.cancelled]
    length = whole[0].usage.completion
    assert (len(whole), len(cancelled)) == (4, 4)
    assert all(event.usage.completion < length / 4 for event in cancelled)
    assert (
        result.usage.completion
        == engine.completion_tokens
        == 4 * length + sum(event.usage.completion for event in cancelled)
    )
    assert engine.in_flight == 0
    assert result.stop == "finished"


# -- DeepConf ---------------------------------------------------------------------------------------------------------


def test_percentiles_lie_between_values_in_proportion():
    values = [4.0, 1.0, 3.0, 2.0]
    assert [confidence.percentile(values, p) for p in (0, 50, 100, 10)] == pytest.approx([1, 2.5, 4, 1.3])
    assert confidence.percentile([7.0], 90) == 7
    with pytest.raises(ValueError, match="values"):
        confidence.percentile([], 10)


def test_the_window_is_an_eighth_of_short_traces():
    assert confidence.window_for([[0.0] * 80, [0.0] * 240], 2048) == 20
    assert confidence.window_for([[0.0] * 100_000], 2048) == 2048
    assert confidence.window_for([[0.0]], 2048) == confidence.window_for([], 2048) == 1


def test_a_trace_is_stopped_exactly_where_its_groups_say():
    chance = random.Random(0)
    for _ in range(200):
        tokens = [chance.uniform(0, 10) for _ in range(chance.randint(1, 30))]
        window, threshold = chance.randint(1, 12), chance.uniform(2, 8)
        falls = confidence.Falling(window, threshold)
        stops = [falls(Delta("x", 1, (((0, -c),),))) == "confidence" for c in tokens]
        full = confidence.groups(tokens, window) if len(tokens) >= window else []
        expected = [False] * (len(tokens) - len(full)) + [group < threshold for group in full]
        assert stops == expected
    assert not confidence.Falling(1, math.inf)(Delta("x", 3)), "of tokens that tell nothing it says nothing"


SURE = "Seven times six is a table that one knows by heart, and so: The answer is 42."
LOST = "Seven times six may be x y z y x z y or more than that, who knows. The answer is 41."


class Telling(Layer):
    """Tells of "x", "y" and "z" that many tokens were as likely, and of all others that none was."""

    async def extend(self, prefix, sampling, watch=None):
        def told(delta):
            return watch(delta._replace(top=(self.top(delta.text),)))

        segment = await super().extend(prefix, sampling, told if watch else None)
        starts = (0, *segment.ends)
        texts = [segment.text[a:b] for a, b in pairwise(starts)]
        return replace(segment, top_logprobs=tuple(map(self.top, texts)))

    def top(self, text):
        return ((0, -1.0 if text.strip() in "xyz" and text.strip() else -9.0),)


def torn(**options):
    return Telling(Scripted({SURE: 0.45, SURE.replace("42", "43"): 0.1, LOST: 0.45}, **options))


HOW = DeepConf(n=40, warmup=12, eta=50, consensus=1.0, temperature=1, top_p=1, shots=0, window=4)


def test_traces_without_confidence_are_stopped_and_have_no_vote():
    engine = torn()
    result, events = run(HOW, engine, seed=7)
    assert result.answer == "42"
    assert {answer for answer, weight in result.choice.votes if weight} == {"42", "43"}
    later = [event for event in events if event.kind == "extended"][12:]
    cut = [event for event in later if event.finish == "cancelled"]
    assert len(later) == 28
    assert len(cut) > 5
    assert all(LOST.startswith(event.text) and len(event.text) < len(LOST) for event in cut)
    assert len({event.text for event in cut}) == 1, "each on the same token"
    assert result.stop == "finished"
    assert result.usage.completion == engine.engine.completion_tokens
    excluded = [c for c in result.choice.candidates if c.weight == 0]
    assert any(c in excluded for c in result.choice.candidates[:12]), (
        "warm-up traces below it are left out, too"
    )
    assert all(c.path.text.startswith("Seven times six may") for c in excluded)
    offline, _ = run(replace(HOW, mode="offline", measure="lowest"), engine, seed=7)
    assert offline.answer == "42"
    assert offline.usage.completion > result.usage.completion


def test_a_consensus_ends_it():
    sure = Telling(Scripted({SURE: 1.0}))
    result, _ = run(DeepConf(n=64, warmup=8, shots=0), sure)
    assert (result.answer, result.usage.calls) == ("42", 8)
    mixed = Telling(Scripted({SURE: 0.8, SURE.replace("42", "41"): 0.2}))
    drawn = set()
    for seed in range(12):
        result, _ = run(replace(HOW, n=60, warmup=4, eta=100, consensus=0.85), mixed, seed=seed)
        candidates = result.choice.candidates
        shares = [votes.share(candidates[:k]) for k in range(4, len(candidates) + 1)]
        assert shares[-1] >= 0.85 or len(candidates) == 60
        assert all(part < 0.85 for part in shares[:-1]), "and not one more than it takes"
        drawn.add(len(candidates))
    assert len(drawn) > 3


def test_an_engine_that_tells_nothing_while_it_writes_leaves_out_the_same_traces():
    watched, _ = run(HOW, torn(), seed=7)
    chunked, _ = run(HOW, torn(without={"streams", "stoppable"}), seed=7)
    for result in (watched, chunked):
        assert {c.path.text[:19] for c in result.choice.candidates if not c.weight} == {LOST[:19]}
        assert {c.answer for c in result.choice.candidates if c.weight} == {"42", "43"}
    assert watched.usage.completion < chunked.usage.completion


def test_the_share_that_is_kept():
    """eta = 100 is the confidence-weighted vote of all, and eta = 0 that of the most confident traces alone."""
    offline = replace(HOW, mode="offline", measure="mean")
    everything, _ = run(replace(offline, eta=100), torn(), seed=2)
    assert all(c.weight > 0 for c in everything.choice.candidates)
    assert {answer for answer, weight in everything.choice.votes if weight} == {"41", "42", "43"}
    best, _ = run(replace(offline, eta=0), torn(), seed=2)
    weights = {c.weight for c in best.choice.candidates}
    assert len(weights) == 2
    assert 0.0 in weights


# -- early exit -------------------------------------------------------------------------------------------------------


def reasoner(settles, steps=60, doubt=""):
    """Reasons for `steps` words. Probes answer 41 until `settles` words were written, then 42."""

    def script(prefix):
        before, asked, _ = prefix.text.partition("\n\nThe final answer is")
        if asked:
            return {f"{doubt} {42 if before.count('word') >= settles else before.count('word')}.\n": 1.0}
        return {"word " * (steps - before.count("word")) + "The answer is 42.": 1.0}

    return Scripted(script)


def test_it_stops_once_enough_probes_in_a_row_agree():
    engine = reasoner(settles=20)
    result, events = run(EarlyExit(k=10, c=3, shots=0), engine)
    calls = [event for event in events if event.kind == "extended"]
    reasoning = [event for event in calls if not event.written]
    assert result.answer == "42"
    whole, _ = run("chain-of-thought:shots=0", engine)
    assert sum(event.usage.completion for event in reasoning) < whole.usage.completion
    assert result.usage.completion == engine.completion_tokens - whole.usage.completion, "probes are paid"
    keys = [c.key for c in result.choice.candidates]
    assert keys[-3:] == ["42"] * 3 or len({*keys[-3:]}) == 1
    assert all(len({*keys[i : i + 3]}) > 1 for i in range(len(keys) - 3)), "and not before"
    assert all(b.parent in (a.parent, a.place) for a, b in pairwise(calls))


def test_probes_that_hesitate_do_not_count():
    engine = reasoner(settles=0, doubt=" Hmm, wait,")
    result, events = run(EarlyExit(k=10, c=2, shots=0), engine)
    assert result.answer == "42"
    assert [event for event in events if event.kind == "extended"][-1].written == ""
    sure, _ = run(EarlyExit(k=10, c=2, shots=0), reasoner(settles=0))
    assert sure.usage.calls == 4
    unlikely, _ = run(EarlyExit(k=10, c=2, confidence=1.0, shots=0), Scripted(unsure))
    assert unlikely.usage.calls > 4
    assert "logprobs" in EarlyExit(confidence=0.5).needs
    assert EarlyExit().needs == {"continue"}


def unsure(prefix):
    if prefix.text.endswith("The final answer is"):
        return {" 42.\n": 0.6, " 41.\n": 0.4}
    return {"word " * 60 + "The answer is 42.": 1.0}


def test_words_of_doubt():
    assert hesitates(" 42, but I am not sure")
    assert hesitates("Hmm")
    assert not hesitates(" 42 butterflies, nobody waits")
    assert mean_probability([math.log(0.5), math.log(0.125)]) == pytest.approx(0.25)
    assert mean_probability([]) == 0


def test_nothing_but_the_end_of_thinking_stops_it_where_probes_differ():
    result, _ = run(EarlyExit(k=10, c=3, max_tokens=45, shots=0), reasoner(settles=1000, steps=500))
    assert result.answer is not None, "the last probe counts where the reasoning came to no end"
    assert result.stop == "finished"
