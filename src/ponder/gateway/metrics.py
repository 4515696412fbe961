"""What the gateway did, in Prometheus' text form. No label says anything of a prompt or of a key's secret."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.calls import Usage

SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_MOST_LABELS: Final = 1_000


@dataclass
class Metrics:
    """Counters; those of a route are kept by its pattern, those of tokens by model and strategy."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    seconds: dict[str, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * (len(SECONDS) + 1))
    )
    sums: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request is over."""
        self.requests[route, status] += 1
        self.seconds[route][bisect_left(SECONDS, seconds)] += 1
        self.sums[route] += seconds  # type: ignore[assignment]  # a counter of floats

    def spent(self, model: str, strategy: str, usage: Usage) -> None:
        """What a request cost."""
        if len(self.tokens) > _MOST_LABELS:
            strategy = "others"
        for kind in ("prompt", "cached", "completion", "scorer"):
            if amount := getattr(usage, kind):
                self.tokens[model, strategy, kind] += amount

    def text(self, now: Mapping[tuple[str, str], float] | None = None) -> str:
        """All of it, and what is so `now`: gauges by name and, where there is one for each, model."""
        lines = ["# TYPE ponder_requests_total counter"]
        lines += [
            f'ponder_requests_total{{route="{r}",status="{s}"}} {n}'
            for (r, s), n in sorted(self.requests.items())
        ]
        lines += ["# TYPE ponder_tokens_total counter"]
        lines += [
            f'ponder_tokens_total{{model="{_label(m)}",strategy="{_label(s)}",kind="{k}"}} {n}'
            for (m, s, k), n in sorted(self.tokens.items())
        ]
        gauges = {("ponder_requests_in_flight", ""): self.in_flight, **(now or {})}
        for (name, model), value in gauges.items():
            lines += [f"# TYPE {name} gauge"] if f"# TYPE {name} gauge" not in lines else []
            lines.append(f'{name}{{model="{_label(model)}"}} {value:g}' if model else f"{name} {value:g}")
        lines += ["# TYPE ponder_request_seconds histogram"]
        for route, counts in sorted(self.seconds.items()):
            total = 0
            for bound, count in zip([*map(str, SECONDS), "+Inf"], counts, strict=True):
                total += count
                lines.append(f'ponder_request_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'ponder_request_seconds_sum{{route="{route}"}} {self.sums[route]:.6f}')
            lines.append(f'ponder_request_seconds_count{{route="{route}"}} {total}')
        return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
