"""The laws hold of the scripted engine and of every layer around it, and catch engines that are wrong."""

import itertools
import random
from dataclasses import replace

import anyio
import pytest
from trio.testing import MockClock

from ponder.core.errors import EngineClosed
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.core.protocols import ContinuationScores, Delta, Embeds, ExtendsMany, Tokenizes
from ponder.engines.laws import LawBroken, check_engine
from ponder.engines.layers import (
    Cached,
    Coalesced,
    Faulty,
    Layer,
    Limited,
    Penalising,
    Recorded,
    Replayed,
    Retrying,
)
from ponder.engines.scripted import Scripted

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    # Trio's time is virtual: it jumps to the next thing to do.
    return (
        request.param if request.param == "asyncio" else ("trio", {"clock": MockClock(autojump_threshold=0)})
    )


STEPS = {
    "First, 17 + 25.\n\nThat is 30 + 12.\n\nThe answer is 42.": 0.5,
    "First, 17 + 25.\n\nHmm, 7 and 5 make 12: so 41 or 42? The answer is 41.": 0.3,
    "I would say forty-two, for it is always forty-two, is it not.": 0.2,
}
FOREIGN = {"你好，世界 👩‍🔬: 答案是四十二。": 0.5, "Der Übermut, naïvement — ∑ 😀é\u0301 ja ja ja nein": 0.5}


def by_prompt(prefix: Prefix) -> dict[str, float]:
    """A script that reads what it is asked, and goes on differently from what a strategy wrote."""
    if prefix.text.endswith("Wait,"):
        return {" let me see again: it is 42 after all, so it is.": 0.6, " no.": 0.4}
    return FOREIGN if prefix.prompt.raw is not None else STEPS


SCRIPTS = {
    "steps": lambda: Scripted(STEPS),
    "by prompt": lambda: Scripted(by_prompt, context=100),
    "solver": lambda: Scripted.solver(0.7),
    "certain": lambda: Scripted({"Only ever this one sentence, word for word.": 1}),
    "silent": lambda: Scripted({"": 1}),
    "hosted": lambda: Scripted(STEPS, without={"logprobs", "continue", "stoppable"}),
    "bare": lambda: Scripted(STEPS, without={"seed", "token_ids", "streams", "tells_stop_from_eos"}),
    "no bias": lambda: Scripted(STEPS, without={"logit_bias", "stop_ids", "top_logprobs", "scores"}),
    "penalised in parts": lambda: Penalising(Scripted(STEPS, without={"switch_penalty"})),
    "slow": lambda: Scripted(STEPS, delay=lambda _, rng: 1e-4 * (rng.random() < 0.1), latency=1e-4),
}

LAYERS = {
    "plain": Layer,
    "retrying": Retrying,
    "limited": lambda engine: Limited(engine, 2),
    "cached": lambda engine: Cached(engine, {}),
    "recorded": lambda engine: Recorded(engine, lambda _: None),
    "faultless": lambda engine: Faulty(engine, 1, delays=1e-4),
    "retrying faults": lambda engine: Retrying(
        Faulty(engine, 1, errors=0.3), 20, base=1e-4, rng=random.Random(0)
    ),
    "all": lambda engine: Cached(Limited(Retrying(Recorded(Faulty(engine), lambda _: None)), 3), {}),
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_scripted_keeps_the_laws(script):
    report = await check_engine(SCRIPTS[script](), close=True)
    assert len(report) == len(set(report)) > 15
    assert "checked: stop strings" in report


@pytest.mark.parametrize("script", ["steps", "by prompt", "hosted", "bare"])
@pytest.mark.parametrize("layer", LAYERS)
async def test_layers_keep_the_laws(layer, script):
    await check_engine(LAYERS[layer](SCRIPTS[script]()), close=True)


@pytest.mark.parametrize("script", ["steps", "by prompt", "hosted", "bare"])
async def test_coalesced_keeps_the_laws(script):
    async with anyio.create_task_group() as tasks:
        await check_engine(Coalesced(SCRIPTS[script](), tasks), close=True)


@pytest.mark.parametrize("script", ["steps", "by prompt", "hosted"])
async def test_a_replay_keeps_the_laws_without_a_model(script):
    engine, records = SCRIPTS[script](), []
    report = await check_engine(Recorded(engine, records.append))
    calls = engine.calls
    assert await check_engine(Replayed(records)) == report
    assert engine.calls == calls


@pytest.mark.parametrize("make", [*LAYERS.values()])
async def test_a_layer_can_what_its_engine_can(make):
    class Mute:
        capabilities = Scripted(STEPS).capabilities

        async def extend(self, prefix, sampling, watch=None):
            raise NotImplementedError

    for protocol in (Tokenizes, ContinuationScores, Embeds, ExtendsMany):
        for engine in (Mute(), Scripted(STEPS)):
            assert isinstance(make(engine), protocol) == isinstance(engine, protocol)
    assert not hasattr(make(Mute()), "aclose")


async def test_it_tells_what_it_skipped():
    report = await check_engine(SCRIPTS["hosted"]())
    assert "skipped: continuing (cannot: continue)" in report
    assert "skipped: closing (not asked for)" in report
    report = await check_engine(SCRIPTS["steps"](), greedy=False)
    assert "skipped: temperature 0 (not repeatable at temperature 0)" in report
    assert "checked: seeds" in report


# -- engines that are wrong, each in one way -----------------------------------------------------------------


class Wrong(Scripted):
    """Wrong once its `write` is overridden."""

    def __init__(self, **options):
        super().__init__(by_prompt, **options)

    async def extend(self, prefix, sampling, watch=None):
        return await self.write(prefix, sampling, watch)

    async def right(self, prefix, sampling, watch=None):
        return await super().extend(prefix, sampling, watch)


class DropsADelta(Wrong):
    async def write(self, prefix, sampling, watch):
        seen = itertools.count()
        return await self.right(prefix, sampling, watch and (lambda d: watch(d) if next(seen) != 1 else None))


class JoinsDeltas(Wrong):
    async def write(self, prefix, sampling, watch):
        segment = await self.right(prefix, sampling)
        if watch:
            watch(Delta(segment.text, segment.usage.completion))
        return segment


class ForgetsEndOfText(Wrong):
    async def write(self, prefix, sampling, watch):
        deltas = []

        def seeing(d):
            deltas.append(d)
            return watch(d) if d.text else None

        return await self.right(prefix, sampling, watch and seeing)


class IgnoresMaxTokens(Wrong):
    async def write(self, prefix, sampling, watch):
        more = 2 if sampling.max_tokens == 7 else 0
        return await self.right(prefix, replace(sampling, max_tokens=sampling.max_tokens + more), watch)


class OneTooFew(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(prefix, replace(sampling, max_tokens=max(1, sampling.max_tokens - 1)), watch)


class CutsTheStop(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, text=s.text[: s.text.find(s.stopped_by)]) if s.stopped_by else s


class CutsAfterTheStop(Wrong):
    """The stop string is kept, but what its last token wrote beyond it is not."""

    def __init__(self):
        super().__init__(without={"streams"})

    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling)
        end = s.text.find(s.stopped_by) + len(s.stopped_by) if s.stopped_by else len(s.text)
        return replace(s, text=s.text[:end], ends=tuple(min(end, e) for e in s.ends)) if end else s


class SeesStopsOnlyInTokens(Wrong):
    """Misses a stop string that two tokens share."""

    async def write(self, prefix, sampling, watch):
        texts = {t for u in (*STEPS, *FOREIGN) for i in self.encode(u) for t in [self._vocabulary.texts[i]]}
        kept = tuple(stop for stop in sampling.stop if any(stop in text for text in texts))
        return await self.right(prefix, replace(sampling, stop=kept), watch)


class IgnoresStopIds(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(prefix, replace(sampling, stop_ids=()), watch)


class IgnoresMinTokens(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(prefix, replace(sampling, min_tokens=0), watch)


class HoldsOffStopStrings(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(
            prefix, replace(sampling, stop=() if sampling.min_tokens else sampling.stop), watch
        )


class SharesItsChance(Wrong):
    """Seeds one generator for all calls, so that those side by side draw from each other's."""

    def __init__(self):
        super().__init__(delay=1e-5)

    async def write(self, prefix, sampling, watch):
        if sampling.seed is not None:
            self._rng.seed(sampling.seed)
        return await self.right(prefix, replace(sampling, seed=None), watch)


class IgnoresTheSeed(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(prefix, replace(sampling, seed=None), watch)


class OneSeedForAll(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(prefix, replace(sampling, seed=1), watch)


class WarmLogprobs(Wrong):
    """Tells them at the temperature it samples at."""

    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        scale = 1 / sampling.temperature if sampling.temperature else 1
        return replace(s, logprobs=s.logprobs and tuple(p * scale for p in s.logprobs), top_logprobs=None)


class BiasedLogprobs(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        if not s.logprobs or not sampling.logit_bias:
            return s
        told = [
            min(0.0, p + sampling.logit_bias.get(i, 0.0))
            for i, p in zip(s.token_ids, s.logprobs, strict=True)
        ]
        return replace(s, logprobs=tuple(told))


class PositiveLogprobs(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, logprobs=s.logprobs and tuple(-p for p in s.logprobs))


class UnsortedTops(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, top_logprobs=s.top_logprobs and tuple(top[::-1] for top in s.top_logprobs))


class ShiftedTops(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, top_logprobs=s.top_logprobs and (*s.top_logprobs[1:], s.top_logprobs[0]))


class IgnoresBias(Wrong):
    async def write(self, prefix, sampling, watch):
        return await self.right(prefix, replace(sampling, logit_bias={}), watch)


class ReadsWrongly(Wrong):
    async def logprobs(self, prefix, continuation):
        return tuple(p - 0.1 for p in await super().logprobs(prefix, continuation))

    write = Wrong.right


class TokenizesAgain(Wrong):
    """Continues the text and not the ids; and so from half a word differently."""

    async def write(self, prefix, sampling, watch):
        if prefix.segments and prefix.segments[-1].sampled:
            last = prefix.segments[-1]
            prefix = Prefix(
                prefix.prompt, (*prefix.segments[:-1], replace(last, text=last.text + " ", token_ids=None))
            )
        return await self.right(prefix, sampling, watch)


class WritesOn(Wrong):
    """Looks at what the watch said one token late."""

    async def write(self, prefix, sampling, watch):
        said = [None]

        def late(delta):
            said.append(watch(delta))
            return said[-2]

        return await self.right(prefix, sampling, watch and late)


class CancelsWhatEnded(Wrong):
    async def write(self, prefix, sampling, watch):
        said = []
        s = await self.right(prefix, sampling, watch and (lambda d: said.append(watch(d)) or said[-1]))
        return replace(s, finish="cancelled") if said and said[-1] is False else s


class CannotBeCancelled(Wrong):
    async def write(self, prefix, sampling, watch):
        with anyio.CancelScope(shield=True):
            return await self.right(prefix, sampling, watch)


class BreaksOnCancel(Wrong):
    def __init__(self):
        super().__init__(delay=1e-5)

    async def write(self, prefix, sampling, watch):
        try:
            return await self.right(prefix, sampling, watch)
        except anyio.get_cancelled_exc_class():
            await self.aclose()
            raise


class LengthForAll(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, finish="length") if s.finish == "eos" else s


class GuessesUsage(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, usage=replace(s.usage, completion=len(s.text) // 4 + 1))


class ForgetsTheTemplate(Wrong):
    async def write(self, prefix, sampling, watch):
        s = await self.right(prefix, sampling, watch)
        return replace(s, usage=replace(s.usage, prompt=s.usage.prompt - 1))


class Truncates(Wrong):
    """Cuts an over-long prompt to fit."""

    def __init__(self):
        super().__init__(context=100)

    async def write(self, prefix, sampling, watch):
        if self.count(prefix) + sampling.max_tokens > 100:
            prefix = Prefix(Prompt(messages=(Message("user", "short"),)))
        return await self.right(prefix, sampling, watch)


class NeverCloses(Wrong):
    async def aclose(self):
        pass

    write = Wrong.right


@pytest.mark.parametrize("wrong", Wrong.__subclasses__(), ids=lambda wrong: wrong.__name__)
async def test_the_laws_catch_what_is_wrong(wrong):
    # Except one that its own fault closes: it is of no use after a cancelled call, and says so itself.
    with pytest.raises(EngineClosed if wrong is BreaksOnCancel else LawBroken):
        await check_engine(wrong(), close=True)


async def test_the_wrong_engines_are_wrong_only_in_that():
    class Right(Wrong):
        write = Wrong.right

    await check_engine(Right(), close=True)


async def test_a_broken_law_shows_what_was_seen():
    with pytest.raises(LawBroken, match=r"finish.*\"length\" came before max_tokens\n.*segment = Segment\("):
        await check_engine(LengthForAll())
    with pytest.raises(ValueError, match="at least 8"):
        await check_engine(LengthForAll(), tokens=4)
