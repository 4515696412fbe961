"""What a request to the mock server asks for, in whichever dialect it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ponder.core.calls import Sampling
from ponder.core.errors import UsageError
from ponder.core.prefix import Prefix, Prompt
from ponder.core.problem import Message
from ponder.mock import template
from ponder.mock.thinking import budget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Form = Literal["chat", "completions", "completion"]
"""The interfaces: OpenAI's chat, OpenAI's raw completions, and llama-server's own."""

DIALECTS = ("openai", "vllm", "sglang", "llama-server")
GOES_ON = {
    "vllm": "continue_final_message",
    "sglang": "continue_final_message",
    "llama-server": "",  # it always does
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `likeliest` is None where no log-probabilities are wanted, `thinking` where it may think at will."""

    form: Form
    prefix: Prefix
    sampling: Sampling
    n: int
    stream: bool
    usage: bool
    ids: bool
    keep_stop: bool
    likeliest: int | None
    as_ids: bool
    thinking: int | None = None


def read(
    dialect: str, form: Form, body: Mapping[str, Any], decode: Callable[[Sequence[int]], str | None]
) -> Asked:
    """A request's body.

    Raises:
        UsageError: it makes no sense; a server answers 400.

    """
    prefix = _chat(dialect, body) if form == "chat" else _raw(body, decode)
    native = dialect == "llama-server"
    stop = body.get("stop") or ()
    asked = body.get("n_probs") or None if form == "completion" else body.get("logprobs")
    if form == "chat":
        asked = body.get("top_logprobs", 0) if asked else None
    beyond = dialect in ("vllm", "sglang")
    bias = body.get("logit_bias") or {}
    try:
        sampling = Sampling(
            max_tokens=body.get("n_predict")
            or body.get("max_completion_tokens")
            or body.get("max_tokens")
            or 16,
            temperature=body.get("temperature", 1.0),
            top_p=body.get("top_p", 1.0),
            top_k=max(0, body.get("top_k", 0)) if dialect != "openai" else 0,
            min_p=body.get("min_p", 0.0) if dialect != "openai" else 0.0,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            stop_ids=tuple(body.get("stop_token_ids") or ()) if beyond else (),
            min_tokens=_held(body) if native else body.get("min_tokens", 0) if beyond else 0,
            logit_bias={int(i): _bias(b) for i, b in (bias.items() if isinstance(bias, dict) else bias)},
            seed=body.get("seed"),
            logprobs=asked,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"A field has a value of the wrong type: {error}.") from None
    return Asked(
        form,
        prefix,
        sampling,
        int(body.get("n", 1)),
        bool(body.get("stream")),
        form == "completion" or bool((body.get("stream_options") or {}).get("include_usage")),
        bool(body.get("return_tokens") if native else body.get("return_token_ids")) and beyond | native,
        bool(body.get("include_stop_str_in_output") or body.get("no_stop_trim")) and beyond,
        asked,
        bool(body.get("return_tokens_as_token_ids")) and beyond,
        budget(dialect, form, body, sampling.max_tokens),
    )


def messages_of(body: Mapping[str, Any]) -> tuple[Message, ...]:
    """The conversation of a body.

    Raises:
        UsageError: there is none.

    """
    given = body.get("messages")
    if not isinstance(given, list) or not given or not all(isinstance(m, dict) for m in given):
        raise UsageError("Expected 'messages' to be an array of messages.")
    try:
        return tuple(Message(m["role"], _content(m.get("content"))) for m in given)
    except (KeyError, TypeError) as error:
        raise UsageError(f"A message cannot be read: {error}.") from None


def _held(body: Mapping[str, Any]) -> int:
    """llama-server holds off the end of a text altogether, or not at all."""
    return int(body.get("n_predict") or 0) if body.get("ignore_eos") else 0


def _bias(value: Any) -> float:
    return float("-inf") if value is False else float(value)  # False is llama-server's word for never


def _content(content: Any) -> str | tuple[Mapping[str, Any], ...]:
    return content if isinstance(content, str) else tuple(content or ())


def _chat(dialect: str, body: Mapping[str, Any]) -> Prefix:
    messages = messages_of(body)
    goes_on = GOES_ON.get(dialect)
    form = body.get("response_format")
    asked = goes_on == "" or (goes_on is not None and body.get(goes_on))
    if asked and messages[-1].role == "assistant":
        if form:
            raise UsageError("A response_format cannot be kept to in the middle of a text.")
        return Prefix(Prompt(messages[:-1])) + messages[-1].text
    return Prefix(Prompt(messages, response_format=form))


def _raw(body: Mapping[str, Any], decode: Callable[[Sequence[int]], str | None]) -> Prefix:
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        parts = [part if isinstance(part, str) else decode([part]) for part in prompt]
        if None in parts:
            raise UsageError("The prompt has ids that are no tokens.")
        prompt = "".join(map(str, parts))
    if not isinstance(prompt, str):
        raise UsageError("Expected 'prompt' to be a text or an array of token ids.")
    return template.parse(prompt) or Prefix(Prompt(raw=prompt))
