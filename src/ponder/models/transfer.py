"""One file over HTTP, resumable: this module owns the retrying of a download, and nobody else retries one.

Nothing here decides whether the bytes are the right ones; whoever knows the hash does.
"""

from __future__ import annotations

import http.client
import queue
import re
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ponder.models.errors import SourceFailed

if TYPE_CHECKING:
    from pathlib import Path

    from ponder.models.progress import Tick

ANSWER_SECONDS = 5.0
"""A host that has not begun to answer by then is taken as out of reach, name lookup and redirects included."""
STALL_SECONDS = 30.0
"""A connection silent for so long is dropped and the download goes on over a new one."""
IDLE_TRIES = 3
"""Attempts in a row that bring nothing new before the source is given up."""
ALL_TRIES = 50
PAUSE_SECONDS = 0.3
CHUNK = 1 << 18

_out_of_reach: dict[str, str] = {}  # host -> why; for the life of the process: one dead host costs one wait


class _OutOfReach(Exception):
    """No connection came about."""


class _Again(Exception):
    """This attempt failed in a way that another may not."""


def forget_unreachable() -> None:
    """Ask hosts again that were out of reach."""
    _out_of_reach.clear()


def download(url: str, to: Path, tick: Tick, *, most: int, size: int | None = None) -> None:
    """Bring `to` up to all of `url`, going on from the bytes it already holds.

    `size` is the exact size where it is known; more than `most` bytes are never written. A cut connection
    is taken up again where it broke, as long as attempts bring something new. Raises SourceFailed, keeping
    the bytes that came, or OSError where `to` cannot be written.
    """
    place = urlsplit(url)
    host = place.netloc.rpartition("@")[2]
    if place.scheme not in {"http", "https"}:
        raise SourceFailed(f"its address is neither http nor https but {place.scheme or 'nothing'}")
    if host in _out_of_reach:
        raise SourceFailed(f"{_out_of_reach[host]} (not asked again)")
    furthest, idle, why = held(to), 0, ""
    for attempt in range(ALL_TRIES):
        if held(to) > most:
            to.unlink()
        try:
            return _attempt(url, to, tick, host=host, most=most, size=size)
        except _OutOfReach as error:
            why = str(error)
            if attempt == 0:
                _out_of_reach[host] = why
                break
        except _Again as error:
            why = str(error)
        # Measured by the furthest byte: a server that ignores Range starts over each time, which is no progress.
        idle = 0 if held(to) > furthest else idle + 1
        furthest = max(furthest, held(to))
        if idle == IDLE_TRIES:
            break
        time.sleep(PAUSE_SECONDS * idle)
    kept = held(to)
    raise SourceFailed(f"{why} ({kept / 1e6:,.1f} MB kept for a later try)" if kept else why)


def held(to: Path) -> int:
    """The bytes `to` holds; 0 where it does not exist."""
    try:
        return to.stat().st_size
    except FileNotFoundError:
        return 0


def _attempt(url: str, to: Path, tick: Tick, *, host: str, most: int, size: int | None) -> None:
    """One request, from the first missing byte; returns only when `to` is whole."""
    have = held(to)
    if size is not None and have == size:
        return
    headers = {"User-Agent": "ponder", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        body = _open(urllib.request.Request(url, headers=headers), host)  # noqa: S310  the scheme was checked
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                if _content_range(error.headers.get("Content-Range"))[1] == have and size is None:
                    return
                to.unlink()
                raise _Again(f"{host} has no such range") from None
            what = f"{host} answers {error.code} {error.reason}".rstrip()
            # 408, 425 and 429 ask for patience; 5xx may pass; the rest would be said again.
            if error.code in {408, 425, 429} or error.code >= 500:
                raise _Again(what) from None
            raise SourceFailed(what) from None
    with body:
        start, total = _start_and_total(body, have, host)
        expected = size if size is not None else total
        if total is not None and (total != expected or total > most):
            raise SourceFailed(f"{host} offers {total:,} bytes where {size or most:,} are expected")
        _take(body, to, tick, start=start, host=host, most=expected or most)
    if expected is not None and held(to) < expected:
        raise _Again(f"{host} cut the connection")


def _start_and_total(body: http.client.HTTPResponse, have: int, host: str) -> tuple[int, int | None]:
    """Where the bytes of this answer begin, and the size of the whole file where it is told."""
    if body.status == http.HTTPStatus.PARTIAL_CONTENT:
        start, total = _content_range(body.headers.get("Content-Range"))
        if start != have:
            raise SourceFailed(f"{host} sent another range than was asked for")
        return have, total
    length = body.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _content_range(header: str | None) -> tuple[int | None, int | None]:
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", (header or "").strip())
    if not found:
        return None, None
    start, total = found.groups()
    return (int(start) if start else None), (int(total) if total != "*" else None)


def _take(
    body: http.client.HTTPResponse,
    to: Path,
    tick: Tick,
    *,
    start: int,
    host: str,
    most: int,
) -> None:
    """Write what comes, from byte `start` on, and never beyond `most`."""
    done = start
    with to.open("ab" if start else "wb") as file:
        while True:
            try:
                chunk = body.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Again(f"{host} stopped sending: {_plain(error)}") from error
            if not chunk:
                return
            done += len(chunk)
            if done > most:
                raise SourceFailed(f"{host} sends more than the {most:,} bytes expected")
            file.write(chunk)
            tick(done, most)


def _open(request: urllib.request.Request, host: str) -> http.client.HTTPResponse:
    """The answer to `request`, waited for no longer than ANSWER_SECONDS.

    A socket's timeout covers neither name lookup nor several addresses and redirects in a row, so the
    opening runs in a thread of its own. A thread too late closes what it opened.
    """
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()
    late = threading.Event()

    def close_unwanted() -> None:
        try:
            answer = answers.get_nowait()
        except queue.Empty:
            return
        if not isinstance(answer, Exception) or isinstance(answer, urllib.error.HTTPError):
            answer.close()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=STALL_SECONDS))  # noqa: S310  the scheme was checked
        except Exception as error:  # noqa: BLE001  handed to the caller's thread, which raises it
            answers.put(error)
        if late.is_set():
            close_unwanted()

    threading.Thread(target=ask, name=f"ponder opening {host}", daemon=True).start()
    answer = None
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise _OutOfReach(f"{host} did not answer within {ANSWER_SECONDS:g} s") from None
    finally:
        if answer is None:  # KeyboardInterrupt comes this way too
            late.set()
            close_unwanted()
    if isinstance(answer, urllib.error.HTTPError):
        raise answer
    if isinstance(answer, urllib.error.URLError):
        raise _OutOfReach(f"{host} cannot be reached: {_plain(answer)}") from answer
    if isinstance(answer, (OSError, http.client.HTTPException)):
        raise _Again(f"{host} broke off before answering: {_plain(answer)}") from answer
    if isinstance(answer, Exception):
        raise answer
    return answer


def _plain(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(reason).__name__
