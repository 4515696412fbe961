"""The figures that docs/simulation.md gives are those that its programs print, and its traits those that there are."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from ponder.evals.simulated import Traits

PAGE = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python runs\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_table_is_what_its_program_prints():
    (program,) = (text for text in PROGRAMS if "odds.majority" in text and "rows" in text)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    printed = done.stdout.strip().splitlines()
    assert len(printed) == 5
    assert done.stdout in PAGE


def test_every_trait_is_told_with_its_default():
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE, re.MULTILINE))
    assert {name: float(value) for name, value in told.items()} == {
        field.name: field.default for field in fields(Traits)
    }
