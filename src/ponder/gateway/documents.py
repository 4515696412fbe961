"""What the gateway says of itself: its models, its strategies with the JSON Schema of their parameters, its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ponder import __version__
from ponder.gateway.asked import PONDER
from ponder.gateway.choosing import HEADERS
from ponder.gateway.options import EFFORTS, NONE
from ponder.gateway.refusals import KINDS
from ponder.strategies import CATALOGUE
from ponder.thinking.spelling import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.gateway.keys import Key
    from ponder.gateway.options import Options
    from ponder.gateway.served import Served


def models(served: Mapping[str, Served], options: Options, key: Key | None) -> dict[str, Any]:
    """Every model, and every preset of it as model@preset, of those that a key may use."""
    found = []
    for name, model in served.items():
        if key and key.models and name not in key.models:
            continue
        about = {"object": "model", "created": model.created, "owned_by": "ponder"}
        if (context := model.engine.capabilities.context) is not None:
            about["max_model_len"] = context
        if not (key and key.presets) or NONE in key.presets:
            found.append({"id": name, **about})
        for preset in options.presets.values():
            if key and key.presets and preset.name not in key.presets:
                continue
            ponder = {"preset": preset.name, "strategy": str(preset.strategy or NONE), "parent": name}
            found.append({"id": f"{name}@{preset.name}", **about, "parent": name, "ponder": ponder})
    return {"object": "list", "data": found}


def strategies(options: Options) -> dict[str, Any]:
    """Presets, and strategies with their parameters."""
    presets = [
        {"name": p.name, "strategy": str(p.strategy or NONE), "budget": str(p.budget) if p.budget else None}
        for p in options.presets.values()
    ]
    found = [
        {
            "name": name,
            "aliases": list(getattr(cls, "aliases", ())),
            "about": (cls.__doc__ or "").partition("\n")[0],
            "paper": cls.paper,
            "needs": sorted(_needs(cls)),
            "parameters": schema(cls),
        }
        for name, cls in sorted(CATALOGUE.items())
    ]
    none = {"name": NONE, "about": "The model's own answer, as it is.", "parameters": {"type": "object"}}
    return {"object": "list", "presets": presets, "effort": dict(options.effort), "data": [none, *found]}


def _needs(cls: Any) -> set[str]:
    return set(cls.needs) if isinstance(cls.needs, frozenset) else set()


_CHAT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "description": "a model, or model@preset"},
        "messages": {"type": "array", "items": {"type": "object", "required": ["role"]}, "minItems": 1},
        "stream": {"type": "boolean"},
        "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
        "n": {"type": "integer", "minimum": 1, "maximum": 16},
        "max_completion_tokens": {"type": "integer", "minimum": 1},
        "seed": {"type": "integer"},
        "tools": {"type": "array", "items": {"type": "object"}, "maxItems": 128},
        "response_format": {"type": "object"},
        "reasoning_effort": {"type": "string", "enum": list(EFFORTS)},
        "ponder": {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: {"description": about} for key, about in PONDER.items()},
        },
    },
}


def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    error = {"$ref": "#/components/schemas/Error"}

    def answers(what: str) -> dict[str, Any]:
        ok = {"200": {"description": what, "content": {"application/json": {"schema": {"type": "object"}}}}}
        statuses = sorted({kind.status for kind in KINDS.values()} - {499})
        codes = {s: ", ".join(code for code, kind in KINDS.items() if kind.status == s) for s in statuses}
        bad = {
            str(s): {"description": said, "content": {"application/json": {"schema": error}}}
            for s, said in codes.items()
        }
        return {"responses": ok | bad}

    chosen = [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": PONDER[field],
        }
        for name, field in HEADERS.items()
    ]
    raw = {"type": "object", "required": ["model", "prompt"], "properties": {"prompt": {"type": "string"}}}

    def post(what: str, body: dict[str, Any]) -> dict[str, Any]:
        content = {"required": True, "content": {"application/json": {"schema": body}}}
        return {
            "post": {"summary": what, "parameters": chosen, "requestBody": content, **answers("the answer")}
        }

    def get(what: str, *, public: bool = False) -> dict[str, Any]:
        return {"get": {"summary": what, **answers(what), **({"security": []} if public else {})}}

    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ponder",
            "version": __version__,
            "summary": "Better answers, within one exact budget.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": post("A chat, answered by a strategy", _CHAT),
            "/v1/completions": post("A raw text, continued", raw),
            "/v1/models": get("Models, and each with its presets"),
            "/v1/models/{name}": get("One of them") | {"parameters": [name]},
            "/v1/strategies": get("Presets, and strategies with the JSON Schema of their parameters"),
            "/openapi.json": get("This document"),
            "/metrics": get("Counters, as Prometheus reads them"),
            "/healthz": get("Whether it serves", public=True),
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["message", "type", "param", "code"],
                            "properties": {
                                "message": {"type": "string"},
                                "type": {"type": "string"},
                                "param": {"type": ["string", "null"]},
                                "code": {"type": "string", "enum": list(KINDS)},
                            },
                        }
                    },
                }
            },
        },
    }
