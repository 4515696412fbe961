"""`python -m ponder.training FOLDER`: train the model of self-backtracking, or of its control, into a folder."""

from __future__ import annotations

import argparse
import sys
import time

from ponder.core.errors import PonderError
from ponder.training.recipe import Recipe

EVERY = 50


def main() -> int:
    """Train and say how it goes; 1 if it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m ponder.training", description=__doc__)
    parser.add_argument("folder", help="where the model goes")
    parser.add_argument("--share", type=float, default=Recipe.share, help="of examples that go wrong")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    given = parser.parse_args()
    started = time.monotonic()
    losses: list[float] = []

    def tell(step: int, loss: float) -> None:
        losses.append(loss)
        if (step + 1) % EVERY == 0:
            mean, seconds = sum(losses[-EVERY:]) / EVERY, time.monotonic() - started
            print(f"step {step + 1} of {given.steps}: loss {mean:.3f}, {seconds:.0f} s", flush=True)

    try:
        Recipe(share=given.share, steps=given.steps, seed=given.seed).save(given.folder, tell)
    except PonderError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
