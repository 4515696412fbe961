"""What a run decided, in the words of OpenAI's API: choices, usage, and the `ponder` object. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ponder.store.coding import encode
from ponder.thinking.called import tool_calls
from ponder.thinking.structured import fences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.core import events as e
    from ponder.core.calls import Usage
    from ponder.core.markers import Markers
    from ponder.core.prefix import Prefix
    from ponder.core.problem import Problem
    from ponder.core.protocols import Candidate, Form, Result
    from ponder.gateway.choosing import Chosen
    from ponder.gateway.options import UsageMode

_FINISH: Final = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "cancelled": "length",
    "tool_calls": "tool_calls",
    "filtered": "content_filter",
}


@dataclass(frozen=True)
class Said:
    """One choice. `tokens` are those of what is visible."""

    content: str | None
    reasoning: str
    calls: tuple[dict[str, Any], ...]
    finish: str
    tokens: int

    def message(self) -> dict[str, Any]:
        """As the API has it; reasoning under both of its names, for clients read one or the other."""
        found: dict[str, Any] = {"role": "assistant", "content": self.content, "refusal": None}
        if self.reasoning:
            found |= {"reasoning": self.reasoning, "reasoning_content": self.reasoning}
        if self.calls:
            found["tool_calls"] = [dict(call) for call in self.calls]
        return found


def split(text: str, markers: Markers | None) -> tuple[str, str]:
    """(thinking, what is said) of a text, or of as much of it as was written so far."""
    if markers is None or not markers.end:
        return "", text
    start, begun = markers.start, text.lstrip()
    opened = not start or begun.startswith(start.strip())
    before, end, after = text.partition(markers.end)
    if end:
        return before.lstrip().removeprefix(start.strip()).strip("\n"), after.lstrip("\n")
    if opened:
        return begun.removeprefix(start.strip()).lstrip("\n"), ""
    if start.strip().startswith(begun):  # it may yet open
        return "", ""
    return "", text


def said(path: Prefix, answer: str | None, problem: Problem, markers: Markers | None) -> Said:
    """A path as a choice."""
    kept = path.before_stop if path.segments and path.segments[-1].finish == "stop" else path
    thought, content = split(kept.text, markers)
    apart = "".join(str(s.payload.extra.get("reasoning", "")) for s in path.segments if s.payload)
    finish = _FINISH[path.segments[-1].finish] if path.segments else "length"
    calls = tool_calls(path, problem.tools)
    if calls:
        return Said(None, apart + thought, calls, "tool_calls", path.tokens)
    if problem.response_format is not None and answer is not None:
        content = _as_json(content, answer)
    whole = len(apart) + len(kept.text)
    tokens = round(path.tokens * len(content) / whole) if whole and (apart or thought) else path.tokens
    return Said(content, apart + thought, (), finish, min(tokens, path.tokens))


def top(result: Result, n: int) -> list[tuple[Prefix, str | None]]:
    """The chosen path, and the paths of the next best distinct answers, `n` in all at most."""
    choice = result.choice
    if choice is None:
        return []
    if n == 1:
        return [(choice.path, choice.answer)]
    firsts: dict[str, Candidate] = {}
    for candidate in choice.candidates:
        if candidate.key is not None:
            firsts.setdefault(candidate.key, candidate)
    weights = dict(choice.votes)
    rest = sorted(
        (c for c in firsts.values() if c.answer != choice.answer),
        key=lambda c: -weights.get(c.answer or "", c.weight),
    )
    return [(choice.path, choice.answer), *((c.path, c.answer) for c in rest)][:n]


def usage_of(
    result_usage: Usage,
    chosen: Sequence[Prefix],
    choices: Sequence[Said],
    mode: UsageMode,
    candidates: Sequence[Candidate] = (),
) -> dict[str, Any]:
    """Tokens as clients read them: the prompt once, as of one call; completion tokens of all branches; reasoning is all of
    them that are not visible. In mode "billed" the prompt counts as often as it was read.
    """
    firsts = [s.usage for path in chosen for s in path.segments[:1] if s.sampled]
    if firsts and not firsts[0].prompt:  # one of several of one request, whose prompt another one paid for
        of = chosen[0].prompt
        firsts = [
            s.usage for c in candidates if c.path.prompt == of for s in c.path.segments[:1] if s.usage.prompt
        ]
    prompt = result_usage.prompt if mode == "billed" or not firsts else firsts[0].prompt
    cached = result_usage.cached if mode == "billed" or not firsts else firsts[0].cached
    visible = min(result_usage.completion, sum(choice.tokens for choice in choices))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": result_usage.completion,
        "total_tokens": prompt + result_usage.completion,
        "prompt_tokens_details": {"cached_tokens": min(cached, prompt), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": result_usage.completion - visible,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "audio_tokens": 0,
        },
    }


def receipt(
    result: Result, chosen: Chosen, request: str, counts: Mapping[str, int], spent: Usage
) -> dict[str, Any]:
    """The `ponder` object: what was chosen, how it ended, what it cost in all."""
    choice = result.choice
    votes = choice.votes if choice is not None else ()
    whole = sum(weight for _, weight in votes)
    selected = None
    if choice is not None:
        selected = next((i for i, c in enumerate(choice.candidates) if c.path == choice.path), None)
    return {
        "strategy": chosen.name,
        "preset": chosen.preset,
        "chosen_by": chosen.by,
        "trace_id": request,
        "stop": "answered" if result.stop == "finished" else result.stop,
        "samples": {"planned": getattr(chosen.strategy, "n", None), **counts},
        "vote": {"answer": votes[0][0], "share": round(votes[0][1] / whole, 4)} if votes and whole else None,
        "answer": result.answer,
        "selected": selected,
        **({"schema": _told(result.form)} if result.form is not None else {}),
        "budget": {"limit": chosen.budget.tokens, "spent": spent.completion},
        "usage": {
            "prompt_tokens_billed": spent.prompt,
            "cached_tokens_billed": spent.cached,
            "completion_tokens_billed": spent.completion,
            "scorer_tokens_billed": spent.scorer,
            "calls": spent.calls,
            "dollars": spent.dollars,
            "estimated": spent.estimated,
        },
    }


def _told(form: Form) -> dict[str, Any]:
    """Whether the answer keeps to the schema, and whether it was written anew for that."""
    return {"kept": form.kept, "rewritten": form.again, **({"why": form.why} if form.why else {})}


def trace(events: Sequence[e.Event]) -> list[dict[str, Any]]:
    """What happened, in order: each event with its kind, its place in the program, and what run files keep of it."""
    return [
        {"kind": one.kind, "place": one.place, **json.loads(encode(one), parse_constant=lambda _: None)}
        for one in events
    ]


def candidates(result: Result) -> list[dict[str, Any]]:
    """Every candidate of a run."""
    found = result.choice.candidates if result.choice else ()
    return [
        {"answer": c.answer, "text": c.path.text, "tokens": c.path.tokens, "weight": _finite(c.weight)}
        for c in found
    ]


def _finite(weight: float) -> float | None:
    return weight if abs(weight) < float("inf") else None


def _as_json(text: str, answer: str) -> str:
    """The JSON value that was chosen, as it was written, if it can be told from what stands around it."""
    for piece in (text, *(body for _, body in reversed(fences(text)))):
        try:
            json.loads(piece)
        except ValueError:
            continue
        return piece.strip()
    return answer
