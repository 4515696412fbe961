"""The page for who opens the gateway in a browser. It is the same for everyone, and tells nothing that needs a key."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import Final

_HOST: Final = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)


def front(host: str) -> bytes:
    """The page, in HTML.

    Args:
        host: by which the client reached it, as its header has it; one with letters that no name or address has (an allowed
            Host may have them) is not repeated.

    """
    name = host if _HOST.fullmatch(host) else "localhost"
    return _page().replace("BASE_URL", f"http://{name}/v1").encode()


@cache
def headers() -> dict[str, str]:
    """Those of the page: it may load nothing, run nothing, be framed by nobody, and be kept by no cache."""
    style = _page().partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }


@cache
def _page() -> str:
    return resources.files(__package__).joinpath("front.html").read_text("utf-8")
