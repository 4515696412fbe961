"""A real HTTP server with Range support and every bad habit a download meets."""

import contextlib
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Item:
    """One path. `cuts` are the bytes sent before each of the first answers is cut; `statuses` come before those."""

    data: bytes
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    tells_length: bool = True
    pause: float = 0.0  # between blocks of 64 KiB
    speaks: threading.Event = field(
        default_factory=threading.Event
    )  # until then it is asked and says nothing
    type: str = "application/octet-stream"

    def __post_init__(self):
        self.speaks.set()


class Shelf:
    """`asked` lists (path, first byte asked for) in order."""

    def __init__(self):
        self.items: dict[str, Item] = {}
        self.asked: list[tuple[str, int]] = []
        shelf = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with contextlib.suppress(ConnectionError):
                    shelf.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def put(self, path, data, **habits):
        self.items[path] = Item(data, **habits)
        return self.items[path]

    def starts(self, path):
        return [start for asked, start in self.asked if asked == path]

    def answer(self, to):
        to.close_connection = True
        item = self.items.get(to.path)
        pause = item.pause if item else 0.0  # a change applies to later answers
        wanted = re.fullmatch(r"bytes=(\d+)-", to.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and item and item.ranges else 0
        self.asked.append((to.path, int(wanted[1]) if wanted else 0))
        if item is None:
            to.send_error(404)
            return
        item.speaks.wait()
        if item.statuses:
            to.send_error(item.statuses.pop(0))
            return
        size = len(item.data)
        if wanted and item.ranges and start >= size:
            to.send_response(416)
            to.send_header("Content-Range", f"bytes */{size}")
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        body = memoryview(item.data)[start:]
        to.send_response(206 if wanted and item.ranges else 200)
        if wanted and item.ranges:
            to.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if item.tells_length:
            to.send_header("Content-Length", str(len(body)))
        to.send_header("Content-Type", item.type)
        to.end_headers()
        if item.cuts:
            body = body[: item.cuts.pop(0)]
        for i in range(0, len(body), 1 << 16):
            to.wfile.write(body[i : i + (1 << 16)])
            time.sleep(pause)


@pytest.fixture
def shelf():
    with Shelf() as shelf:
        yield shelf
