"""The command that starts a sandbox: what stands in it, and what it may use."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ponder.core.errors import NoSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME: Final = "/sandbox"
"""Where our own files stand inside."""
NOBODY: Final = "65534"
MB: Final = 1 << 20

HOW: Final = "Install bubblewrap: apt install bubblewrap (dnf and pacman have it, too)."
"""The sentence that says how to get a sandbox."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Args:
        seconds: of wall time for each input, and for the program's own lines before the first.
        cpu: seconds of processor time in all.
        wall: seconds in all.
        memory: bytes of address space.
        disk: bytes in the temporary folder, which is memory.
        file: bytes of one file.
        files: that are open at a time.
        output: bytes that one result may be long.

    """

    seconds: float = 2.0
    cpu: int = 5
    wall: float = 10.0
    memory: int = 1024 * MB
    disk: int = 64 * MB
    file: int = 16 * MB
    files: int = 64
    output: int = 64 * 1024


def command(limits: Limits, filter_fd: int) -> list[str]:
    """The whole command line: bubblewrap, what it mounts, and the interpreter that waits inside.

    Raises:
        NoSandbox: there is no bubblewrap.

    """
    return [
        executable(),
        # A user namespace is asked for by name: `--unshare-all` only tries. `--disable-userns` refuses to start without.
        "--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
        "--unshare-cgroup-try", "--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox", "--cap-drop", "ALL",
        "--die-with-parent", "--new-session", "--clearenv",
        *_mounts(),
        "--dev-bind", "/dev/null", "/dev/null",
        "--size", str(limits.disk), "--tmpfs", "/tmp",  # noqa: S108 - the sandbox's own
        "--size", str(MB), "--tmpfs", "/dev/shm",  # noqa: S108
        "--remount-ro", "/",
        "--chdir", "/tmp",  # noqa: S108
        "--seccomp", str(filter_fd),
        "--",
        _python(), "-I", "-S", "-B", "-c",
        f"import sys; sys.path.insert(0, {HOME!r}); from ponder.sandbox.inside import main; main()",
        str(limits.memory), str(limits.cpu), str(limits.file), str(limits.files), str(limits.output),
        str(limits.seconds),
    ]  # fmt: skip


def executable() -> str:
    """Bubblewrap's path. It is asked for each time, for it may be installed or removed.

    Raises:
        NoSandbox: it is not there.

    """
    if not sys.platform.startswith("linux"):
        raise NoSandbox(
            "Programs that a model writes are run in a sandbox, and it needs Linux. None was run."
        )
    found = shutil.which("bwrap", path=os.defpath + ":/usr/local/bin:/usr/bin:/bin")
    if found is None:
        raise NoSandbox(f"Programs that a model writes are run in a sandbox, and there is none here. {HOW}")
    return found


def _python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@cache
def _mounts() -> tuple[str, ...]:
    """The interpreter, its standard library, the system's libraries, and the two files of ours; nothing can be written."""
    words: list[str] = []
    for path in dict.fromkeys(_read_only()):
        words += ["--ro-bind", str(path), str(path)]
    for link in ("/lib", "/lib64"):  # the loader is looked for there
        if os.path.islink(link):  # noqa: PTH114 - what the link says is kept as it is
            words += ["--symlink", os.readlink(link), link]  # noqa: PTH115
    for packages in ("site-packages", "dist-packages"):
        for library in _libraries():
            hidden = Path(library, packages)
            if hidden.is_dir():
                words += ["--size", "4096", "--tmpfs", str(hidden), "--remount-ro", str(hidden)]
    ours = Path(__file__).parent.parent
    for file in ("sandbox/inside.py", "thinking/values.py"):
        words += ["--ro-bind", str(ours / file), f"{HOME}/ponder/{file}"]
    return tuple(words)


def _libraries() -> set[str]:
    """The standard library's folders: those of the interpreter itself, not of an environment made of it."""
    at = {"installed_base": sys.base_prefix, "base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    return {sysconfig.get_path(name, vars=at) for name in ("stdlib", "platstdlib")}


def _system() -> Iterator[Path]:
    """The folders of the system's own libraries; where a distribution keeps them apart from all else, those alone."""
    for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64"):
        path = Path(folder)
        if path.is_dir() and not path.is_symlink():
            apart = path / str(sysconfig.get_config_var("MULTIARCH"))
            yield apart if (apart / "libc.so.6").exists() else path


def _read_only() -> Iterator[Path]:
    system = list(_system())
    yield from system
    if Path("/etc/ld.so.cache").is_file():
        yield Path("/etc/ld.so.cache")
    yield Path(_python())
    shared = sysconfig.get_config_vars("LIBDIR", "INSTSONAME")
    files = [Path(*map(str, shared))] if str(shared[1]).partition(".so")[1] and shared[0] else []
    for path in [*map(Path, sorted(_libraries())), *files]:
        if path.exists() and not any(path.is_relative_to(folder) for folder in system):
            yield path
