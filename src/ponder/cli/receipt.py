"""How a run ends: the answer, the receipt, and the exit code."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ponder.cli.terminal import emit, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.calls import Budget, Usage
    from ponder.core.protocols import Engine, Result, Strategy


def show(result: Result, elapsed: float, *, quiet: bool) -> None:
    """The answer on stdout; on stderr what it cost, or why there is none."""
    if result.answer is None:
        say(why_nothing(result))
        return
    emit(result.answer)
    if not quiet:
        usage = result.usage
        ended = {"budget": "the budget ended it", "deadline": "time ended it", "cancelled": "you ended it"}
        about = "about " if usage.estimated else ""  # a server did not count, or a call was cut off unseen
        notes = (
            f"{about}{usage.completion:,} completion + {usage.prompt:,} prompt tokens ({usage.cached:,} cached)",
            f"{usage.scorer:,} scorer tokens" if usage.scorer else "",
            f"${usage.dollars:.6f}" if usage.nanodollars else "",
            f"{_many(usage.calls, 'call')}, {elapsed:.1f} s",
            ended.get(result.stop, ""),
            f"{result.failed} failed" if result.failed else "",
            f"{_many(result.overthought, 'call')} thought longer than asked" if result.overthought else "",
            f"ponder view {result.trace}" if result.trace else "",
        )
        say(" · ".join(filter(None, notes)))
        roles = {role: part for role, part in (result.roles or {}).items() if part.calls}
        if len(roles) > 1:
            say(" · ".join(f"{role} {_told(part)}" for role, part in roles.items()))


def _told(usage: Usage) -> str:
    """What one role cost."""
    calls = f"{usage.calls} {'call' if usage.calls == 1 else 'calls'}"
    return f"{usage.completion:,} + {usage.prompt:,} in {calls}"


def show_json(
    result: Result,
    elapsed: float,
    strategy: Strategy,
    engines: Mapping[str, Engine],
    budget: Budget,
    seed: int,
) -> None:
    """All of it as one JSON object on stdout."""
    choice = result.choice
    body: dict[str, Any] = {
        "answer": result.answer,
        "votes": [{"answer": answer, "weight": _finite(w)} for answer, w in (choice.votes if choice else ())],
        "candidates": [
            {"answer": c.answer, "text": c.path.text, "tokens": c.path.tokens, "weight": _finite(c.weight)}
            for c in (choice.candidates if choice else ())
        ],
        "usage": _body(result.usage),
        "roles": {role: _body(usage) for role, usage in (result.roles or {}).items()},
        "stop": result.stop,
        "failed": result.failed,
        "overthought": result.overthought,
        "elapsed": round(elapsed, 3),
        "strategy": str(strategy),
        "model": engines["solver"].capabilities.name,
        "models": {role: engine.capabilities.name for role, engine in engines.items()},
        "budget": str(budget),
        "seed": seed,
        "run": result.trace or None,
    }
    emit(json.dumps(body, ensure_ascii=False))
    if result.answer is None:
        say(why_nothing(result))


def _body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt": usage.prompt,
        "cached": usage.cached,
        "completion": usage.completion,
        "scorer": usage.scorer,
        "calls": usage.calls,
        "seconds": round(usage.seconds, 3),
        "dollars": usage.dollars,
        "estimated": usage.estimated,
    }


def why_nothing(result: Result) -> str:
    """One sentence on why there is no answer, and what to do."""
    usage = result.usage
    after = f"after {_many(usage.completion, 'completion token')} in {_many(usage.calls, 'call')}"
    look = f" ponder view {result.trace} shows what was written." if result.trace and usage.calls else ""
    match result.stop:
        case "budget":
            return f"No answer: the budget ended first, {after}. Give more with -b, for example -b 4k.{look}"
        case "deadline":
            return f"No answer: time was up {after}. Give more with -b, for example -b 4k,60s.{look}"
        case "cancelled":
            return f"No answer: you ended it {after}.{look}"
    paths = [c.path for c in result.choice.candidates] if result.choice else []
    if any(path.cut for path in paths):
        return (
            f"No answer: the model came to no end, {after}. "
            f"Allow it more, for example with -s chain-of-thought:max_tokens=1024.{look}"
        )
    return f"No answer was found in what the model wrote, {after}. Perhaps --kind says how to read it.{look}"


def code(result: Result) -> int:
    """The exit code; `cli.app` lists them."""
    if result.stop == "cancelled":
        return 130
    if result.answer is None:
        return 1
    return 5 if result.failed else 0


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _finite(weight: float) -> float | None:
    """JSON knows no infinity."""
    return weight if math.isfinite(weight) else None
