"""What every client is to do, and what is to come of it.

A case is data, so that a script in any language can read it: `do` says what is asked of the client ("chat", "stream", ...),
`body` is the request in the words of OpenAI's API. What the client got is told back in the same words (see `Got`), and
`fits` says whether it is right. A script says "na" where its client has no words for a case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Got = Mapping[str, Any]
"""texts: of each choice; finish: of the first; usage: (prompt, completion); calls: [[name, arguments]]; pieces: of a stream;
status and code: of an error; ids: of models; logprobs: how many tokens had one; same: two answers were one; left, late.
What a client does not tell is not there, and no case fails for that unless it is all about it."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "reply",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"answer": {"enum": [41, 42, 43]}},
            "required": ["answer"],
            "additionalProperties": False,
        },
    },
}
CALLED = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
LONG = "All of this stands in the prompt. " * 3000
WORDS = "Grüße, 数学 👩‍🔬 עברית, ½ ≤ ∞"
SUM = "6 * 7 is 42.\n\nThe answer is 42."


@dataclass(frozen=True)
class Case:
    """One of them. `key` names the key it is asked with; `real` ones go to the real model."""

    name: str
    body: Mapping[str, Any]
    fits: Callable[[Got], bool]
    do: str = "chat"
    key: str = "good"
    headers: Mapping[str, str] = field(default_factory=dict)
    real: bool = False

    def told(self) -> dict[str, Any]:
        """As scripts read it."""
        body = dict(self.body)
        if self.do != "models":
            body.setdefault("model", "real" if self.real else "solver")
        return {
            "name": self.name,
            "do": self.do,
            "body": body,
            "key": self.key,
            "headers": dict(self.headers),
        }


def ask(text: Any = "What is 6 * 7?", *before: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The body of a chat."""
    return {"messages": [*before, {"role": "user", "content": text}], **more}


def says(text: str) -> Callable[[Got], bool]:
    """The first choice is exactly this."""
    return lambda got: got.get("texts", [None])[0] == text


def fails(status: int, code: str) -> Callable[[Got], bool]:
    """An error of ours reaches the one who asked. Not all clients tell its code."""
    return lambda got: got.get("status") == status and got.get("code") in (code, None)


def calls(got: Got) -> bool:
    return [(name, json.loads(arguments)) for name, arguments in got.get("calls", [])] == [
        ("weather", {"city": "Oslo"})
    ]


def holds_json(got: Got) -> bool:
    value = json.loads(got["texts"][0])
    return isinstance(value, dict) and isinstance(value.get("answer"), int)


def something(got: Got) -> bool:
    return bool(got.get("texts", [""])[0])


def system(text: str, role: str = "system") -> dict[str, Any]:
    return {"role": role, "content": text}


PICTURE = [
    {"type": "text", "text": "What do you see?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
]
TURNS = (
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Hello, Ada."},
)
RESULT = (
    {"role": "user", "content": "What is the weather in Oslo?"},
    {"role": "assistant", "content": None, "tool_calls": [CALLED]},
)
TOOLED = {"tools": [TOOL], "messages": [{"role": "user", "content": "What is the weather in Oslo?"}]}
ANSWERED = {
    "tools": [TOOL],
    "messages": [*RESULT, {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"}],
}
VOTE = {"strategy": "self-consistency", "params": {"n": 4}}
BY = says("I was asked to think.\n\nThe answer is 2.")
JSON = {"type": "json_object"}

CASES = (
    Case("a plain answer", ask(), says(SUM)),
    Case("a plain answer of the real model", ask(max_tokens=24), something, real=True),
    Case("a system prompt", ask("Who are you?", system("You are Ada.")), says("You are Ada.")),
    Case(
        "a developer's prompt", ask("Who are you?", system("You are Ada.", "developer")), says("You are Ada.")
    ),
    Case("several turns", ask("What did I say first?", *TURNS), says("My name is Ada.")),
    Case("a stream", ask(), lambda g: says(SUM)(g) and g["pieces"] > 3, "stream"),
    Case(
        "a stream of the real model",
        ask(max_tokens=24),
        lambda g: something(g) and g["pieces"] > 3,
        "stream",
        real=True,
    ),
    Case("the usage of an answer", ask(), lambda g: min(g["usage"]) > 0, "usage"),
    Case("the usage of a stream", ask(), lambda g: min(g["usage"]) > 0, "streamed usage"),
    Case("a stop", ask("Count.", stop=["four"]), says("one two three ")),
    Case(
        "max_tokens",
        ask(max_tokens=3),
        lambda g: g.get("finish") in ("length", "max_tokens") and something(g),
        real=True,
    ),
    Case(
        "max_completion_tokens",
        ask("Count.", max_completion_tokens=3),
        lambda g: 0 < len(g["texts"][0]) < 20,
    ),
    Case("three choices", ask(n=3), lambda g: g["texts"] == [SUM] * 3),
    Case("a seed", ask(max_tokens=16, seed=7, temperature=1.0), lambda g: g["same"], "twice", real=True),
    Case("a temperature and top_p", ask(temperature=0, top_p=0.9), says(SUM)),
    Case("log-probabilities", ask(model="front", logprobs=True, top_logprobs=2), lambda g: g["logprobs"] > 3),
    Case("a tool call", TOOLED, calls),
    Case("a streamed tool call", TOOLED, calls, "stream"),
    Case(
        "no tool, if it is told so",
        TOOLED | {"tool_choice": "none"},
        lambda g: not g.get("calls") and something(g),
    ),
    Case("a tool's result", ANSWERED, says("It is 12 degrees.")),
    Case("a vote over tool calls", TOOLED | {"ponder": VOTE}, calls),
    Case(
        "JSON mode",
        ask("Reply as JSON with answer, a number: what is 6 * 7?", response_format=JSON),
        holds_json,
    ),
    Case("a JSON schema", ask(response_format=SCHEMA, max_tokens=60), holds_json, real=True),
    Case("a vote over JSON", ask(response_format=SCHEMA, ponder=VOTE), holds_json),
    Case("an image, inline", ask(PICTURE), says("I see a picture.")),
    Case(
        "an image at a URL, which is not fetched",
        ask([PICTURE[0], {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}]),
        fails(400, "unsupported_parameter"),
    ),
    Case("all of Unicode", ask(f"Repeat: {WORDS}"), says(WORDS)),
    Case("a long prompt", ask(f"{LONG} What is 6 * 7?"), says(SUM)),
    Case("a value that makes no sense", ask(temperature=7.5), fails(400, "invalid_value")),
    Case("a wrong key", ask(), fails(401, "invalid_api_key"), key="wrong"),
    Case("a key for something else", ask(), fails(403, "permission_denied"), key="narrow"),
    Case("a model that is not there", ask(model="solvr"), fails(404, "model_not_found")),
    Case("a key whose budget is spent", ask(), fails(429, "insufficient_quota"), key="spent"),
    Case("an engine that breaks", ask(model="broken"), fails(502, "upstream_error")),
    Case("a stream that breaks", ask(model="broken"), lambda g: "status" in g or g.get("broken"), "stream"),
    Case("a strategy by the body", ask("Which?", ponder=VOTE), BY),
    Case("a strategy by a header", ask("Which?"), BY, headers={"X-Ponder-Strategy": "self-consistency:n=4"}),
    Case("a strategy by the model's name", ask("Which?", model="solver@vote4"), BY),
    Case("a strategy by effort", ask("Which?", reasoning_effort="high"), BY),
    Case("a strategy that is streamed", ask("Which?", model="solver@vote4"), BY, "stream"),
    Case(
        "a budget that is too small",
        ask("Which?", model="solver@vote4", ponder={"budget_tokens": 2, "on_exhausted": "error"}),
        fails(429, "budget_exhausted"),
    ),
    Case("the models", {}, lambda g: {"solver", "solver@vote4", "real"} <= set(g["ids"]), "models"),
    Case("one model", {"model": "solver@vote4"}, lambda g: g["ids"] == ["solver@vote4"], "model"),
    Case("a raw completion", {"prompt": "six times seven", "max_tokens": 16}, something, "text"),
    Case("a client that leaves a stream", ask("Count.", model="slow"), lambda g: g["left"], "leave"),
    Case("a client that waits no longer", ask("Count.", model="slow"), lambda g: g["late"], "late"),
    Case(
        "an idempotency key",
        ask(temperature=1.0),
        lambda g: g["same"],
        "twice",
        headers={"Idempotency-Key": "once"},
    ),
    Case(
        "fields that only a server knows",
        ask(model="front", top_k=5, min_p=0.01, user="me", metadata={"a": "b"}),
        something,
    ),
)
