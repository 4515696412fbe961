"""What tree search itself costs: selection, back-up and bookkeeping for 1,000 nodes, no model, beside treequest.

    make peers                      # once
    python benchmarks/trees.py
    python benchmarks/trees.py --model qwen2.5-coder-0.5b     # and the prefix tokens that MCTS reads twice

Target: at most 1 ms a node, and no prefix token read twice.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

NODES, BRANCH, ROUNDS = 1000, 3, 5
PEER = Path(__file__).parent.parent / ".peers" / "treequest" / "bin" / "python"
QUESTION = "State the final answer to the following arithmetic problem: 47 + 85 - 38 ="


def mcts(rng: random.Random) -> None:
    """Ours: each iteration adds BRANCH valued children to a node and backs up from the best of them."""
    from ponder.thinking.search.values import Node, back_up, descend

    root, nodes = Node(""), 0
    while nodes < NODES:
        node = descend(root, math.sqrt(2))
        children = [node.add("", rng.random()) for _ in range(BRANCH)]
        nodes += BRANCH
        back_up(max(children, key=lambda child: child.value))


def ab_mcts(rng: random.Random) -> None:
    """Ours: each iteration adds one scored child where Thompson sampling says."""
    from ponder.thinking.search.thompson import Branch, Gaussian, wider_or_deeper

    root = Branch("", Gaussian)
    for _ in range(NODES):
        wider_or_deeper(root, rng).add("", rng.random())


def peer(algorithm: str) -> Callable[[random.Random], None]:
    """The same of treequest, in whose environment this runs."""
    import treequest

    def run(rng: random.Random) -> None:
        made: dict[str, Callable[[], Any]] = {
            "mcts": lambda: treequest.StandardMCTS(samples_per_action=BRANCH),
            "ab-mcts": treequest.ABMCTSA,
        }
        search = made[algorithm]()
        state = search.init_tree()
        for _ in range(NODES):
            state = search.step(state, {"a": lambda _: ("", rng.random())}, inplace=True)

    return run


def timed(job: Callable[[random.Random], None]) -> float:
    """Processor milliseconds a node, the median of some rounds."""
    found = []
    for seed in range(ROUNDS):
        started = time.process_time()
        job(random.Random(seed))
        found.append(time.process_time() - started)
    return statistics.median(found) / NODES * 1000


def model(name: str) -> None:
    """MCTS on a real model: what it read, and what it read twice."""
    import ponder

    engine: Any = ponder.load(name)
    for strategy in ("mcts:iterations=20", "coat"):
        before = engine.stats.reread, engine.stats.reused
        result = ponder.solve(QUESTION, strategy, model=engine, budget="2k")
        reread, reused = engine.stats.reread - before[0], engine.stats.reused - before[1]
        usage = result.usage
        print(
            f"{strategy:20} {usage.calls} calls, {usage.completion} tokens written, {usage.prompt} in prompts: "
            f"{reused} from the cache, {reread} read twice"
        )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--peer", choices=("mcts", "ab-mcts"), help=argparse.SUPPRESS)
    words.add_argument("--model", help="a model by name, or the path of a GGUF file")
    given = words.parse_args()
    if given.peer:
        print(json.dumps(timed(peer(given.peer))))
        return
    for name, job in (("mcts", mcts), ("ab-mcts", ab_mcts)):
        ours = timed(job)
        told = f"{name:8} {ours:.4f} ms a node"
        if PEER.exists():
            done = subprocess.run(
                [PEER, __file__, "--peer", name], capture_output=True, text=True, check=False
            )
            if done.returncode:
                print(done.stderr, file=sys.stderr)
            else:
                theirs = float(done.stdout.splitlines()[-1])
                told += f"; treequest {theirs:.4f}, {theirs / ours:.1f} times as much"
        else:
            told += "; treequest is not here: make peers"
        print(told)
    if given.model:
        model(given.model)


if __name__ == "__main__":
    main()
