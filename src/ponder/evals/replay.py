"""An evaluation again without its model: other votes and stopping rules, or grades anew, on the samples it drew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ponder.core.errors import UsageError
from ponder.core.protocols import Capabilities
from ponder.evals.study import item_of
from ponder.store import Samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Engine, Watch
    from ponder.evals.values import Item
    from ponder.store import RunFile

OWN_METHODS = frozenset({"scores", "embeddings"})
"""Abilities that are more than drawing samples."""


class NoModel:
    """An engine of an earlier evaluation, of which only the samples are left; a pool hands those out."""

    def __init__(self, run: str, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._run = run

    async def extend(  # the signature is an engine's
        self,
        prefix: Prefix,  # noqa: ARG002
        sampling: Sampling,  # noqa: ARG002
        watch: Watch | None = None,  # noqa: ARG002
    ) -> Segment:
        """There is nothing to extend with.

        Raises:
            UsageError: always. Not an EngineError, for a vote goes on without a sample that fails, and this one must not.

        """
        raise UsageError(
            f"The run {self._run} has no such sample, and a replay asks no model. Only strategies that draw what that run "
            "drew, with the same temperature, top_k, shots and max_tokens, and no more of it, can be replayed."
        )


def replay(
    run: RunFile,
) -> tuple[tuple[Item, ...], tuple[int, ...], dict[str, NoModel], Mapping[tuple[str, int], Segment]]:
    """The items of an evaluation, its seeds, its engines by role without their models, and all samples it drew.

    A sample is read when it is asked for, while the run file is open.

    Raises:
        UsageError: it was recorded before replays were possible.

    """
    about = run.meta()["evaluation"]
    if "can" not in about:
        raise UsageError(
            f"The run {run.path.stem} does not say what its engine could do. Run its command again first."
        )
    items = tuple(item_of(name, body) for name, body in run.items().items())
    engines = {"solver": _engine(run, about)}
    for role, other in about.get("roles", {}).items():
        engines[role] = engines[other["as"]] if "as" in other else _engine(run, other)
    return items, tuple(about["seeds"]), engines, Samples(run)


def _engine(run: RunFile, about: Mapping[str, Any]) -> NoModel:
    can = frozenset(about["can"]) - OWN_METHODS
    return NoModel(run.path.stem, Capabilities(about["model"], can, about["context"], about["tokenizer"]))


def told(engines: Mapping[str, Engine]) -> dict[str, Any]:
    """What a run file says of its engines, for `replay`: the solver's, and under "roles" those of other roles. A role
    with the engine of an earlier one says which.
    """
    first: dict[int, str] = {}
    others: dict[str, Any] = {}
    for role, engine in engines.items():
        with_it = first.setdefault(id(engine), role)
        if role != "solver":
            others[role] = {"as": with_it} if with_it != role else _told(engine.capabilities)
    return _told(engines["solver"].capabilities) | ({"roles": others} if others else {})


def _told(of: Capabilities) -> dict[str, Any]:
    return {"model": of.name, "tokenizer": of.tokenizer, "can": sorted(of.can), "context": of.context}
