"""How much a request may be, checked before anything is done with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import anyio

from ponder.gateway.refusals import Refusal

if TYPE_CHECKING:
    from starlette.types import Receive

BODY: Final = 2_000_000
"""Bytes."""
BODY_SECONDS: Final = 10.0
DEEPEST: Final = 64
MESSAGES: Final = 1_000
TOOLS: Final = 128
SCHEMA: Final = 256_000
"""Bytes of all tools, or of a response format, as JSON."""
CHOICES: Final = 16
"""`n` of a request."""
STOPS: Final = 8
LOGPROBS: Final = 20
VALUES: Final = 100_000
"""Values in a body, of whatever kind: small ones take far more memory than their letters."""
SAMPLES: Final = 256
"""The most that n, width and other counts of a strategy may be."""
MOST_TOKENS: Final = 10_000_000
"""What `max_tokens` may be."""
LENGTH: Final = 1_000_000
"""The most that a length in tokens, or another number of a strategy, may be."""
NAME: Final = 2_000
"""Characters of a strategy as it is written, its parameters included."""
SECONDS: Final = 1_800.0
"""The latest deadline."""
AT_ONCE: Final = 16
"""Requests in flight of one key."""
QUEUE: Final = 400
"""Requests that wait while as many are served as may be."""
QUEUE_SECONDS: Final = 30.0
"""The longest wait in that line."""
HEADER: Final = 16_384
"""Bytes of all headers."""
IDEMPOTENCY_KEY: Final = 255


async def body_of(receive: Receive, length: str | None) -> bytes:
    """The body of a request.

    Raises:
        Refusal: it is too long, or does not come.

    """
    too_large = Refusal("request_too_large", f"A body has at most {BODY:,} bytes. Send less.")
    if length is not None and (not length.isdecimal() or int(length) > BODY):
        raise too_large
    found = bytearray()
    with anyio.move_on_after(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal("client_closed_request", "The client left before it had sent its body.")
            found += message.get("body", b"")
            if len(found) > BODY:
                raise too_large
            if not message.get("more_body"):
                return bytes(found)
    raise Refusal("request_timeout", f"The body did not come within {BODY_SECONDS:g} s.")


def read_json(body: bytes) -> tuple[dict[str, Any], str]:
    """The JSON object of a body, and its text.

    Raises:
        Refusal: it is none, not in UTF-8, nested too deeply, of too many values, or has a key twice in one object: who
            reads it after us may take the other one.

    """
    try:
        text = body.decode("utf-8")
        value = _JSON.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise Refusal("invalid_value", "The body is not in UTF-8.") from None
    except ValueError as error:
        raise Refusal("invalid_value", f"The body is no JSON: {str(error)[:100]}.") from None
    if not isinstance(value, dict):
        raise Refusal("invalid_value", "The body is to be a JSON object.")
    inside: list[Any] = [value]
    many = 0
    for _ in range(DEEPEST):
        inside = [part for outer in inside for part in _parts(outer)]
        many += len(inside)
        if many > VALUES:
            raise Refusal("request_too_large", f"A body has at most {VALUES:,} values. Send fewer.")
        if not inside:
            return value, text
    raise _too_deep()


def check_sizes(body: dict[str, Any]) -> None:
    """Raises a Refusal for too many messages, tools or stops, or too large a schema."""
    for field, most in (("messages", MESSAGES), ("tools", TOOLS)):
        if isinstance(body.get(field), list) and len(body[field]) > most:
            raise Refusal("request_too_large", f"A request has at most {most:,} {field}. Send fewer.", field)
    for field in ("tools", "response_format"):
        if field in body and len(json.dumps(body[field])) > SCHEMA:
            raise Refusal("request_too_large", f"{field} has at most {SCHEMA:,} bytes. Send less.", field)
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > STOPS:
        raise Refusal("invalid_value", f"A request has at most {STOPS} stops. Send fewer.", "stop")
    top = body.get("top_logprobs")
    if isinstance(top, int) and top > LOGPROBS:
        raise Refusal("invalid_value", f"top_logprobs is at most {LOGPROBS}, not {top}.", "top_logprobs")


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice[:40]!r} stands twice in one object")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_JSON: Final = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_object)


def _too_deep() -> Refusal:
    return Refusal("request_too_large", f"The body is nested deeper than {DEEPEST} levels.")
