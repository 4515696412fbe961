"""What each server calls things: data, one table. What a server really does is found by probing (`probe`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Wire = Literal["chat", "completions", "native"]
"""OpenAI's chat; OpenAI's raw completions; llama-server's own /completion."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server.

    Args:
        sign: a path and a key of its JSON answer by which it is known; None is known by nothing.
        host: of a hosted service that has no sign.
        names: its names of the fields of `Sampling` that it has beside temperature, top_p and stop.
        wire: where a conversation is continued by ids, if the server renders and tokenizes it (`render`).
        raw: where raw text is continued.
        render: how a conversation becomes a prompt: vLLM's /tokenize gives ids, /apply-template a text.
        ids: fields that ask for token ids.
        keep_stop: fields that leave the stop string in the text, so that it is known to the character. Without
            them we look for stop strings ourselves, and close the connection at the first.
        told: the field of a choice that says what stopped it.
        go_on: fields that continue a partial assistant turn; {} if it is continued unasked; None never.
        mark: fields on that turn itself.
        thinking: the field that caps thinking tokens.

    """

    name: str
    sign: tuple[str, str] | None = None
    host: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    wire: Wire = "chat"
    raw: Wire | None = "completions"
    render: Literal["tokenize", "apply-template"] | None = None
    ids: Mapping[str, Any] = field(default_factory=dict)
    keep_stop: Mapping[str, Any] = field(default_factory=dict)
    told: str | None = None
    go_on: Mapping[str, Any] | None = field(default_factory=dict)
    mark: Mapping[str, Any] = field(default_factory=dict)
    thinking: str | None = None


_OPENAI = {"max_tokens": "max_tokens", "seed": "seed", "logit_bias": "logit_bias", "n": "n"}
_LOCAL = {"top_k": "top_k", "min_p": "min_p"}
_OURS = {"min_tokens": "min_tokens", "stop_ids": "stop_token_ids"}

DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        Dialect(
            "vllm",
            sign=("/version", "version"),
            names=_OPENAI | _LOCAL | _OURS,
            wire="completions",
            render="tokenize",
            ids={"return_token_ids": True},
            keep_stop={"include_stop_str_in_output": True},
            told="stop_reason",
            go_on={"continue_final_message": True, "add_generation_prompt": False},
            thinking="thinking_token_budget",
        ),
        Dialect(
            "sglang",
            sign=("/get_model_info", "model_path"),
            names=_OPENAI | _LOCAL | {"min_tokens": "min_tokens"},
            keep_stop={"no_stop_trim": True},
            told="matched_stop",
            go_on={"continue_final_message": True},
        ),
        Dialect(
            "llama-server",
            sign=("/props", "default_generation_settings"),
            names=_LOCAL | {"max_tokens": "n_predict", "seed": "seed", "logit_bias": "logit_bias"},
            wire="native",
            raw="native",
            render="apply-template",
            ids={"return_tokens": True},
            thinking="thinking_budget_tokens",
        ),
        Dialect("ollama", sign=("/api/version", "version"), names=_OPENAI, raw=None),
        Dialect("lm-studio", sign=("/api/v0/models", "data"), names=_OPENAI | _LOCAL),
        Dialect(
            "deepseek",
            host="api.deepseek.com",
            names={"max_tokens": "max_tokens"},
            raw=None,
            go_on={},
            mark={"prefix": True},
        ),
        Dialect("openai", names=_OPENAI),
    )
}
"""By name, in the order in which their signs are looked for; the last is what any server speaks."""
