"""What each server calls things: data, one table. What a server really does is found by probing (`probe`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ponder.core.calls import SHARES
from ponder.engines.servers.effort import END, OPENED, START, TOKENS, Thinks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core.calls import Effort

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
        hold: fields that keep a text from ending, with which `min_tokens` is kept in two requests where it has no
            name for that; stops at ids are then looked for here.
        told: the field of a choice that says what stopped it.
        go_on: fields that continue a partial assistant turn; {} if it is continued unasked; None never.
        mark: fields on that turn itself.
        thinks: how it is told how long to think.
        salt: the field that keeps apart what is read for different people.

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
    hold: Mapping[str, Any] = field(default_factory=dict)
    told: str | None = None
    go_on: Mapping[str, Any] | None = field(default_factory=dict)
    mark: Mapping[str, Any] = field(default_factory=dict)
    thinks: Thinks = field(default_factory=Thinks)
    salt: str | None = None


_OPENAI = {"max_tokens": "max_tokens", "seed": "seed", "logit_bias": "logit_bias", "n": "n"}
_LOCAL = {"top_k": "top_k", "min_p": "min_p"}
_OURS = {"min_tokens": "min_tokens", "stop_ids": "stop_token_ids"}
_EFFORT: Mapping[Effort, Mapping[str, Any]] = {name: {"reasoning_effort": name} for name in SHARES}
_THREE: Mapping[Effort, Mapping[str, Any]] = {
    name: {"reasoning_effort": name} for name in ("none", "low", "medium", "high")
}
_OFF: Mapping[str, Any] = {"thinking": {"type": "disabled"}}

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
            salt="cache_salt",
            go_on={"continue_final_message": True, "add_generation_prompt": False},
            thinks=Thinks(
                {wire: {"thinking_token_budget": TOKENS} for wire in ("chat", "completions")}, effort=_EFFORT
            ),
        ),
        Dialect(
            "sglang",
            sign=("/get_model_info", "model_path"),
            names=_OPENAI | _LOCAL | {"min_tokens": "min_tokens"},
            keep_stop={"no_stop_trim": True},
            told="matched_stop",
            salt="cache_salt",
            go_on={"continue_final_message": True},
            # Kept where it was started with --enable-strict-thinking; its other cap runs pickled code.
            thinks=Thinks({"chat": {"custom_params": {"thinking_budget": TOKENS}}}, effort=_EFFORT),
        ),
        Dialect(
            "llama-server",
            sign=("/props", "default_generation_settings"),
            names=_LOCAL | {"max_tokens": "n_predict", "seed": "seed", "logit_bias": "logit_bias"},
            wire="native",
            raw="native",
            render="apply-template",
            ids={"return_tokens": True},
            hold={"ignore_eos": True},
            # On its own interface it counts only what it was told how to recognise, and closes it only with a message.
            thinks=Thinks(
                {
                    "chat": {"thinking_budget_tokens": TOKENS},
                    "native": {
                        "reasoning_budget_tokens": TOKENS,
                        "reasoning_budget_start_tag": START,
                        "reasoning_budget_end_tag": END,
                        "reasoning_budget_end_tags": [END],
                        "reasoning_budget_message": "",
                        "generation_prompt": OPENED,
                    },
                },
                effort=_EFFORT,
            ),
        ),
        Dialect(
            "ollama",
            sign=("/api/version", "version"),
            names=_OPENAI,
            raw=None,
            thinks=Thinks(effort=_THREE),
        ),
        Dialect("lm-studio", sign=("/api/v0/models", "data"), names=_OPENAI | _LOCAL),
        Dialect(
            "deepseek",
            host="api.deepseek.com",
            names={"max_tokens": "max_tokens"},
            raw=None,
            go_on={},
            mark={"prefix": True},
            thinks=Thinks(effort={"none": _OFF, "minimal": {"thinking": {"type": "enabled"}}}),
        ),
        Dialect(
            "anthropic",
            host="api.anthropic.com",
            names={"max_tokens": "max_tokens"},
            raw=None,
            go_on=None,
            thinks=Thinks(
                {"chat": {"thinking": {"type": "enabled", "budget_tokens": TOKENS}}}, 1024, {"none": _OFF}
            ),
        ),
        Dialect(
            "openrouter",
            host="openrouter.ai",
            names=_OPENAI,
            raw=None,
            thinks=Thinks(
                {"chat": {"reasoning": {"max_tokens": TOKENS}}},
                effort={name: {"reasoning": {"effort": name}} for name in SHARES},
            ),
        ),
        Dialect("openai", names=_OPENAI, thinks=Thinks(effort=_EFFORT)),
    )
}
"""By name, in the order in which their signs are looked for; the last is what any server speaks."""
