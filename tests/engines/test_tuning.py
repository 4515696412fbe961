"""What a tuning run decides from what it measures, and what is remembered of it."""

import itertools
import json
from pathlib import Path

import pytest

from ponder import config
from ponder.core.errors import ModelFileError
from ponder.engines.embedded import tuning
from ponder.engines.embedded.tuning import Tuning, remember, remembered, thread_counts, tune


class Clock:
    """Each measurement takes a second."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def time(self):
        return 1000.0 + self.now


@pytest.fixture
def run(tmp_path, monkeypatch):
    file = tmp_path / "m.gguf"
    file.write_bytes(b"12345")
    clock = Clock()
    monkeypatch.setattr(tuning, "time", clock)
    measured = []

    def go(speed, processors=4, seconds=30.0, noise=(1.0,), **more):
        shake = itertools.cycle(noise)

        def measure(threads, *, flash_attn):
            clock.now += 1
            measured.append((threads, flash_attn))
            rate = speed(threads, flash_attn) * next(shake)
            return 3 * rate, rate

        return tune(file, seconds, measure=measure, processors=processors, **more)

    go.file, go.measured = file, measured
    return go


def test_the_fastest_beyond_noise_is_taken(run):
    found = run(lambda threads, flash: 100 * (threads == 2) + 50 + 20 * (not flash))
    assert (found.threads, found.flash_attn) == (2, False)
    assert dict(found.figures)["2 threads without flash attention"] > dict(found.figures)["4 threads"]
    assert "2 threads, flash attention off (4 threads " in str(found)


@pytest.mark.parametrize(
    ("speed", "noise"),
    [
        (lambda threads, flash: 100, (1.0,)),
        (lambda threads, flash: 100 + (threads == 3) * 4 + (not flash) * 4, (1.0,)),  # within the margin
        (lambda threads, flash: 100 + (threads == 3) * 10, (1.0, 1.3, 0.7, 1.1, 0.9)),  # within the noise
        (lambda threads, flash: threads, (1.0,)),
    ],
)
def test_what_does_not_differ_keeps_its_default(run, speed, noise):
    found = run(speed, noise=noise)
    assert (found.threads, found.flash_attn) == (4, True)


def test_what_was_measured_once_decides_nothing(run):
    found = run(lambda threads, flash: 1000 if threads == 1 else 10, seconds=9.0)
    assert (found.threads, found.flash_attn) == (4, True)
    assert run.measured[:4] == [(4, True), (3, True), (2, True), (1, True)]


def test_it_takes_about_as_long_as_it_may(run):
    run(lambda threads, flash: 10, seconds=20.0)
    assert 12 <= len(run.measured) <= 20


def test_candidates():
    assert thread_counts(1) == [1]
    assert thread_counts(2) == [2, 1]
    assert thread_counts(4) == [4, 3, 2, 1]
    assert thread_counts(64) == [64, 63, 32, 16]


def test_progress_is_told(run):
    said = []
    run(lambda threads, flash: 100, processors=1, progress=said.append)
    assert said[0] == "1 thread: reads 300 tokens a second and writes 100"
    assert "without flash attention" in said[1]


# -- memory -------------------------------------------------------------------------------------------------------


def test_it_is_remembered_for_the_file_the_machine_and_the_library(run, tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "cache"
    assert remembered(run.file, folder) is None
    found = run(lambda threads, flash: 100, processors=1, folder=folder)
    assert remembered(run.file, folder) == found
    other = tmp_path / "other.gguf"
    other.write_bytes(b"123")
    assert remembered(other, folder) is None
    remember(Tuning(1, flash_attn=False), other, folder)
    assert remembered(run.file, folder) == found
    assert remembered(other, folder) == Tuning(1, flash_attn=False)
    assert [p.name for p in folder.iterdir()] == [tuning.FILE]
    for name in ("_processor", "version"):
        with monkeypatch.context() as patch:
            patch.setattr(tuning, name, lambda *_: "another")
            assert remembered(run.file, folder) is None
    assert remembered(tmp_path / "none.gguf", folder) is None


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[1]",
        "\0",
        "[" * 100_000,
        {"threads": 0},
        {"threads": 10_000},
        {"threads": True},
        {"threads": "2"},
        {"flash_attn": 1},
        {"figures": [1]},
        {"figures": [["a", "b"]]},
        {"figures": None},
        {"when": None},
        None,
        7,
    ],
    ids=lambda damage: str(damage)[:20],
)
def test_damaged_memory_is_no_memory(tmp_path, damage):
    file = tmp_path / "m.gguf"
    file.touch()
    remember(Tuning(1, flash_attn=True), file, tmp_path)
    store = tmp_path / tuning.FILE
    known = json.loads(store.read_text())
    (key,) = known
    if isinstance(damage, str):
        store.write_text(damage)
    else:
        store.write_text(json.dumps({key: {**known[key], **damage} if isinstance(damage, dict) else damage}))
    assert remembered(file, tmp_path) is None
    assert remember(Tuning(1, flash_attn=True), file, tmp_path)  # and is replaced
    assert remembered(file, tmp_path) == Tuning(1, flash_attn=True)


def test_a_folder_that_cannot_be_written_remembers_nothing(run, tmp_path):
    (tmp_path / "file").touch()
    found = run(lambda threads, flash: 100, processors=1, folder=tmp_path / "file")
    assert found.threads == 1
    assert remembered(run.file, tmp_path / "file") is None


# -- on a model ---------------------------------------------------------------------------------------------------


def test_no_model_file(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError):
        tune(tmp_path / "m.gguf")


@pytest.mark.model
def test_a_real_measurement_and_an_engine_that_follows_it(smollm2, tmp_path, monkeypatch):
    bench = tuning.Bench(smollm2)
    reading, writing = bench(1, flash_attn=False)
    bench.close()
    assert reading > writing > 1
    settings = config.Settings(tmp_path, requantise=False)
    remember(Tuning(1, flash_attn=False), smollm2, settings.cache)
    asked = {}
    monkeypatch.setattr(
        "ponder.engines.llama_cpp.LlamaCpp", lambda path, **more: asked.update(more, path=path)
    )
    config.open_engine(smollm2, settings)
    assert asked == {
        "path": Path(smollm2),
        "threads": 1,
        "flash_attn": False,
        "name": "smollm2-135m",
        "deterministic": False,
    }
    config.open_engine(smollm2, config.Settings(tmp_path, requantise=False, threads=2))
    assert asked["threads"] == 2
