"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FILE|URL",
        help="A name from `ponder models` or ponder.toml, the path of a GGUF file, or a server: http://host:8000/v1#model.",
        show_default=False,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="[ROLE=]NAME|FILE|URL",
        help=(
            "A name from `ponder models` or ponder.toml, the path of a GGUF file, or a server: "
            "http://host:8000/v1#model. Repeat it with a role for each that has a model of "
            "its own: -m A -m feedback=B. The solver plays all others."
        ),
        show_default=False,
    ),
]
MemoryOf = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="FOLDER|FILE",
        help="Texts that the strategy may recall, found by words; embeddings:FOLDER finds them by meaning.",
        show_default=False,
    ),
]
RayAt = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[HOST:PORT|auto|local]",
        help="Make the attempts on a Ray cluster: the one at that address, or without one that which runs here, "
        "else one of this machine alone.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="With --ray: each opens the model itself. One a machine if not said.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Fetch the model without asking.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")]
ReportTo = Annotated[
    str | None, typer.Option("--report", metavar="FILE", help="Write the report there, as one HTML file.")
]
Evaluation = Annotated[str | None, typer.Argument(metavar="RUN", help="An evaluation's id; else the newest.")]
