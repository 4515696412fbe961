"""Graders: hostile answers end in time, and nothing wrong is taken for right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from evals import test_graders_hostile as hostile
from evals import test_graders_pairs as pairs

from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier


@row(
    "R31",
    "5,000 hostile answers (towers, factorials, thousands of brackets and terms, control characters, injections) are graded in "
    "time; of 2,000 pairs that must differ none is graded right, and of the pairs that must be equal all are",
    "each answer at most 2 s of the clock from hand-in to grade (two at a time, two workers), and 512 MB by the kernel's limit; "
    "0 false positives, at most 0.5 % false negatives",
)
def graders(folder: Path, tier: Tier) -> Figure:
    del folder, tier
    judged = anyio.run(hostile.judge, hostile.hostile())
    differ = list(pairs.adversarial(pairs.PAIRS))
    false = sum(grade is not False for grade, _ in anyio.run(pairs.graded, differ))
    same = [
        pair
        for kind, found in pairs.SAME.items()
        for one, other in found
        for pair in ((one, other, kind), (other, one, kind))
    ]
    missed = sum(grade is not True for grade, _ in anyio.run(pairs.graded, same))
    late = sum(took > hostile.LIMIT for took in judged.seconds)
    return Figure(
        f"{len(judged.seconds):,} hostile answers: {len(judged.right)} graded right, {late} took more than {hostile.LIMIT:g} s, "
        f"the longest {max(judged.seconds):.2f} s; {judged.memory >> 20} MB of address space a worker; {len(differ):,} pairs that differ: {false} graded right; {len(same)} equal: "
        f"{missed} graded wrong",
        held=not judged.right
        and not late
        and judged.memory <= 512 << 20
        and judged.lives
        and not false
        and missed <= 0.005 * len(same),
    )
