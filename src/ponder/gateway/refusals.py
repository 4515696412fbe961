"""What a client is told when it cannot be served, in one table: every error of ours has a row, and nothing else is said.

A message says what happened, which field, what is allowed and what to do next. No key of a server, no URL's password
and no traceback is ever in one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ponder.core import errors as e
from ponder.models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(NamedTuple):
    """One row: the status, OpenAI's `type`, and when."""

    status: int
    type: str
    when: str


_BAD, _AUTH, _MAY, _RATE, _UP, _BUSY = (
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "rate_limit_error",
    "upstream_error",
    "overloaded_error",
)

KINDS: Final[dict[str, Kind]] = {
    "invalid_value": Kind(400, _BAD, "a field has a value of the wrong form"),
    "invalid_ponder_param": Kind(400, _BAD, "`ponder`, a strategy or one of its parameters makes no sense"),
    "unsupported_parameter": Kind(400, _BAD, "a field that this strategy, model or server does not take"),
    "context_length_exceeded": Kind(400, _BAD, "prompt and answer do not fit the model"),
    "invalid_api_key": Kind(401, _AUTH, "no key, or one that is wrong, expired or revoked"),
    "permission_denied": Kind(403, _MAY, "the key may not use this route, model or preset"),
    "host_not_allowed": Kind(403, _MAY, "Host or Origin is not on the list"),
    "model_not_found": Kind(404, _BAD, "no such model; near names are listed"),
    "not_found": Kind(404, _BAD, "no such route"),
    "method_not_allowed": Kind(405, _BAD, "the route takes another method"),
    "request_timeout": Kind(408, _BAD, "the body did not come in time"),
    "idempotency_conflict": Kind(409, _BAD, "the same Idempotency-Key with another body"),
    "request_too_large": Kind(413, _BAD, "body, messages, tools or nesting beyond the limits"),
    "unsupported_media_type": Kind(415, _BAD, "the body is not application/json, or compressed"),
    "rate_limit_exceeded": Kind(429, _RATE, "too many requests a minute, or at once, by this key"),
    "insufficient_quota": Kind(429, _RATE, "the budget of the key or the server is spent"),
    "budget_exhausted": Kind(429, _RATE, "the request's budget ended before any answer"),
    "client_closed_request": Kind(499, _BAD, "the client left; only the log and /metrics say so"),
    "internal_error": Kind(500, "server_error", "a mistake of ours; the log has it"),
    "upstream_error": Kind(502, _UP, "the model, or the way to it, failed, tries included"),
    "schema_not_kept": Kind(
        502, _UP, "the answer does not keep to the JSON schema, and writing it anew did not help"
    ),
    "all_samples_failed": Kind(502, _UP, "every sample failed"),
    "overloaded": Kind(503, _BUSY, "too many requests are served, and wait"),
    "paused": Kind(503, _BUSY, "someone paused this server"),
    "shutting_down": Kind(503, _BUSY, "the server ends; ask another, or later"),
    "deadline_exceeded": Kind(504, _UP, "the deadline came before any answer"),
}
"""By `code`."""

ERRORS: Final[dict[type[Exception], str]] = {
    e.UnknownName: "invalid_ponder_param",
    e.Refused: "upstream_error",
    e.NoSandbox: "unsupported_parameter",
    e.Unsupported: "unsupported_parameter",
    e.UsageError: "invalid_value",
    e.OutOfBudget: "budget_exhausted",
    e.ContextOverflow: "context_length_exceeded",
    e.ModelFileError: "upstream_error",
    e.EngineClosed: "shutting_down",
    e.BadScore: "upstream_error",
    e.TransientError: "upstream_error",
    e.EngineError: "upstream_error",
    e.AllFailed: "all_samples_failed",
    e.StoreError: "internal_error",
    ModelError: "upstream_error",
    e.PonderError: "internal_error",
    Exception: "internal_error",
}
"""What each error of ours is told as; the first class above it that has a row."""


class Refusal(e.PonderError):
    """Why a request is not served.

    Args:
        code: one of `KINDS`.
        message: for the client.
        param: the field that is to blame.
        headers: of the answer, beside those that go with the code.

    """

    def __init__(
        self, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.param = code, param
        self.headers = dict(headers or {})
        self.spent = 0  # completion tokens

    @property
    def status(self) -> int:
        return KINDS[self.code].status

    @property
    def body(self) -> dict[str, Any]:
        """The envelope that OpenAI's clients read."""
        told = {
            "message": str(self),
            "type": KINDS[self.code].type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": told}

    def all_headers(self) -> dict[str, str]:
        """With what tells a client whether to try again: never where tokens were spent."""
        found = dict(self.headers)
        if self.status in (429, 503):
            found.setdefault("retry-after", "1")
        if self.spent or self.code in ("idempotency_conflict", "budget_exhausted", "insufficient_quota"):
            found["x-should-retry"] = "false"
        return found


def refusal(error: Exception, *, spent: int = 0) -> Refusal:
    """An error as a client is told it; `spent` are the completion tokens that it cost."""
    if isinstance(error, Refusal):
        error.spent = max(error.spent, spent)
        return error
    inner: Exception = error
    while isinstance(inner, e.AllFailed) and isinstance(inner.errors[0], e.UsageError | e.ContextOverflow):
        inner = inner.errors[0]
    code = next(ERRORS[cls] for cls in type(inner).__mro__ if cls in ERRORS)
    ours = isinstance(inner, e.PonderError)
    message = (
        str(inner) if ours else "The server made a mistake. Its log says more; look for the x-request-id."
    )
    found = Refusal(code, message)
    found.spent = spent
    for one in (inner, *getattr(inner, "errors", ())):
        if getattr(one, "tries", 1) > 1:  # tries are made here, and nobody else is to multiply them
            found.headers["x-should-retry"] = "false"
        elif after := getattr(one, "retry_after", None):
            found.headers["retry-after"] = str(math.ceil(after))
    return found
