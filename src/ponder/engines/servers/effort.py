"""How a server is told how long to think: the words of each dialect filled in. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from ponder.core.calls import SHARES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.calls import Effort, Sampling
    from ponder.core.markers import Markers

TOKENS: Final = "$tokens"
START: Final = "$start"
END: Final = "$end"
OPENED: Final = "$opened"
"""What stands in the fields below for the cap, for the markers of the model's thinking, and for the first of these
where the chat template has written it already."""

Asks = Literal["cap", "effort"]
"""What a server takes: a cap in tokens, or an effort, which is a wish."""


@dataclass(frozen=True, slots=True)
class Thinks:
    """The fields of a request that say how long to think. That they are obeyed is for `probe` to find out.

    Args:
        cap: by interface, those of a cap in tokens.
        least: the smallest cap that is taken; less than that is no thinking at all.
        effort: by effort, those of the chat interface that ask for it.

    """

    cap: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    least: int = 0
    effort: Mapping[Effort, Mapping[str, Any]] = field(default_factory=dict)

    def asks(self, wire: str) -> tuple[Asks, ...]:
        """What can be asked for over this interface, the best first."""
        cap: tuple[Asks, ...] = ("cap",) if wire in self.cap else ()
        return (*cap, "effort") if wire == "chat" and self.effort else cap

    def fields(
        self, sampling: Sampling, wire: str, how: Asks | None, markers: Markers | None, opened: str
    ) -> dict[str, Any]:
        """The fields of this call; none where it asks for nothing, or this interface has no words for it."""
        most = sampling.thinking_tokens
        if most is None or how not in self.asks(wire):
            return {}
        off = bool(self.least) and (not most or self.least >= sampling.max_tokens)
        if how == "effort" or off:
            near = [name for name in _near("none" if off else effort(sampling)) if name in self.effort]
            return dict(self.effort[near[0]]) if near else {}
        said = {
            TOKENS: max(most, self.least),
            START: opened or (markers.start.strip() if markers else ""),
            END: markers.end if markers else "",
            OPENED: opened,
        }
        filled: dict[str, Any] = _filled(self.cap[wire], said)
        return filled


def effort(sampling: Sampling) -> Effort:
    """The effort that a budget is nearest to and not above; one of any tokens at all is at least "minimal"."""
    if isinstance(sampling.thinking, str):
        return sampling.thinking
    most = sampling.thinking_tokens or 0
    if not most:
        return "none"
    within = [name for name, share in SHARES.items() if share and int(share * sampling.max_tokens) <= most]
    return within[-1] if within else "minimal"


def _near(wanted: Effort) -> list[Effort]:
    """The effort, and in its stead the next less one, then the next greater; but never none for some."""
    names = list(SHARES)
    at = names.index(wanted)
    return [*names[at:0:-1], *names[at + 1 :]] if at else names[:1]


def _filled(value: Any, said: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return said.get(value, value)
    if isinstance(value, list):
        return [_filled(one, said) for one in value]
    return {key: _filled(one, said) for key, one in value.items()} if isinstance(value, dict) else value
