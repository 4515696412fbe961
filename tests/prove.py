"""Measures what is promised under bad conditions and writes it down: docs/reliability.md, and .json beside it.

    python tests/prove.py                 every row, at the size that each commit affords (tier C)
    python tests/prove.py --tier N        at its full size
    python tests/prove.py R1 R31          these rows

A row that is not run keeps the figure it had. A figure that misses its bound is written down like any other, and the
exit code is 1.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from proofs import ROWS, Figure, Row, Tier  # noqa: E402

for measuring in (
    "clients",
    "disks",
    "gateway",
    "grading",
    "kills",
    "matrix",
    "money",
    "sandbox",
    "secrets",
    "servers",
    "settings",
    "silence",
    "strangers",
    "votes",
    "writers",
):
    importlib.import_module(f"proofs.{measuring}")  # it enters its rows

DOCS = HERE.parent / "docs"
FIGURES = DOCS / "reliability.json"
PAGE = DOCS / "reliability.md"
ABOUT = (
    "What is promised under bad conditions, and the figure that was measured. Written by `make prove`, which runs every row at "
    'the size that each commit affords (tier C); `make prove TIER=N` runs them at full size, `make prove ROWS="R1 R31"` those '
    "two. A figure that misses its bound stays here, marked."
)


def measured(row: Row, tier: Tier) -> dict[str, object]:
    """A row's figure, as it is kept."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            figure = row.measure(Path(folder), tier)
        except Exception as error:  # noqa: BLE001 - a row that breaks has failed, and the others go on
            figure = Figure(f"broke: {type(error).__name__}: {str(error)[:200]}", held=False)
    return {
        "said": figure.said,
        "held": figure.held,
        "tier": tier,
        "seconds": round(time.monotonic() - began),
        "on": f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def page(figures: dict[str, dict[str, object]]) -> str:
    """The table, as docs/reliability.md has it."""
    lines = [
        "# Reliability",
        "",
        ABOUT,
        "",
        "| row | promise | bound | figure | held | tier | seconds | when |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(ROWS.values(), key=lambda row: row.order):
        got = figures.get(row.id)
        told = (
            [got["said"], "yes" if got["held"] else "**NO**", got["tier"], got["seconds"], got["on"]]
            if got
            else ["not measured yet", "", "", "", ""]
        )
        cells = [row.id, row.promise, row.bound, *map(str, told)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def known() -> dict[str, dict[str, object]]:
    """The figures there are."""
    figures: dict[str, dict[str, object]] = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    return {name: figure for name, figure in figures.items() if name in ROWS}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="else all of them")
    parser.add_argument("--tier", choices=("C", "N"), default="C")
    asked = parser.parse_args()
    if unknown := [name for name in asked.rows if name not in ROWS]:
        parser.error(f"There is no row {', '.join(unknown)}. There are: {', '.join(ROWS)}.")
    missed = 0
    for row in sorted(ROWS.values(), key=lambda row: row.order):
        if asked.rows and row.id not in asked.rows:
            continue
        got = measured(row, asked.tier)
        missed += not got["held"]
        print(
            f"{row.id:4} {'held  ' if got['held'] else 'MISSED'} {got['seconds']:>4} s  {got['said']}",
            flush=True,
        )
        figures = known() | {row.id: got}
        FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
        PAGE.write_text(page(figures), "utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
