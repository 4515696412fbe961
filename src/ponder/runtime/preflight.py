"""What a strategy needs, and who plays which role in it, is checked before the first token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ponder.core.errors import UnknownName, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ponder.core.protocols import Engine, Scorer, Strategy


def preflight(strategy: Strategy, engines: Mapping[str, Engine], scorers: Mapping[str, Scorer]) -> None:
    """Check before the first token that the engines can do what the strategy needs.

    Raises:
        Unsupported: names the strategy, the engine, what is missing and what to use instead.

    """
    needs = set(strategy.needs)
    for by in (getattr(strategy, "scorer", None),):
        scorer = scorers.get(by) if isinstance(by, str) else by
        if isinstance(by, str) and scorer is None:
            raise UnknownName("scorer", by, scorers)
        needs |= set(getattr(scorer, "needs", ()))
    asked = [engines["solver"]] if "solver" in engines else engines.values()
    for engine in asked:
        missing = sorted(needs - engine.capabilities.can)
        if missing:
            raise Unsupported(
                f"{strategy.name} needs an engine that can {_spoken(missing)}, and {engine.capabilities.name} cannot. "
                "Use self-consistency or chain-of-draft, which need nothing but a chat, or a model file "
                "(-m file.gguf), whose engine can."
            )


def roles(strategy: Strategy, scorers: Mapping[str, Scorer]) -> frozenset[str] | None:
    """The roles that models play in a strategy, in those inside it, and in what it scores by.

    None where one of them does not say: then any role may be played.
    """
    listed: Iterable[str] | None = getattr(strategy, "roles", None)
    if listed is None:
        return None
    found = {"solver", *listed}
    for name in getattr(strategy, "__dataclass_fields__", ()):
        value = getattr(strategy, name)
        if name == "scorer":
            value = scorers.get(value) if isinstance(value, str) else value
            found |= set(getattr(value, "roles", ()))
        elif hasattr(value, "solve"):
            inner = roles(value, scorers)
            if inner is None:
                return None
            found |= inner
    return frozenset(found)


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
        "token_ids": "take token ids",
    }
    return " and ".join(words.get(a, a.replace("_", " ")) for a in abilities)
