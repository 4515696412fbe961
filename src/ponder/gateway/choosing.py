"""Which strategy a request gets, within which budget: what the body says before what headers say, before the model's
suffix, the effort, the key's own strategy and the server's. What is written in a prompt chooses nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from ponder.core.calls import LIMITS, Budget
from ponder.core.errors import UnknownName, UsageError
from ponder.gateway.limits import LENGTH, NAME, SAMPLES
from ponder.gateway.options import NONE, Preset
from ponder.gateway.refusals import Refusal
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ponder.core.protocols import Strategy
    from ponder.gateway.asked import Asked
    from ponder.gateway.keys import Key
    from ponder.gateway.options import Options

HEADERS: Final = {
    "x-ponder-strategy": "strategy",
    "x-ponder-budget-tokens": "budget_tokens",
    "x-ponder-budget": "budget",
    "x-ponder-deadline-s": "deadline_s",
}
"""For clients that cannot add fields to a body."""


_REACHES: Final = re.compile(r"[/\\~]|\b(prm|orm)\b|\b(model|url|policy)\b")
"""What would reach for files, servers or weights."""

_PLAIN: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
"""A number as a header has it."""

_KEPT: Final = 256
"""Strategies that requests ask for again and again, in the same words, are made once."""

_NUMBER: Final = re.compile(r"(\w+)=(\d+)\b")
_LENGTHS: Final = re.compile(r"max_\w+|\w*tokens|window|limit|thinking|top_k|beta")
"""Whole numbers of a strategy that are no counts of calls."""


@dataclass(frozen=True)
class Chosen:
    """What was chosen. `strategy` None is `none`; `preset` is its name, if it is one; `by` is who chose."""

    model: str
    strategy: Strategy | None
    preset: str | None
    budget: Budget
    by: str
    deadline: bool = False  # of the request's own

    @cached_property
    def name(self) -> str:
        return NONE if self.strategy is None else str(self.strategy)

    @property
    def kind(self) -> str:
        """For counters: the preset, or the strategy without its parameters, so that no client makes up new ones."""
        return self.preset or (NONE if self.strategy is None else self.strategy.name)


def choose(
    asked: Asked, headers: Mapping[str, str], models: Collection[str], options: Options, key: Key | None
) -> Chosen:
    """The model, the strategy and the budget of a request.

    Raises:
        Refusal: a name means nothing, a parameter makes no sense, or the key may not use it.

    """
    model, suffix = _model(asked.model, models)
    if key and key.models and model not in key.models:
        raise Refusal("permission_denied", f"This key may not use the model {model}.", "model")
    said = {field: value for header, field in HEADERS.items() if (value := headers.get(header)) is not None}
    named = (
        ("body", asked.ponder.get("strategy"), "ponder.strategy"),
        ("header", said.get("strategy"), "X-Ponder-Strategy"),
        ("model", suffix, "model"),
        ("effort", options.effort.get(asked.effort or ""), "reasoning_effort"),
        ("key", key.strategy if key else None, None),
        ("server", options.strategy, None),
    )
    by, name, param = next(one for one in named if one[1] is not None)
    if not isinstance(name, str):
        raise Refusal("invalid_ponder_param", f"{param} is to be the name of a strategy.", param)
    if len(name) > NAME:
        raise Refusal("invalid_ponder_param", f"A strategy has at most {NAME:,} characters.", param)
    try:
        preset = options.preset(name)
        listed = name in options.presets or name == NONE
        strategy = _with_params(preset, asked.ponder.get("params"))
        if strategy is not None and (not listed or asked.ponder.get("params")):
            _check_counts(str(strategy))
        strategy = _with_max_tokens(strategy, asked)
    except UsageError as error:
        raise Refusal("invalid_ponder_param", str(error), param) from None
    if by in ("body", "header", "model") and _REACHES.search(_said_here(name if not listed else "", asked)):
        raise Refusal(
            "permission_denied",
            "A request cannot name a file, an address, a reward model or a policy. A preset of the server can.",
            param,
        )
    if key and key.presets and (not listed or name not in key.presets or asked.ponder.get("params")):
        raise Refusal(
            "permission_denied",
            f"This key may use the presets {', '.join(key.presets)} as they are, not {name}.",
            param,
        )
    if strategy is not None:
        asked.check_for_strategy(strategy.name)
        _check_choices(asked, strategy)
        if asked.form == "completions":
            raise Refusal(
                "unsupported_parameter",
                f"{strategy.name} takes conversations: use /v1/chat/completions, or the strategy none.",
                param or "model",
            )
    budget = _budget(asked, said, preset, options)
    own = {**said, **asked.ponder}
    deadline = own.get("deadline_s") is not None or (
        own.get("budget") is not None and Budget.parse(str(own["budget"])).seconds is not None
    )
    return Chosen(model, strategy, name if listed and name != NONE else None, budget, by, deadline)


def _said_here(name: str, asked: Asked) -> str:
    """All that a request itself says of its strategy."""
    return f"{name} {asked.ponder.get('params') or ''}"


def _model(said: str, models: Collection[str]) -> tuple[str, str | None]:
    if said in models:
        return said, None
    base, at, suffix = said.rpartition("@")
    if at and base in models:
        return base, suffix
    raise Refusal("model_not_found", str(UnknownName("model", base if at else said, models)), "model")


def _with_params(preset: Preset, params: Any) -> Strategy | None:
    """The preset's strategy with other parameters."""
    if params is not None and not isinstance(params, dict):
        raise UsageError("ponder.params is to be an object.")
    if not params:
        return preset.strategy
    if preset.strategy is None:
        raise UsageError("The strategy none has no parameters. Name another in ponder.strategy.")
    told = ",".join(f"{key}={_spelled(key, value)}" for key, value in params.items())
    it: Any = preset.strategy  # they all can be hashed, which a protocol does not say
    return _changed(it, told, tuple(key.replace("-", "_") for key in params))


@lru_cache(_KEPT)
def _changed(it: Any, told: str, names: tuple[str, ...]) -> Strategy:
    wanted = parse(f"{it.name}:{told}")
    found: Strategy = replace(it, **{name: getattr(wanted, name) for name in names})
    return found


def _check_counts(told: str) -> None:
    """Raises a UsageError for numbers that no request is served with, also those of a strategy or scorer inside."""
    if len(told) > NAME:
        raise UsageError(f"A strategy has at most {NAME:,} characters here.")
    for key, number in _NUMBER.findall(told):
        most = LENGTH if _LENGTHS.fullmatch(key) else SAMPLES
        if len(number) > len(str(most)) or int(number) > most:
            raise UsageError(f"{key} is at most {most:,} here, not {number[:20]}.")


def _spelled(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        return "none"
    if not isinstance(value, str) or "(" in value or ")" in value:
        raise UsageError(f"{key} in ponder.params takes a number, a text, true or false.")
    return f"({value})" if "," in value else value


def _with_max_tokens(strategy: Strategy | None, asked: Asked) -> Strategy | None:
    """`max_tokens` of a request caps each text that may become the answer, unless `ponder.params` says otherwise."""
    it: Any = strategy
    if (
        it is None
        or asked.max_tokens is None
        or "max_tokens" not in it.__dataclass_fields__
        or "max_tokens" in (asked.ponder.get("params") or {})
    ):
        return strategy
    return _capped(it, min(asked.max_tokens, LENGTH))


@lru_cache(_KEPT)
def _capped(it: Any, most: int) -> Strategy:
    found: Strategy = replace(it, max_tokens=most)
    return found


def _check_choices(asked: Asked, strategy: Strategy) -> None:
    """See that a strategy has as many candidates as choices are asked for."""
    if asked.n == 1:
        return
    candidates = getattr(strategy, "n", 1)
    if candidates < asked.n:
        raise Refusal(
            "unsupported_parameter",
            f"{strategy} yields {candidates} {'candidate' if candidates == 1 else 'candidates'}, and n asks for {asked.n}. "
            "Leave n out, or use a strategy with more samples, for example self-consistency.",
            "n",
        )


def _budget(asked: Asked, headers: Mapping[str, str], preset: Preset, options: Options) -> Budget:
    """The request's budget: each limit where it is said first, and no more than a request may have."""
    limits: dict[str, Any] = {}
    for where, said in (("ponder", asked.ponder), ("X-Ponder", headers)):
        for field, limit in (("budget_tokens", "tokens"), ("deadline_s", "seconds")):
            if said.get(field) is not None:
                limits.setdefault(limit, _positive(said[field], f"{where}.{field}", whole=limit == "tokens"))
        if said.get("budget") is not None:
            try:
                given = Budget.parse(str(said["budget"]))
            except UsageError as error:
                raise Refusal("invalid_ponder_param", str(error), f"{where}.budget") from None
            _fill(limits, given)
    if preset.budget is not None:
        _fill(limits, preset.budget)
    if preset.strategy is not None:
        _fill(limits, options.budget)
    for name in LIMITS:
        most, asked_for = getattr(options.most, name), limits.get(name)
        if most is not None and asked_for is not None and asked_for > most:
            raise Refusal(
                "invalid_ponder_param",
                f"A request may have at most {Budget(**{name: most})}, not {Budget(**{name: asked_for})}.",
                f"ponder.{'deadline_s' if name == 'seconds' else 'budget'}",
            )
    if preset.strategy is not None:  # a plain answer is limited by what its request says
        _fill(limits, options.most)
    return Budget(**limits)


def _fill(limits: dict[str, Any], given: Budget) -> None:
    """Add the limits that nobody has said before."""
    for name in LIMITS:
        if (value := getattr(given, name)) is not None:
            limits.setdefault(name, value)


def _positive(value: Any, where: str, *, whole: bool) -> int | float:
    """A number of a body, or a header's text that is one."""
    number: Any = 0
    if isinstance(value, str) and not where.startswith("ponder") and _PLAIN.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, int if whole else int | float) and not isinstance(value, bool):
        number = min(value, 10**18)  # more is no number to write down
    if not 0 < number < float("inf"):
        raise Refusal(
            "invalid_ponder_param",
            f"{where} is to be a {'whole ' if whole else ''}number above 0, not {str(value)[:40]!r}.",
            where,
        )
    found: int | float = number
    return found
