"""The gateway's interface as an OpenAPI document: what a body may be, what comes back, and every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ponder import __version__
from ponder.core.problem import KINDS as ANSWERS
from ponder.gateway.asked import PONDER, ROLES, TEMPERATURE, TOP_P
from ponder.gateway.choosing import HEADERS
from ponder.gateway.limits import CHOICES, MESSAGES, MOST_TOKENS, NAME, STOPS, TOOLS
from ponder.gateway.options import EFFORTS, NONE
from ponder.gateway.refusals import KINDS
from ponder.strategies import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKENS: Final = {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_TOKENS}
_FLAG: Final = {"type": ["boolean", "null"]}
_PART: Final = {
    "oneOf": [
        {
            "type": "object",
            "required": ["type", "text"],
            "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
        },
        {
            "type": "object",
            "required": ["type", "image_url"],
            "properties": {
                "type": {"const": "image_url"},
                "image_url": {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"url": {"type": "string", "pattern": "^data:image/"}},
                },
            },
        },
    ]
}
_MESSAGE: Final = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": list(ROLES)},
        "content": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": _PART}]},
    },
}
_OF_PONDER: Final[dict[str, dict[str, Any]]] = {
    "strategy": {"anyOf": [{"enum": [NONE, *CATALOGUE]}, {"type": ["string", "null"], "maxLength": NAME}]},
    "params": {
        "type": ["object", "null"],
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
    "budget_tokens": {"type": ["integer", "null"], "minimum": 1},
    "budget": {
        "anyOf": [
            {"type": "string", "pattern": "^[1-9][0-9]{0,3}(,[1-9][0-9]?s)?$"},
            {"type": ["string", "null"]},
            {"type": "integer", "minimum": 1},
        ]
    },
    "deadline_s": {"type": ["number", "null"], "exclusiveMinimum": 0},
    "on_exhausted": {"enum": ["best_so_far", "error"]},
    "return": {"enum": ["answer", "candidates", "trace"]},
    "progress": {"enum": ["comments", "reasoning", "none"]},
    "kind": {"enum": list(ANSWERS)},
}
_COMMON: Final[dict[str, Any]] = {
    "stream": _FLAG,
    "stream_options": {"type": ["object", "null"], "properties": {"include_usage": _FLAG}},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": CHOICES},
    "max_tokens": _TOKENS,
    "temperature": {"type": ["number", "null"], "minimum": TEMPERATURE[1], "maximum": TEMPERATURE[2]},
    "top_p": {"type": ["number", "null"], "minimum": TOP_P[1], "maximum": TOP_P[2]},
    "seed": {"type": ["integer", "null"]},
    "stop": {
        "anyOf": [
            {"type": ["string", "null"]},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": STOPS},
        ]
    },
    "ponder": {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key: {"description": about, **_OF_PONDER[key]} for key, about in PONDER.items()},
    },
}
_CHAT: Final[dict[str, Any]] = {
    "messages": {"type": "array", "items": _MESSAGE, "minItems": 1, "description": f"at most {MESSAGES:,}"},
    **_COMMON,
    "max_completion_tokens": _TOKENS,
    "tools": {"type": ["array", "null"], "items": {"type": "object"}, "description": f"at most {TOOLS}"},
    "response_format": {
        "type": ["object", "null"],
        "required": ["type"],
        "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}},
    },
    "reasoning_effort": {"type": ["string", "null"], "description": f"one of {', '.join(EFFORTS)}"},
}
_PROMPT: Final = {"type": "string", "minLength": 1}
_RAW: Final[dict[str, Any]] = {
    "prompt": {"anyOf": [_PROMPT, {"type": "array", "items": _PROMPT, "minItems": 1, "maxItems": 1}]},
    **_COMMON,
}


def _object(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: Any) -> dict[str, Any]:
    return _object(["object", "data"], object={"const": "list"}, data={"type": "array", "items": items})


_USAGE: Final = _object(
    ["prompt_tokens", "completion_tokens", "total_tokens"],
    prompt_tokens={"type": "integer", "minimum": 0},
    completion_tokens={"type": "integer", "minimum": 0},
    total_tokens={"type": "integer", "minimum": 0},
)
_SAID: Final = {
    "delta": _object([], role={"const": "assistant"}, content={"type": ["string", "null"]}),
    "message": _object(["role"], role={"const": "assistant"}, content={"type": ["string", "null"]}),
    "text": {"type": "string"},
}
_MODEL: Final = _object(["id", "object"], id={"type": "string"}, object={"const": "model"})
_STRATEGY: Final = _object(["name", "parameters"], name={"type": "string"}, parameters={"type": "object"})
_ERROR: Final = _object(
    ["error"],
    error=_object(
        ["message", "type", "param", "code"],
        message={"type": "string"},
        type={"type": "string"},
        param={"type": ["string", "null"]},
        code={"type": "string", "enum": list(KINDS)},
    ),
)


def _completion(kind: str, said: str) -> dict[str, Any]:
    choice = _object(
        ["index", "finish_reason", said],
        index={"type": "integer"},
        finish_reason={"type": ["string", "null"]},
        **{said: _SAID[said]},
    )
    return _object(
        ["id", "object", "created", "model", "choices"],
        id={"type": "string"},
        object={"const": kind},
        created={"type": "integer"},
        model={"type": "string"},
        choices={"type": "array", "items": choice, "minItems": 1},
        usage=_USAGE,
        ponder={"type": "object"},
    )


def _event(kind: str, said: str) -> dict[str, Any]:
    """One event of a stream: in OpenAPI 3.1 the schema of a stream is that of each."""
    chunk = _completion(kind, said)
    of = chunk["properties"]
    of["choices"] = {"type": "array", "items": of["choices"]["items"]}  # none in the one that has the usage
    of["usage"] = {"anyOf": [_USAGE, {"type": "null"}]}
    told = {"anyOf": [chunk, _ERROR]}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": told}
    return _object(["data"], data={"if": {"const": "[DONE]"}, "then": {"type": "string"}, "else": data})


def openapi(models: Sequence[str]) -> dict[str, Any]:
    """The document, for who may use these models."""
    statuses = sorted({kind.status for kind in KINDS.values()} - {499})
    codes = {s: ", ".join(code for code, kind in KINDS.items() if kind.status == s) for s in statuses}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    bad = {str(s): {"description": said, "content": error} for s, said in codes.items()}

    def answers(what: str, content: dict[str, Any]) -> dict[str, Any]:
        good = {
            "200": {"description": what, "content": {kind: {"schema": it} for kind, it in content.items()}}
        }
        return {"summary": what, "responses": good | bad}

    def get(what: str, schema: Any, form: str = "application/json", **more: Any) -> dict[str, Any]:
        return {"get": answers(what, {form: schema}) | more}

    chosen = [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": _OF_PONDER[field],
            "description": PONDER[field],
        }
        for name, field in HEADERS.items()
    ]

    def post(
        what: str, fields: dict[str, Any], asked: str, answer: dict[str, Any], event: dict[str, Any]
    ) -> dict[str, Any]:
        model = {"type": "string", "description": "a model, or model@preset", "enum": list(models)}
        body = _object(["model", asked], model=model, **fields)
        told = answers(what, {"application/json": answer, "text/event-stream": event})
        content = {"application/json": {"schema": body}}
        return {"post": told | {"parameters": chosen, "requestBody": {"required": True, "content": content}}}

    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(models)},
    }
    chat = _completion("chat.completion", "message"), _event("chat.completion.chunk", "delta")
    text = _completion("text_completion", "text"), _event("text_completion", "text")
    health = _object(["status"], status={"enum": ["ok", "draining"]})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ponder",
            "version": __version__,
            "summary": "Better answers, within one exact budget.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": post("A chat, answered by a strategy", _CHAT, "messages", *chat),
            "/v1/completions": post("A raw text, continued", _RAW, "prompt", *text),
            "/v1/models": get("Models, and each with its presets", _list(_MODEL)),
            "/v1/models/{name}": get("One of them", _MODEL) | {"parameters": [name]},
            "/v1/strategies": get(
                "Presets, and strategies with the schema of their parameters", _list(_STRATEGY)
            ),
            "/openapi.json": get("This document", {"type": "object"}),
            "/metrics": get("Counters, as Prometheus reads them", {"type": "string"}, "text/plain"),
            "/healthz": get("Whether it serves", health, security=[]),
            "/": get(
                "A page for people, which says what this is", {"type": "string"}, "text/html", security=[]
            ),
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }
