"""Runs a client's script against the gateway and holds what it got against the cases."""

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from clients.cases import CASES
from clients.world import world

HERE = Path(__file__).parent
PEERS = HERE.parent.parent / ".peers" / "clients"


@dataclass(frozen=True)
class Client:
    """A client and how its script is started. `peer` is its environment; None is ours."""

    name: str
    script: str
    words: tuple[str, ...] = ()
    peer: str | None = None

    @property
    def command(self):
        """None where it is not installed."""
        if self.script.endswith(".mjs"):
            runs = shutil.which("node")
            there = (PEERS / "openai-node/.done").exists()
        else:
            runs = sys.executable if self.peer is None else str(PEERS / self.peer / "bin/python")
            there = self.peer is None or (PEERS / self.peer / ".done").exists()
        return [runs, str(HERE / self.script), *self.words] if runs and there else None


CLIENTS = (
    Client("openai (Python)", "with_openai.py", ("sync",)),
    Client("openai (Python, async)", "with_openai.py", ("async",)),
    Client("openai 2 (Python)", "with_openai.py", ("sync",), "openai-2"),
    Client("openai-node 7", "with_openai.mjs"),
    Client("LangChain", "with_langchain.py", (), "langchain"),
    Client("LiteLLM", "with_litellm.py", (), "litellm"),
    Client("llm", "with_llm.py", (), "llm"),
    Client("inspect_ai", "with_inspect.py", (), "inspect"),
    Client("curl", "with_curl.py"),
)


@dataclass
class Outcome:
    """How one client did: the cases that came out as they should, those it has no words for, and those that did not."""

    passed: list = field(default_factory=list)
    without: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)


async def outcome(client, model, folder, cases=CASES, seconds=300.0):
    """One client through all cases, or those that need no real model where there is none."""
    found = Outcome()
    cases = [case for case in cases if model is not None or not case.real]
    async with world(model, folder) as (_, url, secrets):
        asked = {
            "url": f"{url}/v1",
            "keys": secrets,
            "cases": [case.told() for case in cases],
            "folder": str(folder),
        }
        process = await asyncio.create_subprocess_exec(
            *client.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            limit=1 << 24,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate(json.dumps(asked).encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            out, err = b"", b"it took too long"
    told = {}
    for line in out.decode("utf-8", "replace").splitlines():
        if line.startswith('{"case"'):
            got = json.loads(line)
            told[got["case"]] = got
    for case in cases:
        got = told.get(case.name)
        if got is None:
            found.failed[case.name] = f"no word of it; {err.decode('utf-8', 'replace')[-300:]}"
        elif "na" in got:
            found.without[case.name] = got["na"]
        else:
            try:
                fits = case.fits(got)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                fits, got = False, {**got, "because": repr(error)}
            if fits:
                found.passed.append(case.name)
            else:
                found.failed[case.name] = json.dumps(got)[:400]
    return found


async def main():
    """python -m clients.matrix NAME ... (in tests/): what each did, in words."""
    import tempfile

    from ponder.models import pull

    model = pull("smollm2-135m")
    for client in CLIENTS:
        if client.command is None or (sys.argv[1:] and not any(w in client.name for w in sys.argv[1:])):
            continue
        with tempfile.TemporaryDirectory() as folder:
            got = await outcome(client, model, Path(folder))
        print(f"{client.name}: {len(got.passed)} passed, {len(got.without)} n/a, {len(got.failed)} failed")
        for name, why in [*got.without.items(), *got.failed.items()]:
            print(f"   {'n/a' if name in got.without else 'FAILED'} {name}: {why}")


if __name__ == "__main__":
    asyncio.run(main())
