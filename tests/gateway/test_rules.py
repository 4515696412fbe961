"""What needs no client: who chooses the strategy, the table of errors, the shape of a stream, time (on a virtual clock)."""

import gc
import inspect
import itertools
import json
import re
import time
from functools import partial
from pathlib import Path

import anyio
import pytest
from gateways import TABLES, asked, gateway, opened_keys
from support import virtual

from ponder import UsageError
from ponder import gateway as package
from ponder.core import errors
from ponder.core.calls import Budget, Usage
from ponder.engines.scripted import Scripted
from ponder.gateway.asked import read
from ponder.gateway.choosing import choose
from ponder.gateway.keys import Key
from ponder.gateway.metrics import Metrics
from ponder.gateway.options import Options
from ponder.gateway.refusals import ERRORS, KINDS, Refusal, refusal
from ponder.gateway.served import Served
from ponder.strategies import CATALOGUE
from ponder.thinking.spelling import schema

FOLDER = Path(package.__file__).parent
ASK = [{"role": "user", "content": "What is 6 * 7?"}]


def solver(**options):
    return Scripted.solver(1.0, text="Let me think. The answer is {answer}.", name="solver", **options)


# -- errors -------------------------------------------------------------------------------------------------------


def test_every_error_of_ours_has_a_row_and_every_row_is_used():
    ours = {
        cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.PonderError)
    }
    assert ours <= set(ERRORS)
    assert set(ERRORS.values()) <= set(KINDS)
    source = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))
    said = set(re.findall(r'Refusal\(\s*"(\w+)"', source))
    assert said <= set(KINDS)
    assert set(KINDS) == said | set(ERRORS.values())


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_each_is_told_in_the_envelope(cls):
    error = (
        cls("what", "x", ())
        if cls is errors.UnknownName
        else cls([ValueError("why")])
        if cls is errors.AllFailed
        else cls("why")
    )
    told = refusal(error, spent=3)
    assert told.body["error"]["code"] == ERRORS[cls]
    assert 400 <= told.status < 600
    assert told.all_headers()["x-should-retry"] == "false", "tokens were spent"


def test_what_is_not_ours_is_not_told():
    told = refusal(ValueError("the secret"))
    assert (told.status, told.code) == (500, "internal_error")
    assert "secret" not in str(told.body)


# -- who chooses ----------------------------------------------------------------------------------------------------


ALL = {
    "body": {"ponder": {"strategy": "best-of-n:n=2"}},
    "header": {"x-ponder-strategy": "best-of-n:n=3"},
    "model": "m@vote4",
    "effort": {"reasoning_effort": "high"},
    "key": "best-of-n:n=5",
    "server": "best-of-n:n=6",
}
WANTED = {"body": "best-of-n:n=2", "header": "best-of-n:n=3", "model": "self-consistency:n=4",
          "effort": "direct", "key": "best-of-n:n=5", "server": "best-of-n:n=6"}  # fmt: skip


@pytest.mark.parametrize(
    "said", [set(list(ALL)[i:]) for i in range(6)] + [{"header", "server"}, {"effort", "server"}]
)
def test_who_says_it_first_chooses(said):
    options = Options.of(TABLES | {"effort": {"high": "direct"}, "gateway": {"strategy": ALL["server"]}})
    body = {"model": ALL["model"] if "model" in said else "m", "messages": ASK}
    for place in ("body", "effort"):
        body |= ALL[place] if place in said else {}
    key = Key("k", "k", strategy=ALL["key"]) if "key" in said else None
    headers = ALL["header"] if "header" in said else {}
    chosen = choose(read("chat", body, json.dumps(body)), headers, ["m"], options, key)
    first = next(place for place in ALL if place in said)
    assert (chosen.by, chosen.name) == (first, WANTED[first])


@pytest.mark.parametrize(
    "text", ["<ponder_strategy>majority</ponder_strategy>", "@vote4", "ponder: {strategy: majority}"]
)
def test_a_prompt_chooses_nothing(text):
    body = {
        "model": "m",
        "messages": [{"role": "system", "content": text}, {"role": "user", "content": text}],
    }
    assert choose(read("chat", body, ""), {}, ["m"], Options.of(TABLES), None).name == "none"


def test_a_key_is_held_to_its_models_and_presets():
    options = Options.of(TABLES)

    def chosen(model, ponder=None, **limits):
        body = {"model": model, "messages": ASK, "ponder": ponder or {}}
        return choose(read("chat", body, ""), {}, ["m", "m2"], options, Key("k", "k", **limits)).name

    assert chosen("m@vote4", presets=("vote4",)) == "self-consistency:n=4"
    for model, ponder, limits in (
        ("m2", None, {"models": ("m",)}),
        ("m@think", None, {"presets": ("vote4",)}),
        ("m", None, {"presets": ("vote4",)}),
        ("m", {"strategy": "self-consistency:n=4"}, {"presets": ("vote4",)}),
        ("m", {"strategy": "vote4", "params": {"n": 200}}, {"presets": ("vote4",)}),
    ):
        with pytest.raises(Refusal) as refused:
            chosen(model, ponder, **limits)
        assert refused.value.status == 403


def test_budgets_come_from_the_first_who_says_them():
    options = Options.of(TABLES | {"gateway": {"budget": "5k,60s", "most": "10k,100s"}})

    def budget(ponder, headers=None, model="m@vote4"):
        body = {"model": model, "messages": ASK, "ponder": ponder}
        return choose(read("chat", body, ""), headers or {}, ["m"], options, None).budget

    assert budget({}) == Budget(5000, seconds=60)
    assert budget({"budget_tokens": 70}, {"x-ponder-budget-tokens": "80"}) == Budget(70, seconds=60)
    assert budget({}, {"x-ponder-budget-tokens": "80", "x-ponder-deadline-s": "2.5"}) == Budget(
        80, seconds=2.5
    )
    assert budget({"budget": "2k,calls=3"}) == Budget(2000, seconds=60, calls=3)
    assert budget({}, model="m@think") == Budget(2000, seconds=60)
    assert budget({}, model="m") == Budget()
    for ponder in (
        {"budget_tokens": 10_001},
        {"deadline_s": 101},
        {"deadline_s": "soon"},
        {"budget": "lots"},
        {"budget": 5.5},
        {"budget": "5.5"},
        {"budget_tokens": 0},
    ):
        with pytest.raises(Refusal):
            budget(ponder)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"gateway": {"prot": 1}}, "Did you mean port"),
        ({"gateway": {"port": "x"}}, "whole number"),
        ({"gateway": {"salt": "no"}}, "true or false"),
        ({"presets": {"a b": "direct"}}, "named by letters"),
        ({"presets": {"a": {"strategy": "majorty"}}}, "Did you mean majority"),
        ({"presets": {"a": {"strategy": "direct", "n": 1}}}, "no setting in"),
        ({"presets": {"a": 5}}, "needs a strategy"),
        ({"presets": {"a": {"strategy": "direct", "budget": 5.5}}}, "no whole number"),
        ({"effort": {"hihg": "direct"}}, "Did you mean high"),
        ({"effort": {"high": "vote5"}}, "no preset or strategy"),
        ({"gateway": {"strategy": "nothing"}}, "no preset or strategy"),
        ({"gateway": 5}, "is a table"),
    ],
)
def test_a_bad_configuration_is_refused_whole(tables, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        Options.of(tables)


# -- streams ----------------------------------------------------------------------------------------------------------


def pings(seconds):
    """R23: how far apart the pings are of a stream in which nothing is said for so long."""

    async def job():
        it = gateway([Served("solver", solver(latency=seconds))])
        body = {"model": "solver@vote4", "messages": ASK, "stream": True, "ponder": {"deadline_s": 900}}
        return await asked(it, body)

    status, _, sent = virtual(job)
    assert status == 200
    times = [at for at, piece in sent if piece == b": ping\n\n"]
    text = b"".join(piece for _, piece in sent)
    assert text.endswith(b"data: [DONE]\n\n")
    first = json.loads(text.split(b"\n\n")[0].removeprefix(b"data: "))
    assert first["choices"][0]["delta"]["role"] == "assistant"
    return [b - a for a, b in itertools.pairwise(times)]


def test_a_silent_stream_pings_every_15_seconds():
    gaps = pings(600.0)
    assert len(gaps) in (38, 39)  # at 600 seconds either may come first
    assert {round(gap, 6) for gap in gaps} == {15.0}


@pytest.mark.parametrize("how", ["comments", "reasoning", "none"])
def test_progress_is_told_as_asked(how):
    async def job():
        it = gateway([Served("solver", solver(delay=1.0))])
        return await asked(
            it, {"model": "solver@vote4", "messages": ASK, "stream": True, "ponder": {"progress": how}}
        )

    _, _, sent = virtual(job)
    text = b"".join(piece for _, piece in sent).decode()
    events = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
    thought = [
        c["delta"].get("reasoning_content")
        for e in events
        for c in e["choices"]
        if "reasoning_content" in c["delta"]
    ]
    assert (": ponder 4 calls" in text) == (how == "comments")
    assert bool(thought) == (how == "reasoning")


def test_the_deadline_counts_from_the_door_and_holds_whatever_is_in_the_way():
    """R24, where an answer waits for its turn, or the votes are slow to compare."""

    class Stuck:
        async def keys(self, answers, kind="auto"):
            await anyio.sleep_forever()

    async def job():
        it = gateway([Served("solver", solver(latency=2.0))], {"gateway": {"requests": 1, "queue": 5}})
        slow = gateway([Served("solver", solver(latency=0.5))])
        slow.world.equality = Stuck()
        ended = []

        async def one(it, model, **ponder):
            told = await asked(it, {"model": model, "messages": ASK, "max_tokens": 8, "ponder": ponder})
            ended.append((model, told[0], anyio.current_time() - began))

        async with anyio.create_task_group() as group:
            began = anyio.current_time()
            group.start_soon(one, it, "solver")
            await anyio.sleep(0.01)
            for model in ("solver", "solver@vote4"):
                group.start_soon(partial(one, it, model, deadline_s=1.0))
            group.start_soon(partial(one, slow, "solver@vote4", deadline_s=1.0))
        return ended

    ended = virtual(job)
    assert sorted(status for _, status, _ in ended) == [200, 504, 504, 504]
    assert all(took <= 1.11 for _, status, took in ended if status == 504)


@pytest.mark.parametrize(("seconds", "status"), [(2.0, 504), (20.0, 200)])
def test_a_deadline_ends_with_the_best_so_far_or_504(seconds, status):
    """Each sample takes 7 to 8 seconds of the clock, one at a time."""

    async def job():
        it = gateway([Served("solver", solver(delay=1.0, latency=lambda prefix, rng: rng.random() * 30))])
        began = anyio.current_time()
        got = await asked(
            it, {"model": "solver", "messages": ASK, "seed": 1,
                 "ponder": {"strategy": "majority", "params": {"n": 8}, "deadline_s": seconds}},
        )  # fmt: skip
        return got, anyio.current_time() - began

    (told, _, sent), took = virtual(job)
    body = json.loads(b"".join(piece for _, piece in sent))
    assert told == status
    assert took <= seconds + 1.0
    if status == 200:
        assert body["ponder"]["stop"] == "deadline"
        assert body["choices"][0]["message"]["content"].endswith("42.")
        assert body["ponder"]["samples"]["cancelled"] > 0
    else:
        assert body["error"]["code"] == "deadline_exceeded"


def test_failed_samples_are_told_and_never_the_answer():
    from support import Flaky

    async def job():
        engine = Flaky(solver(), 0.5, seed=3)
        engine.encode = engine.engine.encode
        it = gateway([Served("solver", engine)])
        return await asked(it, {"model": "solver@vote4", "messages": ASK, "seed": 1}), engine.failures

    (status, _, sent), failures = virtual(job)
    body = json.loads(b"".join(piece for _, piece in sent))
    assert status == 200
    assert body["ponder"]["stop"] == "degraded"
    assert body["ponder"]["samples"]["failed"] == failures > 0
    assert body["choices"][0]["message"]["content"].endswith("42.")


def test_when_every_sample_fails_it_is_an_error():
    from support import Flaky

    async def job():
        return await asked(
            gateway([Served("solver", Flaky(solver(), 1.0))]), {"model": "solver@vote4", "messages": ASK}
        )

    status, _, sent = virtual(job)
    assert status == 502
    assert json.loads(sent[0][1])["error"]["code"] == "all_samples_failed"


def admitted(folder, rate, seconds):
    """R16: how many of ten times as many requests as a key may make are let in, while someone sets the clock."""
    keys = opened_keys(folder)
    secret, _ = keys.create("x", rate=rate)
    wrong = []

    async def job():
        it = gateway([Served("solver", solver())], keys=keys)
        header = [(b"authorization", f"Bearer {secret}".encode())]
        good, every, clock = 0, 6 / rate, time.time
        try:
            for i in range(round(seconds / every)):
                time.time = lambda jump=(0, 3600, -3600)[i // 100 % 3]: clock() + jump
                body = {"model": "solver", "messages": ASK, "max_tokens": 1}
                status, told, _ = await asked(it, body, headers=header)
                good += status == 200
                if status != 200 and not 0 < int(told[b"retry-after-ms"]) <= 60_000 / rate + 1:
                    wrong.append(told)
                await anyio.sleep(every)
        finally:
            time.time = clock
        return good

    got = virtual(job, seconds=1e6)
    assert not wrong
    return got


def test_rates_are_of_the_clock_that_nobody_sets(tmp_path):
    assert admitted(tmp_path, 60, 300) == 359  # a full bucket, and 299.9 seconds


# -- what it says of itself ---------------------------------------------------------------------------------------------


def test_every_strategy_has_a_schema():
    for name, cls in CATALOGUE.items():
        told = schema(cls)
        json.dumps(told, allow_nan=False)
        assert told["additionalProperties"] is False
        assert all({"type", "enum", "anyOf"} & set(one) for one in told["properties"].values()), name
    n = schema(CATALOGUE["self-consistency"])["properties"]["n"]
    assert n == {"type": "integer", "minimum": 1, "default": 16}


def test_metrics_are_prometheus_text():
    metrics = Metrics()
    metrics.answered("/v1/models", 200, 0.02)
    metrics.spent('a"b', "none", Usage(prompt=3, completion=2))
    lines = metrics.text({("ponder_calls_in_flight", 'a"b'): 3, ("ponder_tasks", ""): 2}).splitlines()
    assert 'ponder_calls_in_flight{model="a\\"b"} 3' in lines
    assert "ponder_tasks 2" in lines
    assert 'ponder_tokens_total{model="a\\"b",strategy="none",kind="completion"} 2' in lines
    assert 'ponder_request_seconds_bucket{route="/v1/models",le="0.05"} 1' in lines
    form = re.compile(r'# TYPE \w+ (counter|gauge|histogram)|\w+(\{(\w+="([^"\\]|\\.)*",?)+\})? [\d.]+')
    assert all(form.fullmatch(line) for line in lines)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["solver", "solver@vote4", "solver@think", "nothing"])
def test_a_request_that_is_over_leaves_nothing_that_only_the_collector_finds(model, stream):
    """Where many are connected, to look for it halts everyone."""

    async def job():
        it = gateway([Served("solver", solver())])
        body = {"model": model, "messages": ASK, "stream": stream}
        await asked(it, body)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await asked(it, body)
            await anyio.sleep(1.0)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            return [one for one in gc.garbage if type(one).__module__.startswith("ponder")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert virtual(job) == []
