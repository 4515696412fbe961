"""Prints what hostile programs try, and whether the sandbox holds: `make sandbox-attacks`."""

# ruff: noqa: T201
from __future__ import annotations

import sys

import anyio

from ponder.core.errors import NoSandbox
from ponder.sandbox.strength import strength


def main() -> int:
    try:
        found = anyio.run(strength)
    except NoSandbox as error:
        print(error)
        return 2
    print("| attack | kind | held | seconds | what came of it |\n|---|---|---|---|---|")
    for one in found.tried:
        outcome = one.outcome.replace("|", "\\|").replace("\n", " ")[:90]
        print(
            f"| {one.name} | {one.family} | {'yes' if one.held else '**NO**'} | {one.seconds:.2f} | {outcome} |"
        )
    print(f"\n{found}")
    return 0 if found.held else 1


if __name__ == "__main__":
    sys.exit(main())
