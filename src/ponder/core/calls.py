"""What one call to an engine takes and costs, and what a whole run may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final, Literal

from ponder.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SwitchPenalty:
    """The thought-switching penalty of TIP (arXiv 2501.18585, section 4).

    While the current thought is shorter than `beta` tokens, `alpha` is taken off the logits of the tokens that
    begin a switch. A switch token begins a new thought, and is its first token.

    Args:
        tokens: ids that begin a switch of thought.
        alpha: nats.
        beta: tokens.
        since: tokens of the current thought that the prefix holds already.

    """

    tokens: tuple[int, ...]
    alpha: float = 3.0
    beta: int = 600
    since: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for what makes no sense."""
        if not 0 <= self.alpha < float("inf") or self.beta < 0 or self.since < 0:
            raise UsageError("A switch penalty needs a finite alpha, and alpha, beta and since of 0 or more.")


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
"""How much to think, as chat servers name it."""

SHARES: Final[dict[Effort, float]] = {
    "none": 0.0,
    "minimal": 0.1,
    "low": 0.2,
    "medium": 0.5,
    "high": 0.8,
    "xhigh": 0.95,
}
"""The share of `max_tokens` that each effort may think, as OpenRouter has them."""

RESERVE: Final = 0.12
"""The share that is kept for the answer, `MOST_KEPT` tokens at most."""
MOST_KEPT: Final = 512


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to continue a prefix.

    Args:
        max_tokens: completion tokens at most, the end-of-text token among them.
        temperature: 0 is greedy.
        top_p, top_k, min_p: truncations of the distribution, applied in the order top_k, top_p, min_p
            to the distribution at temperature 1; 1.0, 0 and 0.0 leave it alone.
        stop: strings that end the segment; the one found is kept in its text.
        stop_ids: token ids that end the segment like a stop string, and that `min_tokens` suppresses
            (stop strings it does not suppress).
        min_tokens: this many tokens come before end-of-text or a stop id may.
        logit_bias: added to the logits of these token ids, in nats, throughout the call; -inf forbids a token.
        switch_penalty: taken off the logits of some tokens for a while, on top of `logit_bias`.
        seed: the same seed and prefix give the same tokens, on an engine that is deterministic.
        logprobs: None records nothing, 0 the sampled tokens' log-probabilities, k > 0 also the k likeliest
            tokens'. Always of the model's own distribution: temperature 1, no bias, no truncation.
            An engine that cannot tell leaves them out.
        certainty: record each token's self-certainty, where the engine can (see `Segment`).
        grammar: a JSON schema, as JSON, that the text must follow. The text ends where it is complete, so there
            is no `min_tokens` beside it; `max_tokens` may cut it off.
        depth: recurrence, for models that think in depth.
        thinking: the most to think before the answer, in tokens, or an effort; None leaves it to the model. An engine
            that can ("thinking_budget") keeps to it; for one that cannot the runtime cuts, closes and continues.

    """

    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    logit_bias: Mapping[int, float] = field(default_factory=dict, hash=False)
    switch_penalty: SwitchPenalty | None = None
    seed: int | None = None
    logprobs: int | None = None
    certainty: bool = False
    grammar: str | None = None
    depth: int | None = None
    thinking: int | Effort | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what no engine could mean."""
        if self.max_tokens < 1:
            raise UsageError(f"max_tokens must be at least 1, not {self.max_tokens}.")
        if not self.temperature >= 0:
            raise UsageError(f"The temperature must be 0 or more, not {self.temperature}.")
        if not 0 < self.top_p <= 1 or not 0 <= self.min_p < 1 or self.top_k < 0:
            raise UsageError("Give 0 < top_p <= 1, 0 <= min_p < 1 and top_k >= 0.")
        stop: object = self.stop  # callers without a type checker pass a bare string
        if not isinstance(stop, tuple) or "" in stop:
            raise UsageError("stop takes a tuple of non-empty strings, for example stop=('\\n\\n',).")
        if isinstance(self.thinking, int) and self.thinking < 0:
            raise UsageError(f"A thinking budget must be 0 tokens or more, not {self.thinking}.")
        if isinstance(self.thinking, str) and self.thinking not in SHARES:
            raise UnknownName("effort", self.thinking, SHARES)
        if self.grammar is not None and self.min_tokens:
            raise UsageError("A text with a grammar ends where it is complete. Leave min_tokens out.")

    @property
    def thinking_tokens(self) -> int | None:
        """The thinking budget in tokens, with something left of `max_tokens` for the answer; None if there is none."""
        if self.thinking is None:
            return None
        most = self.max_tokens - min(MOST_KEPT, round(RESERVE * self.max_tokens))
        if isinstance(self.thinking, str):
            return min(most, int(SHARES[self.thinking] * self.max_tokens))
        return min(most, self.thinking)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a model's tokens cost, in dollars per million.

    Args:
        prompt: of tokens read.
        completion: of tokens sampled.
        cached: of tokens read from a cache; None where they cost what others do.

    """

    prompt: float
    completion: float
    cached: float | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for a price that is none."""
        for price in (self.prompt, self.completion, self.cached):
            if price is not None and not 0 <= price < float("inf"):
                raise UsageError(f"A price is in dollars per million tokens, 0 or more, not {price}.")

    def nanodollars(self, prompt: int, completion: int, cached: int = 0) -> int:
        """The price of a call, rounded up: a whole number, so that what a budget pays for adds up exactly."""
        whole = (prompt - cached) * _pico(self.prompt) + completion * _pico(self.completion)
        whole += cached * _pico(self.prompt if self.cached is None else self.cached)
        return -(-whole // 1000)

    def priced(self, usage: Usage) -> Usage:
        """The usage of a call, with its price."""
        return replace(usage, nanodollars=self.nanodollars(usage.prompt, usage.completion, usage.cached))

    def affords(self, nanodollars: int, prompt: int) -> int:
        """Completion tokens that this much pays for beside a prompt of which nothing is cached."""
        left = nanodollars * 1000 - prompt * max(_pico(self.prompt), _pico(self.cached or 0))
        each = _pico(self.completion)
        return -1 if left < 0 else left // each if each else 1 << 60

    def most(self, prompt: int, completion: int) -> int:
        """The most that such a call can cost, in nanodollars."""
        return max(self.nanodollars(prompt, completion), self.nanodollars(prompt, completion, prompt))


def _pico(dollars_per_million: float) -> int:
    """Picodollars per token."""
    return round(dollars_per_million * 1_000_000)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent. Tokens are counted; where a server does not count them, `estimated` says so. `+` adds.

    `prompt` counts every token read before the first one written, `cached` those among them that were not
    computed again; `completion` every token sampled, end-of-text included; `scorer` the tokens read by
    reward models. `seconds` add up over calls (wall time of each), so parallel calls sum to more than the clock.
    `nanodollars` are what it cost, where the model has a price.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    scorer: int = 0
    calls: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    nanodollars: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.scorer + other.scorer,
            self.calls + other.calls,
            self.seconds + other.seconds,
            self.flops + other.flops,
            self.nanodollars + other.nanodollars,
            self.estimated or other.estimated,
        )

    @property
    def total(self) -> int:
        """Prompt, completion and scorer tokens.

        Cached tokens count in full: what a budget allows must not depend on the luck of a cache.
        """
        return self.prompt + self.completion + self.scorer

    @property
    def dollars(self) -> float:
        return self.nanodollars / NANO


NANO = 1_000_000_000
"""Nanodollars in a dollar."""


@dataclass(slots=True)
class Bill:
    """What a scorer reads: the `tokens` that were set aside for it, until it says that they were fewer."""

    tokens: int


_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
_NUMBER = r"(\d+(?:\.\d+)?)"


LIMITS: Final = ("tokens", "total_tokens", "seconds", "calls", "dollars")
"""What a budget limits."""
COUNTED: Final = ("tokens", "total_tokens", "calls")
"""Those that are whole numbers."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent; None is without limit.

    `tokens` limits completion tokens of every role, `total_tokens` all tokens read and written,
    `seconds` the wall clock, `calls` the calls to engines, `dollars` their price.
    """

    tokens: int | None = None
    total_tokens: int | None = None
    seconds: float | None = None
    calls: int | None = None
    dollars: float | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for a negative limit, or a part of a token or of a call."""
        for name in LIMITS:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"A budget cannot be negative: {name}={value}.")
            if value is not None and name in COUNTED and not isinstance(value, Integral):
                raise UsageError(f"A budget limits {name} to a whole number, not {value}.")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "4k", "4k,30s", "calls=20", "total=16k,2min", "$0.02"; the commas join limits of one budget.

        Raises:
            UsageError: a part that is none of these, a part of a token or of a call, or a limit given twice.

        """
        limits: dict[str, Any] = {}
        for part in filter(None, (p.strip().lower() for p in text.split(","))):
            if re.search(r"\d{16}", part):
                raise UsageError(f"The budget {part[:20]!r}... is larger than any. Leave the limit out.")
            if m := re.fullmatch(rf"(?:(tokens|total|calls)=)?{_NUMBER}([km]?)", part):
                name = {None: "tokens", "total": "total_tokens"}.get(m[1], m[1])
                amount: float = _whole(part, Fraction(m[2]) * _UNITS[m[3]])
            elif m := re.fullmatch(rf"(?:seconds=)?{_NUMBER}(ms|s|min|h)", part):
                name, amount = "seconds", float(m[1]) * _SECONDS[m[2]]
            elif m := re.fullmatch(rf"(?:dollars=|\$){_NUMBER}", part):
                name, amount = "dollars", float(m[1])
            else:
                raise UsageError(
                    f"Cannot read the budget {part!r}. Examples: 4k (completion tokens), 4k,30s (and seconds), "
                    "total=16k (prompt tokens too), calls=20, $0.02 (where prices are known)."
                )
            if name in limits:
                raise UsageError(f"The budget {text!r} limits {name} twice.")
            limits[name] = amount
        if not limits:
            raise UsageError("The budget is empty. Examples: 4k, 4k,30s, calls=20.")
        return cls(**limits)

    def __str__(self) -> str:
        """The inverse of `parse`."""
        parts = [
            *([_short(self.tokens)] if self.tokens is not None else []),
            *([f"total={_short(self.total_tokens)}"] if self.total_tokens is not None else []),
            *([f"{f'{self.seconds:.6f}'.rstrip('0').rstrip('.')}s"] if self.seconds is not None else []),
            *([f"calls={self.calls}"] if self.calls is not None else []),
            *([f"${f'{self.dollars:.9f}'.rstrip('0').rstrip('.')}"] if self.dollars is not None else []),
        ]
        return ",".join(parts) or "unlimited"


def _whole(part: str, amount: Fraction) -> int:
    """The amount that a part of a budget says, which must be whole: 5.5k is 5500, and 5.5 is no number of tokens."""
    if amount.denominator == 1:
        return int(amount)
    what, number = part[: part.find("=") + 1], part.rpartition("=")[2]
    near = [f"{what}{n}" for n in (int(amount), int(amount) + 1) if n]
    if what != "calls=" and number[-1] not in "km":
        near.append(f"{what}{number}k")
    *others, last = near
    meant = f"{', '.join(others)} or {last}" if others else last
    raise UsageError(
        f"The budget {part!r} is no whole number of {'calls' if what == 'calls=' else 'tokens'}. Did you mean {meant}?"
    )


def _short(n: int) -> str:
    return f"{n // 1000}k" if n and n % 1000 == 0 else str(n)
