"""What users write is run, too; in a process of its own, because it adds to the catalogue of strategies."""

import subprocess
import sys
from pathlib import Path


def test_what_users_write_works() -> None:
    usage = Path(__file__).with_name("usage.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(usage)], capture_output=True, text=True, timeout=500, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
