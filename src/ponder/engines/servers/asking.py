"""What is asked of a server: a prefix and a sampling as the body of a request. Pure."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ponder.core.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Prompt
    from ponder.core.problem import Message
    from ponder.engines.servers.found import Found

Piece = int | str
"""A token id, or text that is not tokenised yet."""

SALT: ContextVar[str | None] = ContextVar("salt", default=None)
"""For servers that have a word for it: what is read with one salt is not shared with another."""

PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "native": "/completion"}
_BAN = -100.0


def parameters(found: Found, sampling: Sampling, *, ids: bool, wire: str) -> dict[str, Any]:
    """The fields that say how to sample. What a server has no name for, it is not asked for."""
    words, names = found.words, found.words.names
    body: dict[str, Any] = {
        found.max_tokens if wire != "native" else "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if wire == "native":
        body |= {"top_k": sampling.top_k, "min_p": sampling.min_p, "cache_prompt": True}
    else:
        body |= {
            names[f]: getattr(sampling, f) for f in ("top_k", "min_p") if getattr(sampling, f) and f in names
        }
        if "top_k" in names and not sampling.top_k:
            body[names["top_k"]] = -1
    if sampling.stop and found.keeps_stop:
        body |= {"stop": list(sampling.stop), **words.keep_stop}
    if sampling.stop_ids and "stop_ids" in names and "stop_ids" in found.can:
        body |= {names["stop_ids"]: list(sampling.stop_ids), **words.keep_stop}
    bias = dict(sampling.logit_bias)
    if sampling.min_tokens and "stop_ids" in found.can:
        if "min_tokens" in names:
            body[names["min_tokens"]] = sampling.min_tokens
        else:  # the whole of this request is held
            body |= words.hold
            bias |= dict.fromkeys(sampling.stop_ids, float("-inf"))
    if sampling.seed is not None and "seed" in found.can:
        body[names["seed"]] = sampling.seed % (1 << 31)
    if bias and "logit_bias" in found.can:
        bias = {i: max(_BAN, b) for i, b in bias.items()}
        body[names["logit_bias"]] = (
            [[i, b if b > _BAN else False] for i, b in bias.items()]
            if wire == "native"
            else {str(i): min(b, -_BAN) for i, b in bias.items()}
        )
    if ids:
        body |= words.ids
    if words.salt and (salt := SALT.get()):
        body[words.salt] = salt
    body |= thinking(found, sampling, wire)
    return body | _logprobs(found, sampling, wire, ids=ids)


def thinking(found: Found, sampling: Sampling, wire: str) -> dict[str, Any]:
    """The fields that say how long to think, as far as the server takes any."""
    return found.words.thinks.fields(sampling, wire, found.asks, found.markers, found.opened)


def _logprobs(found: Found, sampling: Sampling, wire: str, *, ids: bool) -> dict[str, Any]:
    """Also where only the texts of tokens are wanted, to know where each ends."""
    told = sampling.logprobs if "logprobs" in found.can else None
    if wire == "native":
        return {} if told is None else {"n_probs": max(1, told)}
    if wire == "completions":
        if told:
            return {"logprobs": told, "return_tokens_as_token_ids": True}
        wanted = told is not None or (ids and bool(sampling.stop or sampling.stop_ids))
        return {"logprobs": 0} if wanted else {}
    if told is None:
        return {}
    return {"logprobs": True} | ({"top_logprobs": told} if told and "top_logprobs" in found.can else {})


def chat(found: Found, prefix: Prefix) -> dict[str, Any]:
    """A conversation, and the partial turn that the assistant is to continue.

    Raises:
        Unsupported: the server does not continue one.

    """
    prompt = prefix.prompt
    body: dict[str, Any] = {"messages": [turn(m) for m in prompt.messages]}
    if prompt.tools:
        body["tools"] = [dict(tool) for tool in prompt.tools]
    going_on = bool(prefix.segments and prefix.text)
    # In the middle of a text a server would begin the form anew, or refuse.
    if prompt.response_format and not going_on:
        body["response_format"] = dict(prompt.response_format)
    if going_on:
        if "continue" not in found.can:
            raise Unsupported(
                f"{found.model} on this server cannot continue a partial answer. Ask from the prompt alone."
            )
        body["messages"].append({"role": "assistant", "content": prefix.text, **found.words.mark})
        body |= found.words.go_on or {}
    return body


def turn(message: Message) -> dict[str, Any]:
    """One message as chat servers take it."""
    content = (
        message.content if isinstance(message.content, str) else [dict(part) for part in message.content]
    )
    return {"role": message.role, "content": content, **message.extra}


def plain(prompt: Prompt) -> bool:
    """Whether a prompt is nothing but texts, so that it can be rendered and its answer needs no parsing."""
    return not (prompt.tools or prompt.response_format) and all(
        isinstance(m.content, str) and not m.extra for m in prompt.messages
    )


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Texts that stand beside each other as one."""
    out: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and out and isinstance(out[-1], str):
            out[-1] += piece
        elif piece != "":
            out.append(piece)
    return out


def size(prefix: Prefix) -> int:
    """Bytes of all that is read; no tokeniser makes more tokens of a text than it has bytes."""
    prompt = prefix.prompt
    texts = [prompt.raw or ""] + [f"{m.role}{m.content}{m.extra or ''}" for m in prompt.messages]
    texts += [str(prompt.tools or ""), str(prompt.response_format or ""), prefix.text]
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
