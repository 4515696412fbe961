"""The embedded engine against its peers, in one run: who draws many samples from a model file fastest on this CPU.

    make peers                    # once: llama-cpp-python (builds for minutes) and openvino-genai, in .peers/
    python benchmarks/engine.py

Patterns, all at temperature 0.8, top_k 40, end-of-text banned so that every sample has its full length:
    a16, a32  16 or 32 samples of 128 tokens from one prompt of 400 tokens
    b         a tree: 5 rounds of 8 branches of 32 tokens from a prompt of 400, the best 2 of 8 kept each round
    c         8 prompts of 200 tokens, 8 samples of 64 tokens of each, all at once
Contenders:
    ponder          LlamaCpp.extend, one task a sample
    bare            the same C API in a plain loop: prefill once, fork, decode, draw with numpy; nothing else
    llama-cpp-python  Llama.create_completion in a loop, as its users write it
    openvino-genai  ContinuousBatchingPipeline on a Q8_0 file (it damages other types)
Each runs in a process of its own, one after the other; the median of 3 repetitions on fresh prompts counts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
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

    def __init__(self, file: str) -> None:
        from ponder.engines.llama_cpp import LlamaCpp

        self.engine = LlamaCpp(file)

    def run(self, pattern: str, prompts: list[Ids]) -> None:
        import anyio

        anyio.run(self._run, pattern, prompts)

    async def _run(self, pattern: str, prompts: list[Ids]) -> None:
        from functools import partial

        from ponder.core.calls import Sampling
        from ponder.core.prefix import Prefix, Prompt, Segment
        from ponder.runtime.tasks import side_by_side

        seeds = iter(range(10**6))

        async def draw(prefix: Prefix, n: int) -> Prefix:
            how = Sampling(max_tokens=n, min_tokens=n, temperature=0.8, top_k=40, seed=next(seeds))
            return prefix + await self.engine.extend(prefix, how)

        starts = [Prefix(Prompt(raw="\n"), (Segment("", tuple(p), sampled=False),)) for p in prompts]
        if pattern == "b":
            beams = [starts[0]]
            for _ in range(ROUNDS):
                jobs = [partial(draw, b, STEP) for b in beams for _ in range(BRANCHES // len(beams))]
                beams = (await side_by_side(jobs))[:KEPT]
        else:
            n, length = {"a16": (16, 128), "a32": (32, 128), "c": (8, 64)}[pattern]
            await side_by_side([partial(draw, s, length) for s in starts for _ in range(n)])

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
CONTENDERS: dict[str, type[Any]] = {
    "ponder": Ponder,
    "bare": Bare,
    "llama-cpp-python": LlamaCppPython,
    "openvino-genai": OpenVino,
}


# -- the run ----------------------------------------------------------------------------------------------------


def child(job: dict[str, Any]) -> None:
    """One contender, one pattern, in this process; prints its times."""
    if job["library"]:
        from ponder.engines._llama import load_library

        load_library(job["library"])
    contender = CONTENDERS[job["contender"].removesuffix(NATIVE)](job["file"])
    contender.run(job["pattern"], [ids[:40] for ids in job["prompts"][-1]])  # warm
    times = []
    for prompts in job["prompts"][:-1]:
        started = time.perf_counter()
        contender.run(job["pattern"], prompts)
        times.append(time.perf_counter() - started)
    print(json.dumps({"times": times, **contender.told()}), flush=True)


def measure(name: str, python: str, file: str, pattern: str, vocabulary: int, library: str | None) -> Any:
    """Run a child; its answer, or None with the reason on stderr."""
    chance = random.Random(f"{pattern}")
    count, length = (8, 200) if pattern == "c" else (1, 400)
    prompts = [
        [[chance.randrange(1000, vocabulary - 1000) for _ in range(length)] for _ in range(count)]
        for _ in range(REPEATS + 1)
    ]
    job = {"contender": name, "file": file, "pattern": pattern, "prompts": prompts, "library": library}
    done = subprocess.run(
        [python, __file__, "--child"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    if done.returncode:
        print(f"{name} {pattern}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def _as_q8(file: Path) -> Path:
    from ponder.engines.embedded.requantise import requantised

    return requantised(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--file", help="a GGUF file; the small model of the catalogue by default")
    parser.add_argument(
        "--q8", help="the same model as Q8_0, for openvino-genai; made from --file by default"
    )
    parser.add_argument("--peers", type=Path, default=PEERS, help="the folder of the peers' environments")
    parser.add_argument(
        "--native", help="libllama.so of the same release, built for this processor (make native)"
    )
    parser.add_argument("--patterns", nargs="*", default=PATTERNS)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    if options.child:
        child(json.load(sys.stdin))
        return
    from ponder import config
    from ponder.engines._gguf import read_gguf

    settings = config.settings()
    shipped = Path(options.file) if options.file else config.model_path("smollm2-135m", settings)
    q8 = Path(options.q8) if options.q8 else _as_q8(shipped)
    vocabulary = read_gguf(shipped).metadata["tokenizer.ggml.tokens"].count
    pythons = {
        "llama-cpp-python": str(options.peers / "llama-cpp-python/bin/python"),
        "openvino-genai": str(options.peers / "openvino-genai/bin/python"),
    }
    files = {"llama-cpp-python": shipped}  # the others read Q8_0
    contenders = list(options.contenders)
    if options.native:
        contenders += [name + NATIVE for name in ("ponder", "bare") if name in contenders]
    figures: dict[str, dict[str, Any]] = {}
    for pattern in options.patterns:
        for name in contenders:
            python = pythons.get(name, sys.executable)
            if not Path(python).exists():
                print(f"{name} is not here: make peers", file=sys.stderr)
                continue
            told = measure(
                name,
                python,
                str(files.get(name, q8)),
                pattern,
                vocabulary,
                options.native if name.endswith(NATIVE) else None,
            )
            if told is None:
                continue
            median = statistics.median(told.pop("times"))
            figures.setdefault(pattern, {})[name] = {
                "file": files.get(name, q8).name,
                "seconds": round(median, 2),
                "tok/s": round(tokens(pattern) / median, 1),
                **told,
            }
            print(
                f"{pattern:4} {name:18} {median:7.2f} s {tokens(pattern) / median:7.1f} tok/s  {told or ''}",
                flush=True,
            )
        ours = figures.get(pattern, {}).get("ponder")
        for name, theirs in figures.get(pattern, {}).items():
            if ours and name != "ponder":
                print(
                    f"{pattern:4} ponder / {name:18} {theirs['seconds'] / ours['seconds']:.2f}x", flush=True
                )
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
