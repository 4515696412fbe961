"""`ponder mock`."""

from __future__ import annotations

from typing import Annotated

import typer


def mock(
    dialect: Annotated[
        str, typer.Option(metavar="NAME", help="vllm, sglang, llama-server or openai: whose words it speaks.")
    ] = "vllm",
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME", help="The simulated model that answers.")
    ] = "simulated",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 is any free one.")] = 8000,
    latency: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds before the first token.")] = 0.0,
    pace: Annotated[float, typer.Option(metavar="S", min=0, help="Seconds for each token.")] = 0.0,
    faults: Annotated[
        str,
        typer.Option(metavar="FAULTS", help="What goes wrong how often: usual, or 500=5%,reset=1%,stall=1%."),
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the faults.")] = 0,
) -> None:
    """Serve a simulated model, with faults on demand, for tests and demonstrations.

    It answers on this machine only. GET /mock/counters tells what it sees of its clients.

    Examples:
      ponder mock --dialect llama-server --port 8080
      ponder mock --faults usual --pace 0.02
    """
    from ponder.cli import mocking

    mocking.serve(dialect, model, port, latency, pace, faults, seed)
