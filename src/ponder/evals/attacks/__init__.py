"""Attacks on a model's answers, and what inference compute does about them (Zaremba et al. 2025, 2501.18841).

An attacked problem is an item like any other, with what the attacker wants in its `meta`; the harness, the run file and
the pool know nothing of attacks. Whether one succeeded is told from the answer afterwards.
"""

from ponder.evals.attacks.items import ATTACKS, Asked, Attack, attacked
from ponder.evals.attacks.success import Cell, Panel, Trend, hit, panels

__all__ = ["ATTACKS", "Asked", "Attack", "Cell", "Panel", "Trend", "attacked", "hit", "panels"]
