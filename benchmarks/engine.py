"""The embedded engine against its peers, in one run: who draws many samples from a model file fastest on this CPU.

    make peers                    # once: builds for minutes, in .peers/
    python benchmarks/engine.py

Patterns, all at temperature 0.8, top_k 40, end-of-text banned so that every sample has its full length:
    a16, a32  16 or 32 samples of 128 tokens from one prompt of 400 tokens
    b         a tree: 5 rounds of 8 branches of 32 tokens from a prompt of 400, the best 2 of 8 kept each round
    c         8 prompts of 200 tokens, 8 samples of 64 tokens of each, all at once
Contenders:
    ponder          LlamaCpp.extend, one task a sample; and deterministic=True with 16 sequences; and on OpenVINO
    bare            the same C API in a plain loop: prefill once, fork, decode, draw with numpy; nothing else
    llama-cpp-python  Llama.create_completion in a loop, as its users write it
    openvino-genai  ContinuousBatchingPipeline on a Q8_0 file (it damages other types)
"(native)" are ours and the bare loop on a build of the same llama.cpp for this very processor; llama-cpp-python
always is one. Each has a process of its own. They take turns, three times, on fresh prompts: the medians count,
and for the ratio the median of the three ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

REPEATS = 3
PATTERNS = ("a16", "a32", "b", "c")
ROUNDS, BRANCHES, KEPT, STEP = 5, 8, 2, 32
PEERS = Path(__file__).parent.parent / ".peers"

Ids = list[int]


def tokens(pattern: str) -> int:
    """Tokens sampled in a pattern."""
    return {"a16": 16 * 128, "a32": 32 * 128, "b": ROUNDS * BRANCHES * STEP, "c": 8 * 8 * 64}[pattern]


# -- the contenders: each takes a pattern and prompts, and draws -----------------------------------------------


class Ponder:
    """Our engine, through its public door."""

    def __init__(self, file: str, *, kind: str = "LlamaCpp", **options: Any) -> None:
        from ponder.engines._llama import Model
        from ponder.engines.llama_cpp import LlamaCpp

        if kind == "OpenVino":
            from ponder.engines.openvino import OpenVino

            self.engine: LlamaCpp | OpenVino = OpenVino(file, **options)
        else:
            self.engine = LlamaCpp(file, **options)
        self.words = Model(file, vocab_only=True)

    def run(self, pattern: str, prompts: list[Ids]) -> None:
        import anyio

        anyio.run(self._run, pattern, prompts)

    async def _run(self, pattern: str, prompts: list[Ids]) -> None:
        from ponder.core.calls import Sampling
        from ponder.core.prefix import Prefix, Prompt
        from ponder.runtime.tasks import side_by_side

        seeds = iter(range(10**6))

        async def draw(prefix: Prefix, n: int) -> Prefix:
            how = Sampling(max_tokens=n, min_tokens=n, temperature=0.8, top_k=40, seed=next(seeds))
            return prefix + await self.engine.extend(prefix, how)

        starts = [Prefix(Prompt(raw=self._text(ids))) for ids in prompts]
        assert [self.engine.count(start) for start in starts] == [len(ids) for ids in prompts]  # noqa: S101
        if pattern == "b":
            beams = [starts[0]]
            for _ in range(ROUNDS):
                jobs = [partial(draw, b, STEP) for b in beams for _ in range(BRANCHES // len(beams))]
                beams = (await side_by_side(jobs))[:KEPT]
        else:
            n, length = {"a16": (16, 128), "a32": (32, 128), "c": (8, 64)}[pattern]
            await side_by_side([partial(draw, s, length) for s in starts for _ in range(n)])

    def _text(self, ids: Ids) -> str:
        return b"".join(self.words.piece(i, special=False) for i in ids).decode()

    def told(self) -> dict[str, Any]:
        stats = self.engine.stats
        busy = stats.decode_seconds + stats.sampling_seconds
        return {
            "prefix tokens read twice": stats.reread,
            "sampling share": round(stats.sampling_seconds / busy, 3),
            "occupancy": round(stats.occupancy, 1),
        }


class Bare:
    """The C API in a plain loop."""

    def __init__(self, file: str) -> None:
        from ponder.engines._llama import Batch, Context, Model

        self.model = Model(file)
        self.context = Context(
            self.model,
            n_ctx=32 * 2048,
            n_seq_max=32,
            n_batch=512,
            n_outputs_max=64,
            threads=os.cpu_count() or 1,
            flash_attn=True,
        )
        self.batch = Batch(512)

    def run(self, pattern: str, prompts: list[Ids]) -> None:
        import numpy as np

        rng = np.random.default_rng(0)
        eog = sorted(self.model.eog)
        context = self.context

        def decode(ids: Any, positions: Any, sequences: Any, outputs: Any) -> Any:
            self.batch.clear()
            self.batch.add(ids, positions, sequences, outputs)
            if context.decode(self.batch):
                raise RuntimeError("decode failed")
            return context.all_logits() if self.batch.n_outputs else None

        def draw(rows: Any) -> Any:
            rows[:, eog] = -np.inf
            best = np.argpartition(rows, -40, axis=1)[:, -40:]
            logits = np.take_along_axis(rows, best, 1) / 0.8
            return np.take_along_axis(best, (logits + rng.gumbel(size=logits.shape)).argmax(1)[:, None], 1)[
                :, 0
            ]

        def read(prompt: Ids, sequence: int) -> Any:
            row = None
            for at in range(0, len(prompt), 512):
                part = prompt[at : at + 512]
                last = at + len(part) == len(prompt)
                out = np.zeros(len(part), np.int8)
                out[-1] = last
                row = decode(part, np.arange(at, at + len(part)), sequence, out)
            assert row is not None  # noqa: S101 - the last token always has its row
            return row[:1].copy()

        def write(first: Any, position: int, sequences: Any, n: int) -> Any:
            """`n` tokens in each sequence; returns the last token of each, drawn and not yet read."""
            token = first
            for i in range(n - 1):
                rows = decode(
                    token, np.full(len(token), position + i), sequences, np.ones(len(token), np.int8)
                )
                token = draw(rows)
            return token

        context.clear()
        if pattern == "b":
            row = read(prompts[0], 0)
            for s in range(1, BRANCHES):
                context.seq_cp(0, s)
            position = len(prompts[0])
            sequences = np.arange(BRANCHES)
            last = draw(np.repeat(row, BRANCHES, 0))
            for i in range(ROUNDS):
                last = write(last, position, sequences, STEP)
                position += STEP - 1
                if i < ROUNDS - 1:
                    # The kept branches read their last token and fork.
                    rows = decode(
                        last, np.full(BRANCHES, position), sequences, np.ones(BRANCHES, np.int8)
                    ).copy()
                    position += 1
                    for s in range(KEPT, BRANCHES):
                        context.seq_cp(s % KEPT, s)
                    last = draw(rows[sequences % KEPT])
            return
        n, length = {"a16": (16, 128), "a32": (32, 128), "c": (8, 64)}[pattern]
        groups = [prompts[i : i + 32 // n] for i in range(0, len(prompts), 32 // n)]
        for group in groups:
            context.clear()
            firsts = []
            for g, prompt in enumerate(group):
                row = read(prompt, g * n)
                for s in range(g * n + 1, (g + 1) * n):
                    context.seq_cp(g * n, s)
                firsts.append(draw(np.repeat(row, n, 0)))
            write(np.concatenate(firsts), len(group[0]), np.arange(n * len(group)), length)

    def told(self) -> dict[str, Any]:
        return {}


class LlamaCppPython:
    """`Llama` in a loop."""

    def __init__(self, file: str) -> None:
        from llama_cpp import Llama  # type: ignore[import-not-found, unused-ignore]

        self.llm = Llama(file, n_ctx=2048, n_threads=os.cpu_count(), verbose=False, logits_all=False)
        self.seed = 0

    def _draw(self, ids: Ids, n: int) -> Ids:
        self.seed += 1
        self.llm.set_seed(self.seed)
        made: Ids = []
        ban = {self.llm.token_eos(): float("-inf"), 2: float("-inf"), 0: float("-inf")}

        def processor(_: Any, scores: Any) -> Any:
            for i, b in ban.items():
                scores[i] = b
            return scores

        from llama_cpp import LogitsProcessorList  # type: ignore[import-not-found, unused-ignore]

        for token in self.llm.generate(
            ids, temp=0.8, top_k=40, top_p=1.0, min_p=0.0, logits_processor=LogitsProcessorList([processor])
        ):
            made.append(token)
            if len(made) == n:
                break
        return made

    def run(self, pattern: str, prompts: list[Ids]) -> None:
        if pattern == "b":
            beams = [prompts[0]]
            for _ in range(ROUNDS):
                beams = [b + self._draw(b, STEP) for b in beams for _ in range(BRANCHES // len(beams))][:KEPT]
            return
        n, length = {"a16": (16, 128), "a32": (32, 128), "c": (8, 64)}[pattern]
        for prompt in prompts:
            for _ in range(n):
                self._draw(prompt, length)

    def told(self) -> dict[str, Any]:
        return {}


class OpenVino:
    """openvino-genai's continuous batching."""

    def __init__(self, file: str) -> None:
        import openvino_genai as genai  # type: ignore[import-not-found, unused-ignore]

        self.genai = genai
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = 2
        scheduler.enable_prefix_caching = True
        scheduler.max_num_batched_tokens = 512
        self.pipe = genai.ContinuousBatchingPipeline(file, scheduler, "CPU")
        self.seed = 0

    def _draw(self, jobs: list[tuple[Ids, int, int]]) -> list[list[Ids]]:
        import numpy as np
        import openvino as ov  # type: ignore[import-not-found, unused-ignore]

        configs = []
        for _, n, length in jobs:
            self.seed += 1
            configs.append(
                self.genai.GenerationConfig(
                    max_new_tokens=length,
                    min_new_tokens=length,
                    ignore_eos=True,
                    do_sample=True,
                    temperature=0.8,
                    top_k=40,
                    top_p=1.0,
                    num_return_sequences=n,
                    rng_seed=self.seed,
                )
            )
        inputs = [ov.Tensor(np.array([ids], np.int64)) for ids, _, _ in jobs]
        return [[list(ids) for ids in r.m_generation_ids] for r in self.pipe.generate(inputs, configs)]

    def run(self, pattern: str, prompts: list[Ids]) -> None:
        if pattern == "b":
            beams = [prompts[0]]
            for _ in range(ROUNDS):
                drawn = self._draw([(b, BRANCHES // len(beams), STEP) for b in beams])
                beams = [b + ids for b, made in zip(beams, drawn, strict=True) for ids in made][:KEPT]
            return
        n, length = {"a16": (16, 128), "a32": (32, 128), "c": (8, 64)}[pattern]
        self._draw([(p, n, length) for p in prompts])

    def told(self) -> dict[str, Any]:
        return {}


NATIVE = " (native)"
PEER = {"llama-cpp-python", "openvino-genai"}
CONTENDERS: dict[str, Any] = {
    "ponder": Ponder,
    "ponder, deterministic": partial(Ponder, sequences=16, deterministic=True),
    "ponder (openvino)": partial(Ponder, kind="OpenVino"),
    "bare": Bare,
    "llama-cpp-python": LlamaCppPython,
    "openvino-genai": OpenVino,
}


# -- the run ----------------------------------------------------------------------------------------------------


def child(name: str, file: str, library: str | None) -> None:
    """One contender in this process: answers each line of stdin, a pattern and prompts, with its seconds."""
    if library:
        from ponder.engines._llama import load_library

        load_library(library)
    contender = CONTENDERS[name.removesuffix(NATIVE)](file)
    for line in sys.stdin:
        pattern, prompts = json.loads(line)
        started = time.perf_counter()
        contender.run(pattern, prompts)
        print(json.dumps({"seconds": time.perf_counter() - started, **contender.told()}), flush=True)


def words(file: Path) -> Ids:
    """Tokens that are a word with the space before it: whatever text they make is read as these tokens."""
    from ponder.engines._llama import Model

    model = Model(file, vocab_only=True)
    pieces = {i: model.piece(i, special=False) for i in range(model.n_vocab)}
    return [i for i, piece in pieces.items() if piece[:1] == b" " and piece[1:].isalpha() and piece.islower()]


class Child:
    """A contender's process, asleep while others run."""

    def __init__(self, name: str, python: str, file: Path, library: str | None) -> None:
        command = [python, __file__, "--child", json.dumps([name, str(file), library])]
        self.name = name
        self.file = file
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - for as long as the process lives
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def run(self, pattern: str, prompts: list[Ids]) -> dict[str, Any]:
        """Its seconds, and what else it tells."""
        process = self._process
        assert process.stdin is not None  # noqa: S101 - it was opened with pipes
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps([pattern, prompts]) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            if line.startswith('{"seconds"'):
                return dict(json.loads(line))
        self._log.seek(0)
        raise SystemExit(f"{self.name} failed at {pattern}: {self._log.read()[-2000:]}")

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(60)


def measure(children: list[Child], pattern: str, vocabulary: Ids) -> dict[str, dict[str, Any]]:
    """Each contender's figures. They take turns, so that what the machine does meanwhile befalls them all."""
    chance = random.Random(pattern)
    count, length = (8, 200) if pattern == "c" else (1, 400)

    def prompts(n: int) -> list[Ids]:
        return [chance.choices(vocabulary, k=n) for _ in range(count)]

    short = prompts(40)
    for child in children:
        child.run(pattern, short)  # to warm up
    told: dict[str, list[dict[str, Any]]] = {child.name: [] for child in children}
    for turn in range(REPEATS):
        fresh = prompts(length)
        for child in children[turn:] + children[:turn]:
            told[child.name].append(child.run(pattern, fresh))
    figures = {}
    for child in children:
        seconds = [one["seconds"] for one in told[child.name]]
        ours = [one["seconds"] for one in told.get("ponder", [])]
        figures[child.name] = {
            **told[child.name][-1],
            "file": child.file.name,
            "seconds": round(statistics.median(seconds), 2),
            "from": round(min(seconds), 2),
            "to": round(max(seconds), 2),
            "tokens a second": round(tokens(pattern) / statistics.median(seconds), 1),
            "ratio": round(
                statistics.median([theirs / own for theirs, own in zip(seconds, ours, strict=True)]), 2
            )
            if ours
            else None,
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--file", help="a GGUF file; the small model of the catalogue by default")
    parser.add_argument("--peers", type=Path, default=PEERS, help="the folder of the peers' environments")
    parser.add_argument("--patterns", nargs="*", default=PATTERNS)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    from ponder import config
    from ponder.engines.embedded.requantise import requantised

    shipped = Path(options.file) if options.file else config.model_path("smollm2-135m", config.settings())
    files = {"llama-cpp-python": shipped}  # the others read Q8_0
    native = options.peers / "native" / "bin" / "libllama.so"
    jobs: list[tuple[str, str | None]] = [(name, None) for name in options.contenders]
    jobs += [(name + NATIVE, str(native)) for name in ("ponder", "bare") if name in options.contenders]
    children = []
    for name, library in jobs:
        python = options.peers / name / "bin" / "python" if name in PEER else Path(sys.executable)
        if not python.exists() or not Path(library or python).exists():
            print(f"{name} is not here: make peers", file=sys.stderr)
            continue
        children.append(Child(name, str(python), files.get(name, requantised(shipped)), library))
    figures = {}
    for pattern in options.patterns:
        figures[pattern] = measure(children, pattern, words(shipped))
        for name, f in figures[pattern].items():
            more = ", ".join(
                f"{key} {f[key]}" for key in ("prefix tokens read twice", "sampling share") if key in f
            )
            print(
                f"{pattern:4} {name:24} {f['seconds']:7.2f} s ({f['from']} to {f['to']}) "
                f"{f['tokens a second']:6.1f} tok/s  ponder is {f['ratio']}x as fast  {more}",
                flush=True,
            )
        if options.out:
            options.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    for one in children:
        one.close()


if __name__ == "__main__":
    main()
