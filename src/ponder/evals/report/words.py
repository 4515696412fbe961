"""Numbers as a reader wants them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.evals.stats import Estimate

THIN = "\u202f"
NOTHING = "–"


def percent(share: float) -> str:
    """0.555 is 55.5 %."""
    return f"{100 * share:.1f}{THIN}%"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")


def estimate(e: Estimate | None) -> str:
    """A share with its interval: 55.5 % (49.1 to 61.8)."""
    if e is None:
        return NOTHING
    return f"{percent(e.value)} ({100 * e.interval.low:.1f} to {100 * e.interval.high:.1f})"


def difference(e: Estimate, unit: str = "") -> str:
    """A difference of shares in points: +14.5 (+9.1 to +19.8)."""
    if math.isnan(e.interval.low):
        return f"{points(e.value)}{unit} (one problem has no interval)"
    return f"{points(e.value)}{unit} ({points(e.interval.low)} to {points(e.interval.high)})"


def number(x: float) -> str:
    """Three digits or so; whole numbers whole."""
    if not math.isfinite(x):
        return NOTHING
    if float(x).is_integer() or abs(x) >= 100:
        return f"{x:,.0f}"
    return f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}" if abs(x) >= 0.1 else f"{x:.2g}"


def compact(x: float) -> str:
    """As axes name it: 1500 is 1.5k."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= unit:
            return f"{x / unit:.4g}{letter}"
    return f"{x:.4g}"


def times(ratio: float) -> str:
    """How many times as much."""
    return f"{ratio:.2g}×" if ratio < 9.95 else f"{ratio:,.0f}×"


def probability(p: float) -> str:
    """A p value."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p(p: float) -> str:
    """A p value as sentences have it: p = 0.03, p < 0.0001."""
    said = probability(p)
    return f"p {said}" if said[0] == "<" else f"p = {said}"


def plural(n: int, noun: str, nouns: str = "") -> str:
    """1 item, 2 items."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """a, b and c; of a long list the first, and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def at(budgets: Sequence[int]) -> str:
    """500, 1,000 and 2,000."""
    return listed([f"{budget:,}" for budget in budgets], len(budgets))
