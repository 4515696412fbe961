"""What it costs that `ponder serve` opens a model file in a process of its own (decision 32).

python benchmarks/child.py [MODEL] [--samples 16] [--tokens 128] [--rounds 5]

The same engine on the same file, once in this process and once in the child that the gateway opens, as each is by default.
They take turns on fresh prompts, each of which is asked for so many samples of so many tokens at once, every token told as it
comes. "first" is the time until a token of any sample is here; processor time is that of both processes. Medians.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

from ponder import config
from ponder.core.calls import Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.engines.child.engine import Child
from ponder.gateway.embedded import open_in_child
from ponder.runtime.tasks import side_by_side

if TYPE_CHECKING:
    from ponder.core.protocols import Delta, Engine

PROMPT_WORDS = 200
TICK = os.sysconf("SC_CLK_TCK")


class Turn(NamedTuple):
    """What one turn took, in seconds; `rate` is tokens a second."""

    rate: float
    first: float
    processor: float


def spent(engine: Engine) -> float:
    """Processor seconds of this process, and of the child if there is one."""
    pids = [os.getpid(), *([engine.pid] if isinstance(engine, Child) and engine.pid else [])]
    stats = [Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split() for pid in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / TICK


async def turn(engine: Engine, seed: int, samples: int, tokens: int) -> Turn:
    rng = random.Random(seed)
    words = " ".join(
        rng.choice(["one", "red", "tree", "house", "seven", "river"]) for _ in range(PROMPT_WORDS)
    )
    start = Prefix(Prompt(raw=words))
    first = 0.0

    def watch(delta: Delta) -> None:
        nonlocal first
        if delta.tokens and not first:
            first = time.perf_counter()

    hows = [Sampling(tokens, min_tokens=tokens, top_k=40, seed=seed + i) for i in range(samples)]
    before, began = spent(engine), time.perf_counter()
    done = await side_by_side([partial(engine.extend, start, how, watch) for how in hows])
    took = time.perf_counter() - began
    written = sum(segment.usage.completion for segment in done)
    return Turn(written / took, first - began, spent(engine) - before)


async def compared(engines: dict[str, Engine], asked: argparse.Namespace) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {name: [] for name in engines}
    for i in range(asked.rounds + 1):
        for name, engine in engines.items():
            one = await turn(engine, 1000 * i, asked.samples, asked.tokens)
            if i:  # the first warms up
                turns[name].append(one)
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    settings = config.settings()
    path = config.model_path(asked.model, settings).resolve()
    engines = {"in process": config.open_engine(path, settings), "in a child": open_in_child(path, settings)}
    try:
        turns = anyio.run(compared, engines, asked)
    finally:
        for engine in engines.values():
            config.close(engine)
    print(
        f"{path.name}, {asked.samples} samples x {asked.tokens} tokens; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print("              tokens/s    first ms   CPU s")
    for name, all_of_them in turns.items():
        rate, first, processor = (statistics.median(values) for values in zip(*all_of_them, strict=True))
        print(f"{name:12}  {rate:8.1f}  {first * 1000:10.1f}  {processor:6.2f}")
    share = [child.rate / own.rate for own, child in zip(*turns.values(), strict=True)]
    print(
        f"the child's tokens a second, of those in process, the median of each turn's: {statistics.median(share):.3f}"
    )


if __name__ == "__main__":
    main()
