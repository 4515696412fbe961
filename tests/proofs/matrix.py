"""The clients of other projects against the gateway."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clients.cases import CASES
from clients.matrix import CLIENTS, outcome
from serving import run

from ponder.models import pull
from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier


@row(
    "R19",
    f"Clients of other projects get what they ask for, each in {len(CASES)} cases: answers, streams, tools, JSON, images, errors, "
    "strategies in four ways, models, leaving, waiting no longer",
    "100 % of the cases that a client has words for; tier C runs openai for Python and curl, tier N all that `make clients` installs",
)
def matrix(folder: Path, tier: Tier) -> Figure:
    model = pull("smollm2-135m", into=os.environ.get("PONDER_MODELS"))
    told, held = [], True
    for i, client in enumerate(CLIENTS):
        if client.command is None or (tier == "C" and client.peer):
            continue
        (folder / str(i)).mkdir()
        got = run(outcome, client, model, folder / str(i), seconds=600)
        held &= not got.failed
        without = f" ({len(got.without)} n/a)" if got.without else ""
        failed = f", FAILED: {', '.join(got.failed)}" if got.failed else ""
        told.append(f"{client.name} {len(got.passed)} of {len(CASES) - len(got.without)}{without}{failed}")
    missing = [client.name for client in CLIENTS if client.command is None]
    if missing and tier == "N":
        told.append(f"not installed: {', '.join(missing)}")
    return Figure("; ".join(told), held=held and not (missing and tier == "N"))
