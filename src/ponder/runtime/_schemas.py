"""The worker that says whether a JSON value keeps to a schema. It is a process of its own, to be killed at any moment.

`python -m ponder.runtime._schemas` answers each line `{"id": 1, "schema": {...}, "value": "{...}"}` by
`{"id": 1, "why": null}` where the value, as JSON, keeps to the schema, else by why it does not; and by
`{"id": 1, "unusable": "..."}` where the schema is none. Without a value it tells only that. A schema of a few lines can
ask for more work than there is time, by references or by patterns, so whoever asks is not to do it himself. Nothing is
fetched, whatever a schema refers to. What answers is a child of it (`runtime.forking`).
"""

from __future__ import annotations

import json
import signal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from ponder.runtime.forking import output, prepare, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY: Final = 512 << 20
HARD_LIMIT: Final = 5.0
"""Seconds of the processor until the kernel ends a worker whose owner is gone."""
LONGEST: Final = 300
"""Characters of a reason."""


def main() -> None:
    """Answer lines until standard input ends."""
    prepare(MEMORY)
    serve(answer, output())


def answer(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The one line that answers a request."""
    signal.setitimer(signal.ITIMER_PROF, HARD_LIMIT)
    try:
        yield {"id": request["id"], "why": misfit(request["schema"], request.get("value"))}
    except (ValueError, TypeError) as error:
        yield {"id": request["id"], "unusable": _short(str(error))}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def misfit(schema: str, value: str | None) -> str | None:
    """Why a value does not keep to a schema, both as JSON; None where it does, and where there is no value.

    Raises:
        ValueError, TypeError: the schema is none.

    """
    validator = _validator(schema)
    for error in validator.iter_errors(json.loads(value)) if value is not None else ():
        where = "/".join(map(str, error.instance_path))
        return _short(f"{f'at {where}: ' if where else ''}{error.message}")
    return None


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    try:
        return jsonschema_rs.validator_for(json.loads(schema), offline=True)
    except jsonschema_rs.ValidationError as error:
        raise ValueError(error.message) from None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


if __name__ == "__main__":
    main()
