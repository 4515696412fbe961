"""What the gateway says of itself: its models, and its strategies with the JSON Schema of their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ponder.gateway.options import NONE
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
