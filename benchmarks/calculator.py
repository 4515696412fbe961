"""How often a question alone can be executed: what the arithmetic verifier must be seen beside.

python benchmarks/calculator.py            200 items of each task
python benchmarks/calculator.py 1000       more

On tasks that are sums a program answers the question without any model. A verifier that calculates is no evidence of
reasoning there.
"""

from __future__ import annotations

import sys

from ponder.evals.tasks import load
from ponder.thinking.answers import key
from ponder.thinking.arithmetic import calculate
from ponder.thinking.numbers import spell

TASKS = ("chain_sum", "basic_arithmetic", "gsm_symbolic", "products")


def main() -> None:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'task':<18} {'executed':>9} {'of them right':>14} {'items':>6}")
    for name in TASKS:
        items = load(name, limit=limit, seed=0).items
        values = [calculate(item.problem.question) for item in items]
        executed = [(value, item) for value, item in zip(values, items, strict=True) if value is not None]
        right = sum(spell(value) == key(str(item.gold), "math") for value, item in executed)
        share = f"{right / len(executed):.3f}" if executed else "-"
        print(f"{name:<18} {len(executed) / len(items):>9.3f} {share:>14} {len(items):>6}")


if __name__ == "__main__":
    main()
