"""Whether the answer of every strategy keeps to a JSON schema, on a real model.

python benchmarks/forms.py MODEL [--only STRATEGY ...]

MODEL is a name, a file or a server's address. Each strategy gets one question, small parameters and a budget of 1,500
tokens and 150 seconds. The answer is checked here once more, with the schema, by the validator.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any, Final

import anyio
import jsonschema_rs

import ponder
from ponder.core.problem import Message
from ponder.strategies import CATALOGUE, parse

SCHEMA: Final = {
    "type": "object",
    "properties": {"left": {"type": "integer"}, "sentence": {"type": "string", "maxLength": 60}},
    "required": ["left", "sentence"],
    "additionalProperties": False,
}
ASKED: Final = ponder.Problem(
    "pencils",
    (
        Message(
            "user",
            "A box holds 12 pencils. Tom buys 3 boxes and gives 7 pencils away. How many are left? Reply as JSON.",
        ),
    ),
    response_format={"type": "json_schema", "json_schema": {"name": "pencils", "schema": SCHEMA}},
)
MOST: Final = {
    "n": 4, "k": 2, "w": 2, "f": 2, "d": 1, "K": 3, "width": 2, "iterations": 2, "depth": 3, "rollouts": 2, "rounds": 2,
    "warmup": 2, "window": 2, "layers": 2, "sets": 2, "waits": 1, "max_tokens": 96, "max_thinking": 96,
    "max_answer": 48, "max_feedback": 64,
}  # fmt: skip
"""The most that each parameter is here: small, for a small model on a busy machine."""


def small(name: str) -> Any:
    """The strategy with small parameters, as far as it makes sense with them."""
    it: Any = parse(name)
    for field, most in MOST.items():
        if isinstance(getattr(it, field, None), int) and getattr(it, field) > most:
            try:
                it = dataclasses.replace(it, **{field: most})
            except ponder.UsageError:
                continue
    return it


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--only", nargs="+", choices=sorted(CATALOGUE), default=sorted(CATALOGUE))
    asked = parser.parse_args()
    engine = await anyio.to_thread.run_sync(ponder.load, asked.model)
    kept = 0
    print(f"{'strategy':24} {'keeps to it':12} {'written anew':13} {'ended':9} calls tokens seconds")
    for name in asked.only:
        started = time.monotonic()
        try:
            result = await ponder.asolve(ASKED, small(name), model=engine, budget="1500,150s", seed=1)
        except ponder.PonderError as error:
            print(f"{name:24} {type(error).__name__}: {error}", flush=True)
            continue
        valid = result.answer is not None and jsonschema_rs.is_valid(SCHEMA, json.loads(result.answer))
        again = result.form is not None and result.form.again
        kept += valid
        print(
            f"{name:24} {'yes' if valid else 'no':12} {'yes' if again else 'no':13} {result.stop:9} "
            f"{result.usage.calls:5} {result.usage.completion:6} {time.monotonic() - started:7.1f}",
            flush=True,
        )
    print(f"{kept} of {len(asked.only)} keep to the schema")


if __name__ == "__main__":
    anyio.run(main)
