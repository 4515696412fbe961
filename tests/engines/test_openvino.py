"""The OpenVINO engine with a real model."""

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import anyio
import numpy as np
import pytest

from ponder.core.calls import Sampling
from ponder.core.errors import (
    ContextOverflow,
    EngineClosed,
    EngineError,
    ModelFileError,
    Unsupported,
    UsageError,
)
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.engines._llama import Batch
from ponder.engines.embedded.requantise import requantised
from ponder.engines.laws import check_engine
from ponder.engines.paged.blocks import SIZE

ov = pytest.importorskip("openvino")

from ponder.engines.openvino import OpenVino  # noqa: E402
from ponder.engines.paged.graph import graph  # noqa: E402
from ponder.engines.paged.passes import Passes  # noqa: E402

pytestmark = pytest.mark.model

STORY = Prefix(Prompt((Message("user", "Tell me a story about a cat who sails to an island."),)))
NEVER_END = Sampling(max_tokens=8, min_tokens=8)


@pytest.fixture(scope="module")
def file(smollm2):
    return requantised(Path(smollm2))


@pytest.fixture(scope="module")
def opened(file):
    engine = OpenVino(file, context=512, sequences=8)
    yield engine
    engine.close()


@pytest.fixture
def engine(opened):
    """With an empty cache and its counters at 0."""
    scheduler = opened._scheduler

    def wipe():
        scheduler._cells.clear()
        scheduler._cells._lost.clear()
        scheduler._context.clear()
        scheduler.stats = type(scheduler.stats)()

    async def wiped():
        await scheduler.run(wipe).wait()

    run(wiped)
    return opened


@pytest.fixture(scope="module")
def passes(file):
    passes = Passes(graph(file)[0], sequences=6, context=256, threads=2, exact=True)
    yield passes
    passes.close()


def run(job, *args, backend="asyncio"):
    async def main():
        with anyio.fail_after(500):
            return await job(*args)

    return anyio.run(main, backend=backend)


def together(engine, prefixes, hows):
    """Segments of calls made side by side, in order."""

    async def all_():
        results = [None] * len(prefixes)

        async def one(i):
            results[i] = await engine.extend(prefixes[i], hows[i])

        arrived = threading.Event()
        engine._scheduler.run(arrived.wait)  # the engine begins when all have arrived
        async with anyio.create_task_group() as group:
            for i in range(len(prefixes)):
                group.start_soon(one, i)
            await anyio.wait_all_tasks_blocked()
            arrived.set()
        return results

    return run(all_)


@pytest.mark.parametrize(("backend", "exact"), [("asyncio", True), ("trio", False)])
def test_the_laws(file, backend, exact):
    """Rounded to 8 bits, a token read beside others and one written alone differ by up to a third of a nat."""
    engine = OpenVino(file, context=512, sequences=8, exact=exact)

    async def laws():
        tolerance = 0.02 if exact else 0.4
        return await check_engine(engine, tokens=8, exact=False, tolerance=tolerance, close=True)

    report = run(laws, backend=backend)
    assert not [line for line in report if line.startswith("skipped")]


def test_a_tree_reads_nothing_twice_and_keeps_its_prompt_once(engine):
    paths, n, written = [STORY], engine.count(STORY), 0
    for depth in range(5):
        starts = [path for path in paths for _ in range(4 // len(paths))]
        hows = [Sampling(8, min_tokens=8, temperature=1.0, seed=4 * depth + i) for i in range(4)]
        segments = together(engine, starts, hows)
        written += sum(s.usage.completion for s in segments)
        paths = [path + segment for path, segment in zip(starts, segments, strict=True)][:2]
    assert engine.stats.reread == 0
    assert engine.stats.prefilled + engine.stats.decoded <= n + written
    blocks = engine._passes._blocks
    alone = sum(-(-length // SIZE) for length in blocks.length)
    assert blocks.used < alone  # what is shared is there once


# -- what is computed -------------------------------------------------------------------------------------------


def read(passes, sequence, tokens, chunk=64):
    """Logits after each token, read `chunk` at a time from where the sequence ends."""
    rows, begin = [], passes._blocks.length[sequence]
    for at in range(0, len(tokens), chunk):
        part = tokens[at : at + chunk]
        batch = Batch(len(part))
        batch.add(part, np.arange(begin + at, begin + at + len(part)), sequence, 1)
        passes.decode(batch)
        rows.append(passes.all_logits().copy())
    return np.concatenate(rows)


def apart(one, other):
    """The largest difference of probabilities."""

    def shares(rows):
        rows = np.exp(rows - rows.max(1, keepdims=True))
        return rows / rows.sum(1, keepdims=True)

    return float(np.abs(shares(one) - shares(other)).max())


CLOSE = 0.02
"""Steps of other shapes round differently, and 8-bit products of activations round coarsely."""


def test_forks_and_rewinds_are_as_if_read_afresh(passes):
    """Six sequences fork, rewind and write at random; at the end each is compared with a fresh read of its tokens."""
    rng = np.random.default_rng(5)
    lists = [[] for _ in range(5)]
    for _ in range(60):
        one, other = rng.choice(5, 2, replace=False).tolist()
        what = rng.integers(0, 4)
        if what == 0:
            end = int(rng.integers(0, len(lists[one]) + 1))
            passes.seq_cp(one, other, end)
            lists[other] = lists[one][:end]
        elif what == 1:
            end = int(rng.integers(0, len(lists[one]) + 1))
            passes.seq_rm(one, end)
            del lists[one][end:]
        else:
            batch = Batch(128)
            for s in sorted({one, other}):
                more = rng.integers(500, 40_000, min(int(rng.integers(1, 50)), 250 - len(lists[s]))).tolist()
                batch.add(more, np.arange(len(lists[s]), len(lists[s]) + len(more)), s, 0)
                lists[s] += more
            if batch.n_tokens:
                passes.decode(batch)
    compared = 0
    for s, tokens in enumerate(lists):
        if len(tokens) > 200:
            passes.seq_rm(s, 150)
            del tokens[150:]
        passes.seq_rm(5)
        probe = rng.integers(500, 40_000, 3).tolist()
        fresh = read(passes, 5, [*tokens, *probe])[-3:]
        assert apart(read(passes, s, probe), fresh) < CLOSE
        compared += len(tokens) > SIZE
    assert compared >= 2
    passes.clear()
    assert passes._blocks.used == 0


def test_a_step_that_goes_on_elsewhere_is_refused(passes):
    batch = Batch(4)
    batch.add([600, 601], [3, 4], 0, 0)
    with pytest.raises(ValueError, match="goes on at 0, not at 3"):
        passes.decode(batch)
    passes.clear()


def test_beside_others_as_alone(engine):
    hows = [Sampling(6 + i, min_tokens=6 + i, temperature=0.0, logprobs=0) for i in range(6)]
    prefixes = [STORY, *(Prefix(Prompt(raw="The cat sat on " * i)) for i in range(1, 6))]
    joined = together(engine, prefixes, hows)
    assert engine.stats.occupancy > 2
    for prefix, how, segment in zip(prefixes, hows, joined, strict=True):
        alone = run(engine.extend, prefix, how)
        same = next(
            (i for i, (a, b) in enumerate(zip(alone.token_ids, segment.token_ids, strict=True)) if a != b),
            None,
        )
        assert alone.logprobs[:same] == pytest.approx(segment.logprobs[:same], abs=0.25)


def test_the_same_distributions_as_llama_cpp(file, passes):
    """Mean divergence over 128 positions of a text: 8-bit products differ, the model does not."""
    from ponder.engines._llama import Context, Model

    model = Model(file)
    text = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text("utf-8")
    ids = model.tokenize(text, add_special=True, parse_special=False)[:128]
    context = Context(model, n_ctx=256, n_batch=128, n_outputs_max=128, threads=2, flash_attn=True)
    batch = Batch(128)
    batch.add(ids, np.arange(128), 0, 1)
    assert context.decode(batch) == 0
    theirs = context.all_logits().astype(np.float64)
    model.close()
    ours = read(passes, 0, ids).astype(np.float64)
    passes.clear()
    p, q = (
        rows
        - np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True))
        - rows.max(1, keepdims=True)
        for rows in (theirs, ours)
    )
    assert (np.exp(p) * (p - q)).sum(1).mean() < 0.01


def test_embeddings_tell_meanings_apart_and_leave_the_cache_alone(engine):
    texts = ["A kitten drinks milk.", "A young cat drinks milk.", "The central bank raised interest rates."]
    first = run(engine.extend, STORY, NEVER_END)
    used = engine._passes._blocks.used
    one, other, far = (np.array(v) / np.linalg.norm(v) for v in run(engine.embed, texts))
    assert one @ other > one @ far
    assert engine._passes._blocks.used == used
    assert run(engine.extend, STORY + first, NEVER_END).usage.cached == engine.count(STORY + first) - 1


# -- what goes wrong --------------------------------------------------------------------------------------------


def test_files_that_will_not_do(tmp_path, smollm2, file):
    with pytest.raises(ModelFileError, match="cannot be read"):
        OpenVino(tmp_path / "none.gguf")
    (tmp_path / "cut.gguf").write_bytes(Path(file).read_bytes()[:2_000_000])
    with pytest.raises(ModelFileError, match="cut short"):
        OpenVino(tmp_path / "cut.gguf")
    with pytest.raises(Unsupported, match="Q4_1"):
        OpenVino(smollm2)
    with pytest.raises(UsageError, match="context"):
        OpenVino(file, context=8)
    with pytest.raises(UsageError, match="at least 1"):
        OpenVino(file, sequences=0)


def test_a_prompt_longer_than_the_context(engine):
    with pytest.raises(ContextOverflow, match="512"):
        run(engine.extend, Prefix(Prompt(raw="word " * 600)), NEVER_END)


def test_a_failing_step_fails_its_calls_and_the_engine_lives_on(engine, monkeypatch):
    passes = engine._passes

    def broken(_):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(passes, "_copy", broken)
        with pytest.raises(EngineError, match="no memory"):
            run(engine.extend, STORY, NEVER_END)
    assert passes._blocks.used == 0
    assert run(engine.extend, STORY, NEVER_END).usage.completion == 8


async def closed_while_writing(engine):
    async def write():
        with pytest.raises(EngineClosed, match="Open it again"):
            await engine.extend(STORY, Sampling(200, min_tokens=200))

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        while engine.stats.sampled < 3:  # noqa: ASYNC110 - counted by another thread
            await anyio.sleep(0.001)
        await engine.aclose()


def test_a_closed_engine(file):
    threads = threading.active_count()
    engine = OpenVino(file, context=256, sequences=2)
    gone = weakref.ref(engine._passes)
    run(closed_while_writing, engine)
    engine.close()
    assert engine.closed
    assert threading.active_count() <= threads + 1  # a worker of the event loop's may stay
    with pytest.raises(EngineClosed, match="Open it again"):
        run(engine.extend, STORY, NEVER_END)
    with pytest.raises(EngineClosed, match="Open it again"):
        engine.count(STORY)
    del engine
    gc.collect()
    assert gone() is None


LEFT = """
import sys, anyio
from ponder.core.calls import Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.engines.openvino import OpenVino

engine = OpenVino(sys.argv[1], context=256, sequences=2)

async def main():
    print((await engine.extend(Prefix(Prompt(raw="One, two,")), Sampling(4, min_tokens=4))).usage.completion)

anyio.run(main)
"""


def test_a_program_that_just_ends(file):
    done = subprocess.run(
        [sys.executable, "-c", LEFT, str(file)], capture_output=True, text=True, timeout=500, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "4"), done.stderr


def test_a_thousand_calls_leave_the_memory_as_it_was(engine):
    def resident():
        gc.collect()
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
        return int(pages) * 4096

    def some(n, first):
        starts = [Prefix(Prompt(raw=f"{(first + i) % 50} cats and")) for i in range(n)]
        together(engine, starts, [Sampling(3, seed=first + i) for i in range(n)])

    for first in range(0, 500, 50):  # OpenVINO keeps what it prepared for each shape of a step, up to a bound
        some(50, first)
    before = resident()
    for first in range(0, 1000, 50):
        some(50, first)
    grown = resident() - before
    assert grown < 16 << 20, f"{grown / 1e6:.1f} MB more after 1,000 calls"
