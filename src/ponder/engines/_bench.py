"""What the laws of `engines.laws` are written in: an engine under test, and what every segment must be."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import anyio

from ponder.core.calls import Sampling
from ponder.core.prefix import Finish, Prefix, Segment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ponder.core.protocols import Ability, Delta, Engine

SLACK = 1e-6
"""By how much a log-probability may exceed 0 through rounding."""


class LawBroken(AssertionError):
    """An engine broke a law.

    An AssertionError, not a PonderError: it says that code is wrong, so nothing that handles the failures of
    models may handle it, and a test runner shows it as a failed test.
    """

    def __init__(self, law: str, said: str, **seen: object) -> None:
        shown = "".join(f"\n  {name} = {value!r}" for name, value in seen.items())
        super().__init__(f"{law}: {said}{shown}")
        self.law = law


class Skip(Exception):
    """The law does not apply to this engine, for the reason given."""


class Law(NamedTuple):
    """What must hold, of which engines, and how to find out."""

    name: str
    needs: frozenset[Ability]
    check: Callable[[Bench], Awaitable[None]]


def law(
    name: str, *needs: Ability
) -> Callable[[Callable[[Bench], Awaitable[None]]], Callable[[Bench], Awaitable[None]]]:
    """Enter a check into `LAWS`; it is skipped for engines without the abilities it needs."""

    def enter(check: Callable[[Bench], Awaitable[None]]) -> Callable[[Bench], Awaitable[None]]:
        LAWS.append(Law(name, frozenset(needs), check))
        return check

    return enter


LAWS: list[Law] = []


@dataclass
class Bench:
    """An engine under test.

    `bases` are the prompts, each with the segment that `fixed` sampling gives after it; `same` says whether
    it gives that again.
    """

    engine: Engine
    tokens: int
    greedy: bool
    exact: bool
    tolerance: float
    law: str = ""
    bases: list[tuple[Prefix, Segment]] = field(default_factory=list)

    @property
    def can(self) -> frozenset[Ability]:
        return self.engine.capabilities.can

    @property
    def same(self) -> bool:
        return self.greedy or "seed" in self.can

    @property
    def fixed(self) -> dict[str, Any]:
        return {"temperature": 0.0} if self.greedy else {"temperature": 1.0, "seed": 0}

    def hold(self, fact: bool, said: str, **seen: object) -> None:
        if not fact:
            raise LawBroken(self.law, said, **seen)

    async def draw(
        self, prefix: Prefix, *, deltas: list[Delta] | None = None, enough: float = math.inf, **sampling: Any
    ) -> Segment:
        """One segment, held to what every segment must be. Its watch says False from `enough` tokens on."""
        how = Sampling(**{"max_tokens": self.tokens, **self.fixed, **sampling})
        seen: list[Delta] = [] if deltas is None else deltas

        def watch(delta: Delta) -> bool | None:
            seen.append(delta)
            return False if sum(d.tokens for d in seen) >= enough else None

        streams = "streams" in self.can
        segment = await self.engine.extend(prefix, how, watch if streams else None)
        self._sound(prefix, how, segment, enough)
        if streams:
            self._told(segment, seen)
        return segment

    async def together(self, jobs: Sequence[Callable[[], Awaitable[Segment]]]) -> list[Segment]:
        """The jobs side by side; the first error is raised as itself."""
        done: dict[int, Segment] = {}
        errors: list[Exception] = []

        async def one(i: int, job: Callable[[], Awaitable[Segment]]) -> None:
            try:
                done[i] = await job()
            except Exception as error:  # noqa: BLE001 - raised below, as itself
                errors.append(error)

        async with anyio.create_task_group() as group:
            for i, job in enumerate(jobs):
                group.start_soon(one, i, job)
        if errors:
            raise errors[0]
        return [done[i] for i in range(len(jobs))]

    def crowd(self, n: int, prefixes: Sequence[Prefix]) -> list[Callable[..., Awaitable[Segment]]]:
        """`n` different calls, each the same whenever it is made, where the engine can repeat itself."""
        chance: dict[str, Any] = {"temperature": 1.0} if "seed" in self.can else {}
        return [
            partial(
                self.draw,
                prefixes[i % len(prefixes)],
                max_tokens=max(1, self.tokens - i),
                **(chance | {"seed": i} if chance else {}),
            )
            for i in range(n)
        ]

    def _sound(self, prefix: Prefix, how: Sampling, segment: Segment, enough: float) -> None:
        usage, ids, ends = segment.usage, segment.token_ids, segment.ends
        check = partial(_require, segment=segment, sampling=how)
        check("usage", usage.completion >= 1, "a segment has at least one token")
        check("usage", 0 <= usage.cached <= usage.prompt, "cached tokens are among the prompt's")
        check(
            "usage", usage.calls == 1 and usage.seconds >= 0, "one call costs one call, and no negative time"
        )
        check("max_tokens", usage.completion <= how.max_tokens, f"{usage.completion} tokens were sampled")
        check("origin", segment.sampled, "what an engine wrote is marked as sampled")
        check("token ids", "token_ids" not in self.can or ids is not None, "the token ids are missing")
        if ids is not None:
            check(
                "token ids",
                len(ids) == usage.completion,
                f"{len(ids)} ids, {usage.completion} tokens paid for",
            )
        if ends is not None:
            check("ends", ids is not None and len(ends) == len(ids), "each token ends somewhere")
            steps = itertools.pairwise((0, *ends))
            check("ends", all(a <= b for a, b in steps), "tokens end one after the other")
            check("ends", ends[-1] == len(segment.text), "whole tokens are kept: the last ends with the text")
        check("text", _is_text(segment.text), "the text is Unicode")
        self._sound_finish(prefix, how, segment, enough)
        told = segment.logprobs
        if how.logprobs is None:
            check("logprobs", told is None, "nothing was asked to be recorded")
        elif "logprobs" in self.can:
            check("logprobs", told is not None and len(told) == usage.completion, "one for each token")
        certainty = segment.certainty
        if not how.certainty:
            check("certainty", certainty is None, "nothing was asked to be recorded")
        elif "certainty" in self.can:
            check(
                "certainty",
                certainty is not None and len(certainty) == usage.completion,
                "one for each token",
            )
        if certainty is not None:
            check("certainty", all(c >= -SLACK for c in certainty), "a divergence is never negative")
        if told is not None:
            check("logprobs", all(p <= SLACK for p in told), "log-probabilities are at most 0")

    def _sound_finish(self, prefix: Prefix, how: Sampling, segment: Segment, enough: float) -> None:
        finish, stopped_by, used = segment.finish, segment.stopped_by, segment.usage.completion
        check = partial(_require, segment=segment, sampling=how)
        check("finish", finish in get_args(Finish), "this is no way to finish")
        context = self.engine.capabilities.context
        full = context is not None and segment.usage.prompt + used >= context
        check(
            "finish", finish != "length" or used == how.max_tokens or full, '"length" came before max_tokens'
        )
        check("finish", finish != "cancelled" or used >= enough, "nobody cancelled it")
        check("finish", stopped_by is None or finish == "stop", "only what stopped was stopped by something")
        tells = "tells_stop_from_eos" in self.can
        check(
            "finish",
            finish != "stop" or stopped_by is not None or not tells,
            "it does not tell what stopped it",
        )
        asked = bool(how.stop or how.stop_ids)
        check("finish", finish != "stop" or asked or not tells, "nothing was asked to stop it")
        whole = segment.ends[-2] if segment.ends and len(segment.ends) > 1 else 0
        early = segment.text if finish != "stop" else segment.text[:whole]
        for stop in how.stop:
            check("stop strings", stop not in early, f"it was to stop at {stop!r} and wrote on")
        if stopped_by and stopped_by in how.stop:
            check("stop strings", stopped_by in segment.text, "the stop string is kept in the text")
            before = (prefix + segment).before_stop.text[len(prefix.text) :]
            kept = segment.text[: segment.text.find(stopped_by)]
            check(
                "stop strings", before == kept, "before_stop is the text up to the stop", before_stop=before
            )

    def _told(self, segment: Segment, seen: list[Delta]) -> None:
        text, tokens = "".join(d.text for d in seen), sum(d.tokens for d in seen)
        if text != segment.text:
            raise LawBroken("deltas", "joined they are not the text", deltas=seen, segment=segment)
        if tokens != segment.usage.completion:
            raise LawBroken("deltas", "their tokens are not those paid for", deltas=seen, segment=segment)
        if "stoppable" in self.can and any(d.tokens != 1 for d in seen):
            raise LawBroken("deltas", "the watch was not called after every token", deltas=seen)


def _require(name: str, fact: bool, said: str, **seen: object) -> None:
    if not fact:
        raise LawBroken(name, said, **seen)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
