"""An evaluation as logs of Inspect (inspect_ai, format 2): what `inspect view` and its `read_eval_log` open.

An Inspect log is of one task, one model and one solver. So there is one for each task and arm; an item's seeds are its
epochs. Of each attempt it has the chosen text, the texts of the other candidates as further choices of the output, the
grade, the usage, and the whole tree as the explanation of the grade.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ponder.evals.stats import accuracy, clustered_error
from ponder.evals.study import study
from ponder.runtime.draw import lines
from ponder.runtime.tree import grow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ponder.core.calls import Usage
    from ponder.evals.values import Arm, Item, Outcome, Study
    from ponder.runtime.tree import Tree
    from ponder.store import RunFile

SCORER = "ponder"
STOPS = {
    "length": "max_tokens",
    "cancelled": "unknown",
    "tool_calls": "tool_calls",
    "filtered": "content_filter",
}
"""Why a text ended, in Inspect's words; all else is "stop"."""


def inspect_logs(run: RunFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """The logs of an evaluation by the names of their files, as JSON values.

    Raises:
        StoreError: the run file is damaged.

    """
    found, created = study(run), datetime.fromtimestamp(run.meta()["created"], UTC)
    parts: dict[tuple[str, Arm], list[Outcome]] = {}
    for outcome in found.outcomes:
        item = found.items[outcome.item]
        parts.setdefault((item.task or "task", outcome.arm), []).append(outcome)
    for (task, arm), outcomes in parts.items():
        name = f"{found.name} {task} {arm}"
        id_ = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=11).hexdigest()
        words = re.sub(r"[^a-zA-Z0-9]+", "-", f"{task}-{arm.strategy}-{arm.budget}").strip("-")[:80]
        yield (
            f"{created:%Y-%m-%dT%H-%M-%S+00-00}_{words}_{id_}.json",
            _log(run, found, task, arm, outcomes, created.isoformat(timespec="seconds"), id_),
        )


def _log(
    run: RunFile, found: Study, task: str, arm: Arm, outcomes: Sequence[Outcome], created: str, id_: str
) -> dict[str, Any]:
    epochs = {seed: epoch for epoch, seed in enumerate(found.seeds, 1)}
    items = [found.items[name] for name in dict.fromkeys(o.item for o in outcomes)]
    samples = [
        _sample(found.items[o.item], o, epochs[o.seed], found.model, grow(run.events(int(o.attempt))))
        for o in outcomes
    ]
    spent = _total(outcomes)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": id_,
            "run_id": found.name,
            "created": created,
            "task": task,
            "task_id": id_,
            "solver": arm.strategy,
            "solver_args": {"budget": arm.budget},
            "dataset": {"name": task, "samples": len(items), "sample_ids": [i.problem.id for i in items]},
            "model": found.model,
            "config": {"epochs": len(epochs)},
            "packages": dict(found.versions),
            "metadata": {
                "budget": arm.budget,
                "command": list(found.command),
                "oracle": arm.oracle,
                "simulated": found.simulated,
            },
        },
        "plan": {"name": "plan", "steps": [{"solver": arm.strategy, "params": {"budget": arm.budget}}]},
        "results": _results(outcomes),
        "stats": {
            "started_at": created,
            "completed_at": created,
            "model_usage": {found.model: _usage(spent)},
        },
        "samples": samples,
    }


def _sample(item: Item, outcome: Outcome, epoch: int, model: str, tree: Tree) -> dict[str, Any]:
    asked = [{"role": m.role, "content": m.text} for m in item.problem.messages]
    choices = _choices(tree)
    sample: dict[str, Any] = {
        "id": item.problem.id,
        "epoch": epoch,
        "input": asked,
        "target": item.gold or "",
        "messages": [*asked, *(choice["message"] for choice in choices[:1])],
        "output": {"model": model, "choices": choices, "usage": _usage(outcome.usage)},
        "metadata": {
            "family": item.family,
            "level": item.level,
            "stop": outcome.stop,
            "seed": outcome.seed,
            "calls": outcome.usage.calls,
            "scorer_tokens": outcome.usage.scorer,
            "failed_calls": outcome.failed,
            "depth": outcome.depth,
            "votes": [list(vote) for vote in outcome.votes if math.isfinite(vote[1])],
        },
        "model_usage": {model: _usage(outcome.usage)},
        "total_time": outcome.seconds,
        "uuid": f"{outcome.attempt}-{epoch}",
    }
    if outcome.correct is not None:
        sample["scores"] = {
            SCORER: {
                "value": "C" if outcome.correct else "I",
                "answer": outcome.answer or "",
                "explanation": "\n".join(lines(tree, width=110, max_text=60)),
            }
        }
    if outcome.error:
        sample["error"] = {
            "message": outcome.error,
            "traceback": outcome.error,
            "traceback_ansi": outcome.error,
        }
    return sample


def _choices(tree: Tree) -> list[dict[str, Any]]:
    """The texts of the paths whose answers were read, the chosen one first."""
    chosen = tree.finished.path if tree.finished else ""
    places = [
        place
        for place, node in tree.nodes.items()
        if node.status == "ok" and (node.answer is not None or not node.children)
    ]
    places.sort(key=lambda place: place != chosen)
    found = []
    for place in places:
        text, at = "", place
        while (node := tree.nodes.get(at)) is not None:
            text, at = node.written + node.text + text, node.parent
        finish = tree.nodes[place].finish or ""
        found.append(
            {"message": {"role": "assistant", "content": text}, "stop_reason": STOPS.get(finish, "stop")}
        )
    return found


def _results(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Accuracy over items, and its error, which counts items and not attempts."""
    graded: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.correct is not None:
            graded.setdefault(outcome.item, []).append(float(outcome.correct))
    scores = []
    if graded:
        values = {"accuracy": accuracy(graded).value}
        if len(graded) > 1:
            values["stderr"] = clustered_error(graded)
        scores.append(
            {
                "name": SCORER,
                "scorer": SCORER,
                "scored_samples": sum(map(len, graded.values())),
                "unscored_samples": sum(outcome.correct is None for outcome in outcomes),
                "metrics": {name: {"name": name, "value": value} for name, value in values.items()},
            }
        )
    return {
        "total_samples": len(outcomes),
        "completed_samples": sum(outcome.stop != "failed" for outcome in outcomes),
        "scores": scores,
    }


def _total(outcomes: Sequence[Outcome]) -> Usage:
    first, *others = (outcome.usage for outcome in outcomes)
    return sum(others, first)


def _usage(usage: Usage) -> dict[str, int]:
    """Inspect counts cached tokens apart from the others of the prompt."""
    return {
        "input_tokens": usage.prompt - usage.cached,
        "input_tokens_cache_read": usage.cached,
        "output_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }
