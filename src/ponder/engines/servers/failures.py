"""The errors of servers and of the way to them, translated in one place to the tree in `core.errors`.

status                       becomes
400, 413, 422, too long      ContextOverflow
401, 403                     EngineError: the key
404                          EngineError: the model or the path
other 3xx, 4xx               EngineError
408, 409, 425, 429, 5xx      TransientError, later by what Retry-After says; EngineError where the server
says x-should-retry: false
no connection, reset, silence, JSON or a stream that is none
TransientError, with the tokens that were spent
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from typing import TYPE_CHECKING

from ponder.core.errors import ContextOverflow, EngineError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

LATER = frozenset({408, 409, 425, 429})
MOST_RETRY_AFTER = 120.0
"""Seconds; a server that asks for more is taken to be unavailable."""

_TOO_LONG = re.compile(
    r"context[_ ](length|size|window)|maximum context|too many tokens|longer than the model|exceed_context",
    re.IGNORECASE,
)
_ON_THINKING = re.compile(r"think|reasoning|effort|generation_prompt", re.IGNORECASE)
_SECRET = re.compile(r"\b(sk|pk|key|Bearer)[-_ ][\w-]{8,}|(?<=//)[^/@\s\"]+@", re.IGNORECASE)


class Unwelcome(EngineError):
    """A server complains of what it was told about thinking."""


class Silent(TransientError):
    """A server was asked, and said nothing for too long: perhaps it works on it."""


def refused(status: int, headers: Mapping[str, str], body: str, where: str) -> EngineError:
    """What an answer that is not 200 means."""
    said = _said(body)
    if status in (400, 413, 422, 500) and _TOO_LONG.search(body):
        return ContextOverflow(
            f"{where} says that prompt and answer are too long: {said} Shorten the prompt or ask for fewer tokens."
        )
    if status in (401, 403):
        return EngineError(
            f"{where} refuses the key ({status}): {said} Set `key` of this model in ponder.toml."
        )
    if status == 404:
        return EngineError(
            f"{where} has no such model or interface (404): {said} Look with: ponder doctor URL"
        )
    if status in LATER or status >= 500:
        after = retry_after(headers)
        never = headers.get("x-should-retry", "").lower() == "false" or (after or 0) > MOST_RETRY_AFTER
        message = f"{where} answered {status}: {said}"
        return EngineError(message) if never else TransientError(f"{message} Try again.", after)
    kind = Unwelcome if status in (400, 422) and _ON_THINKING.search(body) else EngineError
    return kind(f"{where} answered {status}: {said}")


def told(said: str, where: str, spent: int) -> EngineError:
    """What an error in the middle of a stream means, which is JSON."""
    error = json.loads(said)
    error = error if isinstance(error, dict) else {"message": str(error)}
    code = error.get("code")
    status = code if isinstance(code, int) else 500 if "server" in str(error.get("type", "server")) else 400
    failure = refused(status, {}, json.dumps({"error": error}), where)
    failure.spent = spent
    return failure


def broken(what: str, where: str, spent: int, kind: type[TransientError] = TransientError) -> TransientError:
    """The connection, or what came over it, is of no use any more."""
    after = f" after {spent} tokens" if spent else ""
    return kind(f"{where} {what}{after}. Try again, or look whether it runs.", spent=spent)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the server wants to be asked again: retry-after-ms, or Retry-After as seconds or a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
            return float(value) * unit
    try:
        at = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, at.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _said(body: str) -> str:
    """The server's own words, as one sentence without what may be a secret."""
    try:
        error = json.loads(body)
        error = error.get("error", error) if isinstance(error, dict) else error
        text = error.get("message", error.get("detail", "")) if isinstance(error, dict) else error
    except ValueError:
        text = re.sub(r"<[^>]*>", " ", body)
    text = " ".join(str(text or "it did not say why").split())[:300]
    return without_secrets(text).rstrip(".") + "."


def without_secrets(text: str) -> str:
    """A text without what looks like a key, or like the password of a URL."""
    return _SECRET.sub("[redacted]", text)
