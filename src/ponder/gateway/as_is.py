"""The strategy that is none, for models that no server runs: one plain answer, as the client's parameters have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ponder.core.calls import SHARES, Sampling
from ponder.core.prefix import Prefix, Prompt
from ponder.core.protocols import Candidate, Choice
from ponder.gateway.asked import TEMPERATURE, TOP_P, number, stops
from ponder.gateway.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.problem import Problem
    from ponder.core.protocols import Ability, Capabilities, Run
    from ponder.gateway.asked import Asked

LENGTH = 2048
"""Tokens of an answer where the client sets no limit, if the model's context has twice that."""


@dataclass(frozen=True)
class AsIs:
    """`n` plain answers to a conversation or a raw text."""

    name: ClassVar[str] = "none"
    paper: ClassVar[str] = ""
    roles: ClassVar[tuple[str, ...]] = ("solver",)
    needs: ClassVar[frozenset[Ability]] = frozenset()

    prompt: Prompt
    sampling: Mapping[str, Any] = field(hash=False)
    n: int = 1

    async def solve(self, problem: Problem, run: Run) -> Choice:
        del problem
        start = Prefix(self.prompt)
        if self.n == 1:
            path = await run.extend(start, visible=True, **self.sampling)
            return Choice(path, None, (Candidate(path),))
        paths = await run.sample(start, self.n, **self.sampling)
        return Choice(paths[0], None, tuple(map(Candidate, paths)))

    def __str__(self) -> str:
        return self.name


def as_is(asked: Asked, can: Capabilities) -> AsIs:
    """What a request asks of a model itself.

    Raises:
        Refusal: it asks for what an embedded engine does not do.

    """
    body, problem = asked.body, asked.problem
    if problem is None:
        raise Refusal("invalid_value", "There is nothing to answer.", "messages")
    for field_name in ("logprobs", "top_logprobs", "audio", "prediction", "functions", "suffix", "echo"):
        if body.get(field_name):
            raise Refusal(
                "unsupported_parameter",
                f"{can.name} does not take {field_name} here. Leave it out.",
                field_name,
            )
    told: dict[str, Any] = {
        "max_tokens": asked.max_tokens or min(LENGTH, (can.context or 2 * LENGTH) // 2),
        "temperature": number(body, "temperature", *TEMPERATURE),
        "top_p": number(body, "top_p", *TOP_P),
        "stop": stops(body),
    }
    for name, low, high in (("top_k", 0.0, 1e9), ("min_p", 0.0, 0.999)):
        if name in body:
            value = number(body, name, 0.0, low, high)
            told[name] = int(value) if name == "top_k" else value
    if asked.seed is not None and asked.n == 1:
        told["seed"] = asked.seed
    if asked.effort in SHARES and can.thinking is not None:
        told["thinking"] = asked.effort
    if "logit_bias" in can.can and isinstance(body.get("logit_bias"), dict):
        told["logit_bias"] = _bias(body["logit_bias"])
    Sampling(**told)
    raw = asked.form == "completions"
    prompt = (
        Prompt(raw=str(problem.messages[0].content))
        if raw
        else Prompt(problem.messages, tools=problem.tools, response_format=problem.response_format)
    )
    return AsIs(prompt, told, asked.n)


def _bias(given: Mapping[str, Any]) -> dict[int, float]:
    try:
        found = {int(token): float(value) for token, value in given.items()}
    except (TypeError, ValueError, OverflowError):
        found = {-1: 0.0}
    if not all(0 <= token < 1 << 31 and -100 <= value <= 100 for token, value in found.items()):
        raise Refusal("invalid_value", "logit_bias maps token ids to numbers from -100 to 100.", "logit_bias")
    return found
