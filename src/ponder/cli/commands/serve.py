"""`ponder serve` and `ponder keys`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ponder.cli.commands.options import Yes

if TYPE_CHECKING:
    from ponder.core.protocols import Engine


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FILE|URL",
            help="A model to serve; repeat it for more. Else those of ponder.toml, else the default model.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where it listens; 127.0.0.1 by default.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=65535, help="8080 by default; 0 is any free one.", show_default=False
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="In the place of ponder.toml in the working folder.", show_default=False
        ),
    ] = None,
    insecure_no_auth: Annotated[
        bool, typer.Option("--insecure-no-auth", help="Ask nobody for a key, wherever it listens.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Serve models with every strategy, to any client of OpenAI's API.

    A strategy is chosen by `ponder` in the body, by X-Ponder-Strategy, or by the name of the model: MODEL@PRESET. Models on
    servers, presets, limits and where it listens stand in ponder.toml; docs/gateway.md has them all. It listens on this
    machine alone; for others, make a key first (`ponder keys create NAME`), then say --host 0.0.0.0. Ctrl-C and SIGTERM let
    running requests end; SIGHUP reads the settings again.

    Examples:
      ponder serve -m qwen2.5-coder-0.5b
      ponder serve -m http://127.0.0.1:8000/v1
      ponder serve --config ponder.toml --port 9000

    Exit codes:
      0 it was told to end
      2 a wrong word on the command line, an address that is taken, or no key where others could reach it
      3 a model file, the configuration or the file of keys cannot be used
      4 a model's server cannot be reached
    """
    from ponder.cli import opening, serving

    settings = opening.settings(config)
    engines: dict[str, Engine] = {}
    serving.serve(
        model or [],
        settings,
        lambda name, open_file: opening.engine(name, settings, engines, open_file, yes=yes, quiet=False),
        host=host,
        port=port,
        insecure=insecure_no_auth,
        given=config is not None,
    )


class KeyAction(StrEnum):
    """What is done with keys."""

    create = "create"
    list = "list"
    rotate = "rotate"
    revoke = "revoke"
    pause = "pause"
    resume = "resume"


def keys(
    action: Annotated[KeyAction, typer.Argument(help="create, list, rotate, revoke, pause or resume.")],
    name: Annotated[
        str | None,
        typer.Argument(
            help="Whose key it is to be; to rotate or revoke one, its name or id.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", metavar="BUDGET", help="All it may ever spend: 10m tokens, '$5'."),
    ] = None,
    rate: Annotated[int | None, typer.Option(metavar="N", min=1, help="Requests a minute.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="After 30d, 12h, 45min.")] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long the old secret works after rotate; not at all by default."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", metavar="NAME", help="Only this model; repeat it.")
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this preset, or none; repeat it.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", metavar="NAME", help="Where a request names none.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="What it is for: inference (by default) or metrics; repeat it."),
    ] = None,
) -> None:
    """Make, list and revoke the keys that clients of `ponder serve` bring. As soon as there is one, each needs one.

    A key is printed once, when it is made; only its hash is kept. rotate gives it a new secret, and the old one may go on
    for a while. pause lets no request in, whatever its key, until resume. All of it holds for a running server's next
    request.

    Examples:
      ponder keys create notebook --budget 1m --expires 30d
      ponder keys rotate notebook --grace 24h
      ponder keys revoke notebook
      ponder keys pause

    Exit codes:
      0 it is done
      2 a wrong word on the command line, or a name that no key has, or several
      3 the file of keys or the configuration cannot be used
    """
    from ponder.cli import opening, serving

    told = {
        "budget": budget,
        "rate": rate,
        "expires": expires,
        "grace": grace,
        "models": model or [],
        "presets": preset or [],
        "strategy": strategy,
        "scopes": scope,
    }
    serving.keys(action.value, name, opening.settings(), told)
