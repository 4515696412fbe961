"""What a strategy needs, and who plays which role in it, is checked before the first token."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ponder.core.errors import UnknownName, Unsupported, UsageError
from ponder.core.policy import DEFAULT, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ponder.core.executions import Executes
    from ponder.core.policy import Policy
    from ponder.core.protocols import Ability, Engine, Memory, Scorer, Strategy

TOP = 20
"""The likeliest tokens that are recorded for a scorer which needs them: as many as DeepConf reads, and servers give."""


NO_MEMORY = (
    "There is no memory to recall from. Give one: --memory FOLDER, or a file, or memory= of ponder.solve."
)


NO_SANDBOX = (
    "There is no sandbox to run programs in. ponder solve and ponder eval have one, and so has sandbox= of ponder.asolve; "
    "the gateway has none, for programs are never run for a request."
)


def preflight(strategy: Strategy, engines: Mapping[str, Engine], scorers: Mapping[str, Scorer]) -> None:
    """Check before the first token that the engines can do what the strategy needs.

    Raises:
        Unsupported: names the strategy, the engine, what is missing and what to use instead.

    """
    needs: dict[str, set[Ability]] = {"solver": set(strategy.needs)}
    for scorer in _scorers_of(strategy, scorers):
        for role in getattr(scorer, "roles", scored(strategy)):
            needs.setdefault(role, set()).update(scorer.needs)
    for role, abilities in needs.items():
        solver = [engines["solver"]] if "solver" in engines else engines.values()
        for engine in [engines[role]] if role in engines else solver:
            missing = sorted(abilities - engine.capabilities.can)
            if missing:
                raise Unsupported(
                    f"{strategy.name} needs an engine that can {_spoken(missing)}, and {engine.capabilities.name} "
                    "cannot. Use self-consistency or chain-of-draft, which need nothing but a chat, or a model file "
                    "(-m file.gguf), whose engine can."
                )
    for nested in _values(strategy):
        if hasattr(nested, "solve"):
            preflight(nested, engines, scorers)


def find_scorer(by: Scorer | str, scorers: Mapping[str, Scorer]) -> Scorer:
    """The scorer that is meant.

    Raises:
        UnknownName: there is none of that name; near names are suggested.

    """
    if not isinstance(by, str):
        return by
    try:
        return scorers[by]
    except KeyError:
        raise UnknownName("scorer", by, scorers) from None


def find_policy(
    name: str | None, scorer: Scorer | str | None, model: str, policies: Mapping[str, Policy]
) -> tuple[Policy, str | None]:
    """The policy that is meant; or where it is not for this model and scorer the default one, or `PLAIN`, and why.

    Without a name it is the first one that names this model, and fits the scorer; else the default one.

    Raises:
        UnknownName: there is none of that name; near names are suggested.

    """
    by = None if scorer is None else str(scorer)
    if name is None:
        fit = (
            found for found in policies.values() if found.model == model and found.misfit(model, by) is None
        )
        default = policies.get(DEFAULT, PLAIN)
        return next(fit, PLAIN if default.misfit(model, by) else default), None
    try:
        found = policies[name]
    except KeyError:
        if name != DEFAULT:
            raise UnknownName("policy", name, policies) from None
        return PLAIN, None
    if (why := found.misfit(model, by)) is None:
        return found, None
    default = policies.get(DEFAULT, PLAIN)
    return PLAIN if default.misfit(model, by) else default, why


def followed_by(
    strategies: Iterable[Strategy], engines: Mapping[str, Engine], policies: Mapping[str, Policy]
) -> list[str]:
    """The names of the policies that are asked for, or found: whose texts make one evaluation another."""
    return [name for name, _, _ in _asked(strategies, engines, policies) if name in policies]


def misfits(
    strategies: Iterable[Strategy], engines: Mapping[str, Engine], policies: Mapping[str, Policy]
) -> list[str]:
    """What to tell of policies that were asked for and are not for this model and scorer."""
    told = []
    for name, instead, why in _asked(strategies, engines, policies):
        if why:
            goes_on = "it goes on voting" if instead is PLAIN else "the default policy is followed"
            told.append(
                f"The policy {name} does not fit: {why}. So {goes_on}; ponder calibrate learns one that fits."
            )
    return told


def _asked(
    strategies: Iterable[Strategy], engines: Mapping[str, Engine], policies: Mapping[str, Policy]
) -> Iterator[tuple[str, Policy, str | None]]:
    """Of each strategy that follows a policy, those within others too: its name, what is followed, and why not it."""
    model = (engines.get("solver") or next(iter(engines.values()))).capabilities.name
    for strategy in strategies:
        if hasattr(strategy, "policy") and getattr(strategy, "then", None) is None:
            found, why = find_policy(strategy.policy, getattr(strategy, "scorer", None), model, policies)
            yield strategy.policy or found.name, found, why
        yield from _asked(_nested(strategy), engines, policies)


def recorded(strategy: Strategy, scorers: Mapping[str, Scorer]) -> frozenset[Ability]:
    """What is to be recorded because the strategy's scorers read it, so that no strategy has to know."""
    found = _scorers_of(strategy, scorers)
    return frozenset(need for scorer in found if not hasattr(scorer, "roles") for need in scorer.needs)


def scored(strategy: Strategy) -> Sequence[str]:
    """The roles whose texts the strategy scores."""
    return getattr(strategy, "scored", ("solver",))


def _scorers_of(strategy: Strategy, scorers: Mapping[str, Scorer]) -> list[Scorer]:
    """Those in its parameters: a scorer, or the text of one where the parameter is called so."""
    names = [name for name in _names(strategy) if name.endswith("scorer")]
    return [find_scorer(by, scorers) for name in names if (by := getattr(strategy, name)) is not None]


def _names(strategy: Strategy) -> Sequence[str]:
    named = _parameters(type(strategy))
    return ["scorer"] * hasattr(strategy, "scorer") if named is None else named


@cache
def _parameters(kind: type) -> tuple[str, ...] | None:
    """None where they cannot be told, for a protocol says nothing of dataclasses."""
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


def _values(strategy: Strategy) -> Iterable[Any]:
    return (getattr(strategy, name) for name in _names(strategy))


def roles(strategy: Strategy, scorers: Mapping[str, Scorer]) -> frozenset[str] | None:
    """The roles that models play in a strategy, in those inside it, and in what it scores by.

    None where one of them does not say: then any role may be played.
    """
    listed: Iterable[str] | None = getattr(strategy, "roles", None)
    if listed is None:
        return None
    found = {"solver", *listed}
    for scorer in _scorers_of(strategy, scorers):
        found |= set(getattr(scorer, "roles", ()))
    for nested in _values(strategy):
        if hasattr(nested, "solve"):
            inner = roles(nested, scorers)
            if inner is None:
                return None
            found |= inner
    return frozenset(found)


def check_memory(memory: Memory | str | Path | None, *strategies: Strategy) -> None:
    """See that there is a memory where a strategy, or one inside it, recalls, and none where nobody does.

    Raises:
        Unsupported: it recalls, and there is none.
        UsageError: there is one, and nobody recalls.

    """
    asking = [strategy for strategy in strategies if recalls(strategy)]
    if memory is None and asking:
        raise Unsupported(f"{asking[0]} recalls from a memory. {NO_MEMORY}")
    if memory is not None and not asking:
        raise UsageError(
            f"A memory was given, and {' and '.join(map(str, strategies))} never asks it. Use a strategy that recalls, "
            "for example coat:recall=3, or leave the memory out."
        )


def check_sandbox(sandbox: Executes | None, *strategies: Strategy) -> None:
    """See that there is a sandbox where a strategy, or one inside it, executes programs.

    Raises:
        Unsupported: it executes, and there is none.

    """
    asking = [strategy for strategy in strategies if executes(strategy)]
    if sandbox is None and asking:
        raise Unsupported(f"{asking[0]} runs programs that the model writes. {NO_SANDBOX}")


def executes(strategy: Strategy) -> bool:
    """Whether the strategy, or one inside it, executes programs."""
    return _declares(strategy, "executes")


def recalls(strategy: Strategy) -> bool:
    """Whether the strategy, or one inside it, asks a memory."""
    return _declares(strategy, "recalls")


def _declares(strategy: Strategy, what: str) -> bool:
    return bool(getattr(strategy, what, False)) or any(_declares(one, what) for one in _nested(strategy))


def _nested(strategy: Strategy) -> Iterator[Strategy]:
    return (value for value in _values(strategy) if hasattr(value, "solve"))


def check_roles(given: Iterable[str], strategies: Sequence[Strategy], scorers: Mapping[str, Scorer]) -> None:
    """See that each role given to a model is played in one of the strategies at least.

    Raises:
        UnknownName: near names are suggested, among those that are played.

    """
    known = set[str]()
    for strategy in strategies:
        played = roles(strategy, scorers)
        if played is None:
            return
        known |= played
    what = f"role in {strategies[0].name}" if len(strategies) == 1 else "role in these strategies"
    for role in given:
        if role not in known:
            raise UnknownName(what, role, known)


def _spoken(abilities: Iterable[str]) -> str:
    words = {
        "continue": "continue a partial answer",
        "logprobs": "give log-probabilities",
        "top_logprobs": "give the likeliest tokens' log-probabilities",
        "certainty": "tell how certain each token was",
        "stop_ids": "stop at token ids",
        "switch_penalty": "penalise switches of thought",
        "token_ids": "take token ids",
    }
    return " and ".join(words.get(a, a.replace("_", " ")) for a in abilities)
