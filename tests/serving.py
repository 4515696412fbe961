"""What the tests of servers share."""

import asyncio
import contextlib

from ponder.engines.layers import Adaptive, Balanced, Breaking, Retries, Retrying
from ponder.engines.servers.engine import Server
from ponder.engines.servers.link import Link
from ponder.engines.servers.probe import probe
from ponder.evals.simulated import Simulated
from ponder.mock.server import Mock

DIALECTS = ("vllm", "sglang", "llama-server", "openai")


def run(job, *args, seconds=500.0):
    """On asyncio, within a deadline: what would hang fails."""

    async def main():
        async with asyncio.timeout(seconds):
            return await job(*args)

    return asyncio.run(main())


@contextlib.asynccontextmanager
async def served(dialect="vllm", engine=None, *, patience=60.0, found=None, **options):
    """A mock server and the engine on it, as probed: (mock, engine)."""
    faults = options.pop("faults", None)
    async with Mock(engine or Simulated.named("simulated"), dialect, **options) as mock:
        link = Link(mock.url, patience=patience)
        server = Server(link, found or await probe(link))
        if faults is not None:
            mock.faults = faults
        mock.counters.__init__()
        try:
            yield mock, server
        finally:
            server.close()


def layered(*servers, attempts=4, base=0.02, replay=False):
    """The layers as the configuration puts them, with short waits."""
    each = [Breaking(Adaptive(server), pause=0.2) for server in servers]
    return Retrying(Balanced(each), attempts, base=base, cap=0.2, retries=Retries(10_000), replay=replay)


async def until(fact, seconds=300.0):
    """Wait until something is so; it is looked for again and again, for it happens in another task."""
    async with asyncio.timeout(seconds):
        while not fact():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
