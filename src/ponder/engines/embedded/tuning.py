"""How many threads, and flash attention or not: found by a short run on this machine, and remembered.

The run is what an engine is for, in small: a prompt is read, then many samples of it are written at once. Each
candidate is compared with the default in turns, so that whatever else the machine does meets both; what is not
faster beyond the noise keeps its default. Not tried are types of the cache other than f16, which change what
the model says (measured: none is faster), and the size of llama.cpp's inner batch, which no step of this
engine fills.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ponder.core.errors import EngineError, ModelFileError
from ponder.engines._llama import Batch, BindingMismatch, Context, Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FILE = "tuning.json"
PROMPT, SAMPLES, STEPS = 256, 16, 4
"""Tokens read, samples at once, and tokens of each, in one measurement."""
JOB_PROMPT, JOB_SAMPLES = 400, 16 * 128
"""Tokens read and written in the job whose time is to be short."""
MARGIN = 0.05
"""A candidate must be faster than the default by this part, and by more than both vary."""
ENOUGH = 2
"""Measurements of each candidate, at least, for a decision."""
CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was found. `figures` tells for each candidate how many tokens of the job it does in a second."""

    threads: int
    flash_attn: bool
    figures: tuple[tuple[str, float], ...] = ()
    when: float = 0.0  # seconds since 1970

    def __str__(self) -> str:
        measured = ", ".join(f"{name} {speed:,.0f} tok/s" for name, speed in self.figures)
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return (
            f"{threads}, flash attention {'on' if self.flash_attn else 'off'} ({measured or 'not measured'})"
        )


class Measure(Protocol):
    """One measurement: tokens read in a second, and tokens written in a second."""

    def __call__(self, threads: int, *, flash_attn: bool) -> tuple[float, float]: ...


def tune(
    path: Path,
    seconds: float = 10.0,
    *,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
    measure: Measure | None = None,
    processors: int | None = None,
) -> Tuning:
    """Find the fastest settings for a model file in about `seconds`, and remember them in `folder`.

    A model so large that not every candidate can be measured twice keeps the defaults.

    Args:
        path: the file as the engine opens it.
        seconds: after which no further measurement begins.
        folder: where it is remembered; it is made if need be, and where it cannot be written nothing is.
        progress: told a sentence after each measurement.
        measure: instead of a real one.
        processors: how many there are, instead of those this process may use.

    Raises:
        ModelFileError, EngineError: the model cannot be opened.

    """
    end = time.monotonic() + seconds
    n = processors or usable()
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        if measure is None:
            measure = stack.enter_context(contextlib.closing(Bench(path)))
        tell = progress or (lambda _: None)
        # Half of the time for the threads, the rest for flash attention.
        found, figures = _best(
            [(threads, True) for threads in thread_counts(n)], measure, begin + seconds / 2, tell
        )
        found, more = _best([found, (found[0], False)], measure, end, tell)
    tuning = Tuning(*found, tuple((figures | more).items()), time.time())
    if folder is not None:
        remember(tuning, path, folder)
    return tuning


def thread_counts(processors: int) -> list[int]:
    """Those worth a try, the default first: all, all but one, and halves, for two threads of a core are one."""
    counts = dict.fromkeys([processors, processors - 1, processors // 2, processors // 4])
    return [count for count in counts if count > 0][:CANDIDATES]


def _best(
    candidates: Sequence[tuple[int, bool]], measure: Measure, end: float, tell: Callable[[str], None]
) -> tuple[tuple[int, bool], dict[str, float]]:
    """The fastest of them; the first, if none is faster beyond doubt. And the speed of each."""
    times: dict[tuple[int, bool], list[float]] = {candidate: [] for candidate in candidates}
    first = candidates[0]
    longest = 0.0
    while len(candidates) > 1 and time.monotonic() + longest < end:
        began = time.monotonic()
        for candidate in candidates:
            reading, writing = measure(candidate[0], flash_attn=candidate[1])
            times[candidate].append(JOB_PROMPT / reading + JOB_SAMPLES / writing)
            tell(f"{_name(candidate)}: reads {reading:,.0f} tokens a second and writes {writing:,.0f}")
        longest = max(longest, time.monotonic() - began)
    known = {candidate: taken for candidate, taken in times.items() if taken}
    figures = {
        _name(c): round((JOB_PROMPT + JOB_SAMPLES) / statistics.median(taken), 1)
        for c, taken in known.items()
    }
    beyond = [c for c in known if c != first and _faster(known[c], known[first])]
    return min(beyond, key=lambda c: statistics.median(known[c]), default=first), figures


def _faster(taken: list[float], default: list[float]) -> bool:
    """Beyond noise: by the margin in the median, and its worst time is better than the default's best."""
    if min(len(taken), len(default)) < ENOUGH:
        return False
    by_far = statistics.median(taken) < (1 - MARGIN) * statistics.median(default)
    return by_far and max(taken) < min(default)


def _name(candidate: tuple[int, bool]) -> str:
    threads, flash_attn = candidate
    return f"{threads} thread{'s' * (threads > 1)}{'' if flash_attn else ' without flash attention'}"


def usable() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# -- memory ---------------------------------------------------------------------------------------------------


def remember(tuning: Tuning, path: Path, folder: Path) -> bool:
    """Write it down beside what is there; False where `folder` cannot be written."""
    known = _read(folder)
    known[_key(path)] = asdict(tuning)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=folder)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(known, file, indent=1)
            Path(name).replace(folder / FILE)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError:
        return False
    return True


def remembered(path: Path, folder: Path) -> Tuning | None:
    """What a run found for a file of this size on this machine with this llama.cpp; None: none that makes sense."""
    try:
        said = _read(folder).get(_key(path))
    except OSError:
        return None
    if not isinstance(said, dict):
        return None
    threads, flash_attn, when = said.get("threads"), said.get("flash_attn"), said.get("when")
    figures = said.get("figures")
    sound = (
        type(threads) is int
        and 1 <= threads <= usable()
        and type(flash_attn) is bool
        and isinstance(when, int | float)
        and isinstance(figures, list)
    )
    if not sound:
        return None
    try:
        return Tuning(
            said["threads"],
            said["flash_attn"],
            tuple((str(name), float(speed)) for name, speed in said["figures"]),
            float(said["when"]),
        )
    except (TypeError, ValueError):
        return None


def _read(folder: Path) -> dict[str, Any]:
    """All that is remembered; nothing, where the file is missing or damaged."""
    try:
        known = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _key(path: Path) -> str:
    return " | ".join(
        (
            _processor(),
            f"{usable()} cores",
            f"{path.stat().st_size} bytes",
            f"xllamacpp {version('xllamacpp')}",
        )
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# -- the run --------------------------------------------------------------------------------------------------


class Bench:
    """Measures on the model itself. A context for each measurement: two at once may not fit."""

    def __init__(self, path: Path) -> None:
        try:
            self._model = Model(path)
        except ValueError as error:
            raise ModelFileError(str(error)) from error
        except (BindingMismatch, RuntimeError) as error:
            raise EngineError(str(error)) from error
        self._batch = Batch(PROMPT)
        rng = np.random.default_rng(0)
        self._prompt = rng.integers(0, self._model.n_vocab, PROMPT)
        self._written = rng.integers(0, self._model.n_vocab, (STEPS + 1, SAMPLES))

    def close(self) -> None:
        self._model.close()

    def __call__(self, threads: int, *, flash_attn: bool) -> tuple[float, float]:
        try:
            context = Context(
                self._model,
                n_ctx=512 * SAMPLES,
                n_seq_max=SAMPLES,
                n_batch=PROMPT,
                n_ubatch=PROMPT,
                n_outputs_max=SAMPLES,
                threads=threads,
                flash_attn=flash_attn,
            )
        except (ValueError, BindingMismatch) as error:
            raise EngineError(str(error)) from error
        try:
            outputs = np.zeros(PROMPT, np.int8)
            outputs[-1] = 1
            # The first tokens wake the threads, and bring the weights from the disk.
            self._decode(context, self._prompt[:8], np.arange(8), 0, outputs[-8:])
            context.clear()
            began = time.perf_counter()
            self._decode(context, self._prompt, np.arange(PROMPT), 0, outputs)
            reading = PROMPT / (time.perf_counter() - began)
            for sequence in range(1, SAMPLES):
                context.seq_cp(0, sequence)
            for step, tokens in enumerate(self._written):
                if step == 1:  # the first one also copies the cache
                    began = time.perf_counter()
                self._decode(context, tokens, PROMPT + step, np.arange(SAMPLES), 1)
            return reading, STEPS * SAMPLES / (time.perf_counter() - began)
        finally:
            context.close()

    def _decode(self, context: Context, tokens: Any, positions: Any, sequences: Any, outputs: Any) -> None:
        self._batch.clear()
        self._batch.add(tokens, positions, sequences, outputs)
        if context.decode(self._batch):
            raise EngineError("llama.cpp failed to run the model. Try again with the defaults.")
        context.all_logits()
