"""Settings that someone broke, read at the start and while the gateway serves."""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

from gateways import TABLES, gateway

from ponder import UsageError, config
from ponder.engines.scripted import Scripted
from ponder.gateway.options import Options
from ponder.gateway.running import reread
from ponder.gateway.served import Served
from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier

TEXT = """# settings
budget = "4k"
threads = 2

[models.big]
url = "http://127.0.0.1:8000/v1"
prompt = 0.1
completion = 0.4
attempts = 3

[gateway]
strategy = "none"
budget = "16k,5min"
requests = 100
hosts = ["models.lan"]
usage_mode = "openai"
salt = true

[presets]
vote = "self-consistency:n=4"

[presets.think]
strategy = "chain-of-thought"
budget = "2k"

[effort]
high = "vote"
"""
SETTINGS = [i for i, line in enumerate(TEXT.splitlines()) if "=" in line]
VALUES = (
    "-1",
    "[]",
    "{}",
    "true",
    '""',
    "1979-05-27",
    "nan",
    "[[1]]",
    '"?"',
    "{ a = 1 }",
    "0x",
    '"',
    "1 2",
    "-inf",
    '"""',
)


@row(
    "R26",
    "Settings that someone broke (a key misspelt, a value of another kind, a line cut, doubled or moved, letters changed, "
    "bytes that are no text) are refused whole, at the start and on SIGHUP: the error names the line and, where the file can "
    "be read, the setting, and what was in force stays in force",
    "0 half applied, 0 errors of another kind, 0 that name no line",
)
def broken(folder: Path, tier: Tier) -> Figure:
    chance, many = random.Random(26), (2_000 if tier == "N" else 200)
    it = gateway([Served("solver", Scripted.solver(1.0))], TABLES)
    path = folder / "ponder.toml"
    wrong, fine = [], 0
    logging.getLogger("ponder.gateway").disabled = True  # it tells of each

    def again() -> Options:
        settings = config.settings({}, file=path)
        with config.in_file(path):
            return Options.of(settings.gateway)

    for _ in range(many):
        raw, key = _mutated(chance)
        path.write_bytes(raw)
        before = it.options
        try:
            wanted = again()
        except UsageError as error:
            reread(it, again)
            said = str(error)
            named = re.search(r"line \d+", said) and (key is None or key in said or "cannot be read" in said)
            wrong += [said] * (not named or it.options is not before)
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            wrong.append(f"{type(error).__name__}: {error}")
        else:
            fine += 1
            reread(it, again)
            wrong += ["half applied"] * (it.options != wanted or it.options.presets != wanted.presets)
    logging.getLogger("ponder.gateway").disabled = False
    live = _live(folder)
    return Figure(
        f"{many} files, {fine} of them harmless: {len(wrong)} wrong{''.join(f'; {w[:120]}' for w in wrong[:2])}; in a process "
        f"{live or 'a broken file changed nothing and a mended one all'}",
        held=not wrong and not live,
    )


def _mutated(chance: random.Random) -> tuple[bytes, str | None]:
    """A broken file, and the setting that is to blame, if it is one."""
    lines = TEXT.splitlines()
    at = chance.choice(SETTINGS)
    key, _, value = lines[at].partition(" = ")
    how = chance.randrange(7)
    if how == 0:
        key = key[:-1] + chance.choice("xyz_")
        lines[at] = f"{key} = {value}"
        return "\n".join(lines).encode(), None  # the error may name what it should have been
    if how == 1:
        lines[at] = f"{key} = {chance.choice(VALUES)}"
        return "\n".join(lines).encode(), key
    if how == 2:
        lines[at] = lines[at][: chance.randrange(1, len(lines[at]))]
    elif how == 3:
        lines.insert(chance.randrange(len(lines)), lines[at])
    elif how == 4:
        raw = bytearray(TEXT.encode())
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(raw), None
    elif how == 5:
        return TEXT.encode()[: chance.randrange(len(TEXT))], None
    else:
        lines[at : at + 1] = []
        lines.insert(
            chance.randrange(len(lines)), f"[{chance.choice(('gateway', 'effrot', 'models', 'presets.a b'))}]"
        )
    return "\n".join(lines).encode(), None


def _live(folder: Path) -> str:
    """What was wrong with a process that is told to read a broken file, and a mended one; nothing, if nothing was."""
    path = folder / "live.toml"
    path.write_text(f'[presets]\n{"one"} = "direct"\n')
    env = {**os.environ, "PONDER_HOME": str(folder / "home")}
    words = [sys.executable, "-m", "ponder", "serve", "-m", "simulated", "--config", str(path), "--port", "0"]
    with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        try:
            assert process.stderr is not None
            url = re.search(r"http://\S+/v1", process.stderr.readline())
            if url is None:
                return "it did not start"

            def reread_as(text: str) -> tuple[str, str]:
                assert process.stderr is not None
                path.write_text(text)
                process.send_signal(signal.SIGHUP)
                said = process.stderr.readline()
                with urllib.request.urlopen(f"{url[0]}/models", timeout=30) as answer:  # noqa: S310 - our own
                    return said, answer.read().decode()

            said, models = reread_as('[presets]\none = "direct"\ntwo = "drect"\n')
            if "line 3" not in said or "two" not in said or "@one" not in models or "@two" in models:
                return f"a broken file: {said[:100]}"
            said, models = reread_as('[presets]\ntwo = "direct"\n')
            return "" if "@two" in models and "@one" not in models else f"a mended file: {said[:100]}"
        finally:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
