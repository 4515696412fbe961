"""What a run is given beside the engines of its models."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.config.setting import Settings
    from ponder.core.protocols import Engine, Memory, Scorer
    from ponder.evals.policies import Policies
    from ponder.sandbox import Sandbox


def simulated(name: str | None) -> Engine | None:
    """The simulated model, where that is what a name means: "simulated", or with parameters "simulated:skill=0.5"."""
    if name is None or name.partition(":")[0] != "simulated":
        return None
    from ponder.evals.simulated import Simulated

    return Simulated.named(name)


def close(engine: Engine) -> None:
    """Close an engine that can be closed."""
    if callable(end := getattr(engine, "close", None)):
        end()


@cache
def scorers() -> Mapping[str, Scorer]:
    """Every scorer by its text, "judge:samples=3"; one of each in a process, for some hold weights."""
    from ponder.evals.simulated import SimulatedScorer
    from ponder.scorers import ByName

    return ByName({SimulatedScorer.name: SimulatedScorer})


def policies(settings: Settings) -> Policies:
    """Every policy by its name, or by the path of its file, as these settings have them."""
    from ponder.evals.policies import Policies

    return Policies(settings.policies)


def memory(place: str | Path) -> Memory:
    """The memory that a path means: its passages found by words, or by meaning after "embeddings:".

    Raises:
        UsageError: there is no text there.
        Unsupported: embeddings are asked for, and their extra is not installed.

    """
    from ponder.memory import BM25, MiniLM, Vectors, passages

    how, colon, rest = str(place).partition(":")
    if colon and how == "embeddings":
        os.environ.setdefault(
            "HF_HUB_OFFLINE", "1"
        )  # the package holds its model; no hub is asked what is new
        return Vectors(passages(Path(rest).expanduser()), MiniLM())
    return BM25(passages(Path(place).expanduser()))


@cache
def sandbox() -> Sandbox:
    """Where programs that a model wrote are run; one in a process. None is started before it is needed."""
    from ponder.sandbox import Sandbox

    return Sandbox()
