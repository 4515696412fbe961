"""Whatever a stranger makes of our OpenAPI document, by schemathesis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proofs import Figure, row

if TYPE_CHECKING:
    from proofs import Tier

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "ignored_auth", "unsupported_method", "negative_data_rejection",
)  # fmt: skip
CONFIG = """[gateway]
budget = "60,2s"
most = "100,3s"
requests = 1000
at_once = 1000
[presets]
vote = "self-consistency:n=3"
"""
EXPECTED = """hooks = "hooks.py"
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "504"]
"""
HOOKS = '''"""A header that nobody knows is none of our business: HTTP has servers ignore it, and it breaks no promise of ours."""
import schemathesis

@schemathesis.hook
def filter_case(context, case):
    return "x-schemathesis-unknown-property" not in (case.headers or {})
'''
PONDER = [sys.executable, "-m", "ponder"]


@row(
    "R20",
    "Requests that schemathesis makes of our OpenAPI document, those that keep to it and those that do not, with a key, with "
    "a wrong one and with none, get answers that keep to it",
    "0 answers of 5xx (but 504 where the request's own deadline came), 0 that do not keep to the document, 0 served without a key; 20,000 requests (tier C: 700)",
)
def fuzzed(folder: Path, tier: Tier) -> Figure:
    tool = Path(sys.executable).with_name("st")
    if not tool.exists():
        return Figure("schemathesis is not installed: pip install -e '.[dev]'", held=False)
    many, examples, seconds = (20_000, 9_500, 240) if tier == "N" else (700, 20, 120)
    env = {**os.environ, "PONDER_HOME": str(folder / "home"), "NO_COLOR": "1"}
    (folder / "ponder.toml").write_text(CONFIG)
    (folder / "schemathesis.toml").write_text(EXPECTED)
    (folder / "hooks.py").write_text(HOOKS)
    making = [*PONDER, "keys", "create", "x", "--scope", "inference", "--scope", "metrics"]
    secret = subprocess.run(making, env=env, capture_output=True, text=True, check=True).stdout.strip()
    words = [*PONDER, "serve", "-m", "simulated", "--config", str(folder / "ponder.toml"), "--port", "0"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, cwd=folder) as process,
    ):
        assert process.stderr is not None
        at = re.search(r"http://[\d.:]+", process.stderr.readline())
        if at is None:
            return Figure("it did not start", held=False)
        reader = subprocess.Popen(
            ["cat"], stdin=process.stderr, stdout=log
        )  # so that its log is taken from it
        try:
            told = _asked(tool, folder, f"{at[0]}/openapi.json", secret, env, (examples, seconds))
        finally:
            process.terminate()
            process.wait(60)
            reader.wait(60)
    requests, failures = told
    text = (folder / "log").read_text("utf-8", "replace")
    mistakes = text.count("a mistake of ours") + text.count("Exception in ASGI")
    named = "".join(f"; {name} {count}" for name, count in sorted(failures.items()))
    return Figure(
        f"{requests:,} requests, {len(CHECKS)} checks: {sum(failures.values())} failures{named}; {mistakes} mistakes in the log",
        held=requests >= many and not failures and not mistakes,
    )


def _asked(
    tool: Path, folder: Path, url: str, secret: str, env: dict[str, str], most: tuple[int, int]
) -> tuple[int, dict[str, int]]:
    """How many requests were made, and how many failed which check."""
    report = folder / "report.json"
    words = [
        str(tool),
        "run",
        url,
        "-H",
        f"Authorization: Bearer {secret}",
        "--checks",
        ",".join(CHECKS),
        "--seed",
        "20",
    ]
    words += [
        "--phases",
        "examples,coverage,fuzzing",
        "-n",
        str(most[0]),
        "--continue-on-failure",
        "--no-shrink",
    ]
    words += ["--max-time", str(most[1])]
    words += [
        "--suppress-health-check",
        "all",
        "--generation-database",
        "none",
        "--report-json-path",
        str(report),
    ]
    done = subprocess.run(words, env=env, capture_output=True, text=True, cwd=folder, timeout=1500)
    if not report.exists():
        raise RuntimeError(done.stdout[-300:] + done.stderr[-300:])
    if done.returncode:  # what to track down
        sys.stderr.write(done.stdout.partition("FAILURES ===")[2])
    told = json.loads(report.read_text("utf-8"))
    failures = {one["title"]: one["count"] for one in told["failures"]}
    failures |= {"errors": len(told["errors"])} if told["errors"] else {}
    return told["test_cases"]["generated"], failures
