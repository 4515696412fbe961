"""How strong the sandbox is here: every attack and forgery, run and judged."""

from __future__ import annotations

import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import anyio

from ponder.core.executions import Call
from ponder.sandbox.attacks import ATTACKS, FORGERIES, HONEST, SECRET, TEST
from ponder.sandbox.box import GRACE
from ponder.sandbox.bubblewrap import MB, Limits
from ponder.sandbox.pool import Sandbox
from ponder.thinking.values import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.sandbox.attacks import Attack, Forgery

LIMITS = Limits(seconds=1.0, cpu=2, wall=3.0, memory=512 * MB)
"""Of an attack: small, so that the whole list takes seconds."""
BUSY = 1.0
"""Seconds beyond a limit in which a program must be gone."""
TURNS: Final = 3
"""How often an honest program may be late before nothing is said to work: a busy machine may leave it alone for a second."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attack: what came of it, whether the sandbox held, how long it took, and whether that was beyond its limit."""

    name: str
    family: str
    outcome: str
    held: bool
    seconds: float
    late: bool = False


@dataclass(frozen=True, slots=True)
class Strength:
    """All of them, and what the host saw of it: files that changed, and connections that arrived."""

    tried: tuple[Tried, ...]
    writes: int
    packets: int

    @property
    def escaped(self) -> tuple[Tried, ...]:
        return tuple(one for one in self.tried if not one.held)

    @property
    def late(self) -> tuple[Tried, ...]:
        """Those that were not stopped in time. On a machine that is too busy an honest program may be late as well."""
        return tuple(one for one in self.tried if one.late)

    @property
    def held(self) -> bool:
        return not self.escaped and not self.writes and not self.packets

    def __str__(self) -> str:
        said = (
            f"{len(self.tried)} attacks: {len(self.escaped)} escapes, {self.writes} writes on the host, {self.packets} packets, "
            f"{len(self.late)} stopped late"
        )
        return said + (
            f"; got through: {', '.join(one.name for one in self.escaped)}" if self.escaped else ""
        )


async def strength(attacks: Sequence[Attack] = ATTACKS, forgeries: Sequence[Forgery] = FORGERIES) -> Strength:
    """Run the list against a sandbox of small limits.

    Raises:
        NoSandbox: there is none.

    """
    sandbox = Sandbox(LIMITS)
    try:
        await sandbox.check()
        with tempfile.TemporaryDirectory(prefix="ponder-host-") as name, _Listening(Path(name)) as host:
            tried: dict[str, Tried] = {}

            async def attack(one: Attack) -> None:
                tried[one.name] = await _attacked(sandbox, one, name, host.port)

            async with anyio.create_task_group() as group:
                for one in attacks:
                    group.start_soon(attack, one)
            for other in forgeries:
                tried[other.name] = await _forged(sandbox, other)
            for _ in range(TURNS):
                honest = await sandbox.test(HONEST, "square", TEST)
                if honest.outcome == "passed":
                    break
            if honest.outcome != "passed":  # a sandbox in which nothing works holds everything
                tried["an honest program"] = Tried("an honest program", "forgeries", honest.why, False, 0.0)
            order = [one.name for one in attacks] + [one.name for one in forgeries]
            told = tuple(tried[name] for name in [*order, *(n for n in tried if n not in order)])
            return Strength(told, host.changes(), host.packets())
    finally:
        await sandbox.aclose()


async def _attacked(sandbox: Sandbox, attack: Attack, folder: str, port: int) -> Tried:
    (execution,) = await sandbox.execute(attack.program, [Call("attack", pack(((folder, port), {})))])
    late = execution.seconds > 2 * LIMITS.seconds + GRACE + BUSY  # its own lines before, and the input
    outcome = execution.error or f"it gave {str(execution.output)[:60]}"
    return Tried(attack.name, attack.family, outcome, execution.output != "true", execution.seconds, late)


async def _forged(sandbox: Sandbox, forgery: Forgery) -> Tried:
    began = time.perf_counter()
    verdict = await sandbox.test(forgery.program, "square", TEST)
    outcome = f"{verdict.outcome}: {verdict.why}"
    return Tried(forgery.name, "forgeries", outcome, verdict.outcome != "passed", time.perf_counter() - began)


class _Listening:
    """What the host sees: a folder with a secret, and sockets on which nothing should arrive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "secret").write_text(SECRET, "ascii")
        tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        self.port: int = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", self.port))
        path, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        path.bind(str(folder / "socket"))
        abstract.bind(f"\0ponder-{self.port}")
        self._streams = (tcp, path, abstract)
        self._udp = udp
        for stream in self._streams:
            stream.listen()
        for one in (*self._streams, udp):
            one.setblocking(False)
        self._before = self._state()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._streams, self._udp):
            one.close()

    def changes(self) -> int:
        """Files in the folder that are new, gone or different."""
        return len(self._before.items() ^ self._state().items())

    def packets(self) -> int:
        """Connections and datagrams that arrived."""
        arrived = 0
        for stream in self._streams:
            try:
                stream.accept()[0].close()
                arrived += 1
            except BlockingIOError:
                pass
        try:
            self._udp.recv(1)
            arrived += 1
        except BlockingIOError:
            pass
        return arrived

    def _state(self) -> dict[str, tuple[int, int]]:
        return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in self._folder.iterdir()}
