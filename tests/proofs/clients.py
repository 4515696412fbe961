"""Clients of the gateway: too many, too fast, the same request twice, and what is passed on for them."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from gateway.test_passing import others, passed
from gateway.test_rules import admitted
from gateway.test_safety import once
from gateways import ASK

from proofs import Figure, row

if TYPE_CHECKING:
    from pathlib import Path

    from proofs import Tier


@row(
    "R16",
    "Ten times as many requests as a key may make a minute, while the clock of the machine jumps an hour on and back: as "
    "many are let in as it may make, the minute in hand at the start included, and the others are told when to come again",
    "within 1 % of the limit",
)
def rates(folder: Path, tier: Tier) -> Figure:
    told, held = [], True
    for rate, minutes in ((6, 100), (60, 10), (600, 1)):
        seconds = 60 * minutes * (4 if tier == "N" else 1)
        got, limit = admitted(folder / str(rate), rate, seconds), rate * (1 + seconds / 60)
        told.append(f"{got:,} of {limit:,.0f} at {rate} a minute")
        held &= abs(got - limit) <= 0.01 * limit
    return Figure("; ".join(told), held=held)


@row(
    "R18",
    "What is passed on as it is reaches the server and comes back letter by letter: conversations, tools, JSON, log-"
    "probabilities, images, refusals, reasoning, zeros, fields that nobody knows",
    "every letter the same but the model's name, streamed and not",
)
def fidelity(folder: Path, tier: Tier) -> Figure:
    del folder, tier
    shapes = differ = 0
    for streamed in (False, True):
        for text, status, sent, body, told in passed(streamed):
            shapes += 1
            differ += status != 200 or told != body or others(sent.decode()) != others(text)
    return Figure(f"{shapes} exchanges, half of them streamed: {differ} differ", held=differ == 0)


@row(
    "R27",
    "The same Idempotency-Key at twenty clients at once, and again after a restart, is one execution and one answer; under "
    "another body it is refused",
    "1 execution, the same bytes for all, 409 for another body",
)
def idempotency(folder: Path, tier: Tier) -> Figure:
    rounds = 20 if tier == "N" else 2
    wrong = answers = 0
    for i, stream, model in itertools.product(range(rounds), (False, True), ("solver", "solver@vote4")):
        body = {"model": model, "messages": ASK, "stream": stream}
        got, other, engine, keys = once(folder / f"{i}{stream}{model}", body)
        answers += len(got)
        calls = engine.calls == (4 if "@" in model else 1) and keys.named("x").requests == 1
        conflict = (other[0], json.loads(other[1])["error"]["code"]) == (409, "idempotency_conflict")
        wrong += not (calls and conflict and set(got) == {got[0]} and got[0][0] == 200)
    return Figure(
        f"{answers} answers of {rounds * 4} requests: {wrong} requests made twice, told otherwise or not refused",
        held=wrong == 0,
    )
