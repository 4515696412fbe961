"""What a request asks for: the body of a chat or of a raw completion as our values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from ponder.core.errors import UnknownName
from ponder.core.problem import KINDS, Message, Problem
from ponder.gateway.limits import CHOICES, MOST_TOKENS
from ponder.gateway.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.problem import Kind

Form = Literal["chat", "completions"]

PONDER: Final = {
    "strategy": "a preset or a strategy; GET /v1/strategies lists both",
    "params": "parameters of the strategy",
    "budget_tokens": "the most completion tokens of all calls of this request",
    "budget": "the same as ponder writes it: 4k,30s",
    "deadline_s": "seconds until the answer, or the best so far",
    "on_exhausted": "best_so_far or error",
    "return": "answer, candidates or trace",
    "progress": "comments, reasoning or none: how a stream tells how it goes",
    "kind": "how answers are read and compared",
}
"""What stands in `ponder`, in the body of a request."""

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
TEMPERATURE: Final = (1.0, 0.0, 2.0)
TOP_P: Final = (1.0, 1e-6, 1.0)
"""What it is where nobody says it, and its bounds."""
_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "stop": (None, [], ""),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "prediction": (None,),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "functions": (None, []),
    "function_call": (None,),
    "suffix": (None, ""),
    "echo": (None, False),
    "best_of": (None, 1),
}
"""Fields that only `none` passes on, with the values that mean nothing."""


@dataclass(frozen=True)
class Asked:
    """One request. `body` is the JSON it came as, `raw` its text; `max_tokens` None leaves it to the strategy."""

    form: Form
    body: Mapping[str, Any]
    raw: str
    model: str
    problem: Problem | None
    n: int = 1
    stream: bool = False
    usage: bool = False
    max_tokens: int | None = None
    seed: int | None = None
    effort: str | None = None
    ponder: Mapping[str, Any] = field(default_factory=dict)

    def check_for_strategy(self, name: str) -> None:
        """Raises a Refusal where a field asks for what no strategy does, or makes no sense."""
        number(self.body, "temperature", *TEMPERATURE)
        number(self.body, "top_p", *TOP_P)
        for key, neutral in _NEUTRAL.items():
            if key in self.body and self.body[key] not in neutral:
                raise Refusal(
                    "unsupported_parameter",
                    f"{name} does not take {key}: its calls have their own. Leave it out, or use the strategy none.",
                    key,
                )


def read(form: Form, body: Mapping[str, Any], raw: str) -> Asked:
    """A request's body, after `limits.check_sizes`.

    Raises:
        Refusal: a field makes no sense; `param` names it.

    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(
            "invalid_value", "model is to be the name of a model. GET /v1/models lists them.", "model"
        )
    options = _object(body, "stream_options")
    most, completion = _count(body, "max_tokens"), _count(body, "max_completion_tokens")
    if most is not None and completion is not None and most != completion:
        raise Refusal(
            "invalid_value",
            "max_tokens and max_completion_tokens differ. Give the latter alone.",
            "max_tokens",
        )
    n = _count(body, "n") or 1
    if n > CHOICES:
        raise Refusal("invalid_value", f"n is at most {CHOICES}, not {n}.", "n")
    seed = body.get("seed")
    if seed is not None and (
        not isinstance(seed, int) or isinstance(seed, bool) or not -(1 << 63) <= seed < 1 << 63
    ):
        raise Refusal("invalid_value", "seed is to be a whole number of 64 bits.", "seed")
    effort = body.get("reasoning_effort")
    if effort is not None and not isinstance(effort, str):
        raise Refusal("invalid_value", "reasoning_effort is to be a text.", "reasoning_effort")
    ponder = _ponder({} if body.get("ponder") is None else body["ponder"])
    return Asked(
        form,
        body,
        raw,
        model,
        _problem(body, ponder) if form == "chat" else _raw(body),
        n,
        _flag(body, "stream"),
        _flag(options, "include_usage"),
        completion if completion is not None else most,
        seed,
        effort,
        ponder,
    )


def _ponder(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise Refusal("invalid_ponder_param", "ponder is to be an object.", "ponder")
    for key in given:
        if key not in PONDER:
            raise Refusal(
                "invalid_ponder_param", str(UnknownName("field in ponder", key, PONDER)), f"ponder.{key}"
            )
    budget = given.get("budget")
    if not isinstance(budget, str | int | None) or isinstance(budget, bool):
        raise Refusal("invalid_ponder_param", "ponder.budget is to be a text, 4k,30s.", "ponder.budget")
    for key, known in (
        ("on_exhausted", ("best_so_far", "error")),
        ("return", ("answer", "candidates", "trace")),
        ("progress", ("comments", "reasoning", "none")),
        ("kind", KINDS),
    ):
        if key in given and given[key] not in known:
            raise Refusal(
                "invalid_ponder_param",
                f"ponder.{key} is one of {', '.join(known)}, not {given[key]!r}.",
                f"ponder.{key}",
            )
    return given


def _problem(body: Mapping[str, Any], ponder: Mapping[str, Any]) -> Problem:
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise Refusal("invalid_value", "messages is to be a list of at least one message.", "messages")
    messages = tuple(_message(m, f"messages[{i}]") for i, m in enumerate(given))
    tools = [] if body.get("tools") is None else body["tools"]
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Refusal("invalid_value", "tools is to be a list of objects.", "tools")
    if body.get("tool_choice") == "none":
        tools = []
    form = body.get("response_format")
    if form is not None and (
        not isinstance(form, dict) or form.get("type") not in ("text", "json_object", "json_schema")
    ):
        raise Refusal(
            "invalid_value",
            "response_format has the type text, json_object or json_schema.",
            "response_format",
        )
    if form is not None and form["type"] == "text":
        form = None
    if (
        form is not None
        and form["type"] == "json_schema"
        and not isinstance(_object(form, "json_schema").get("schema"), dict)
    ):
        raise Refusal("invalid_value", "response_format.json_schema needs a schema.", "response_format")
    kind: Kind = "json" if form else ponder.get("kind", "auto")
    # Named by what was said, so that the same seed draws the same samples.
    name = "r-" + hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:12]
    return Problem(name, messages, kind, tools=tuple(tools), response_format=form)


def _message(given: Any, where: str) -> Message:
    if not isinstance(given, dict) or given.get("role") not in ROLES:
        raise Refusal("invalid_value", f"{where} needs a role, one of {', '.join(ROLES)}.", f"{where}.role")
    role = "system" if given["role"] == "developer" else given["role"]
    content = given.get("content")
    if content is None:
        content = ""
    elif isinstance(content, list):
        for i, part in enumerate(content):
            _check_part(part, f"{where}.content[{i}]")
        if all(part["type"] == "text" for part in content):
            content = "".join(part["text"] for part in content)
        else:
            content = tuple(content)
    elif not isinstance(content, str):
        raise Refusal(
            "invalid_value", f"{where}.content is to be a text or a list of parts.", f"{where}.content"
        )
    return Message(role, content, {key: v for key, v in given.items() if key not in ("role", "content")})


def _check_part(part: Any, where: str) -> None:
    """Texts, and images that are in the request itself: nothing is fetched."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return
    if kind == "image_url" and isinstance(part.get("image_url"), dict):
        if str(part["image_url"].get("url", "")).startswith("data:image/"):
            return
        raise Refusal(
            "unsupported_parameter",
            f"{where} is an image at a URL, and this server fetches none. Send it inline, as data:image/...;base64,...",
            where,
        )
    raise Refusal(
        "unsupported_parameter", f"{where} is neither a text nor an image that is sent inline.", where
    )


def _raw(body: Mapping[str, Any]) -> Problem:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise Refusal("invalid_value", "prompt is to be one text.", "prompt")
    return Problem("raw", (Message("user", prompt),), "open")


def stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts at which an answer ends.

    Raises:
        Refusal: it is no text and no list of texts.

    """
    stop = body.get("stop")
    found = () if stop in (None, "") else (stop,) if isinstance(stop, str) else stop
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) and one for one in found):
        raise Refusal("invalid_value", "stop is to be a text or a list of texts.", "stop")
    return tuple(found)


def number(body: Mapping[str, Any], key: str, default: float, low: float, high: float) -> float:
    """A number of a body.

    Raises:
        Refusal: it is none, or not within its bounds.

    """
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        told = repr(value)[:40]
        raise Refusal("invalid_value", f"{key} is to be a number from {low:g} to {high:g}, not {told}.", key)
    return float(value)


def _object(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise Refusal("invalid_value", f"{key} is to be an object.", key)
    return value or {}


def _count(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_TOKENS:
        told = repr(value)[:40]
        raise Refusal(
            "invalid_value", f"{key} is to be a whole number from 1 to {MOST_TOKENS:,}, not {told}.", key
        )
    return value


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refusal("invalid_value", f"{key} is true or false.", key)
    return bool(value)
