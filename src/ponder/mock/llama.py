"""llama-server's own words on OpenAI's interfaces, as a real one spoke them (that of xllamacpp 2026.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ponder.mock.asked import Asked
    from ponder.mock.replies import Reply, Token

FINGERPRINT: Final = "b0-mock"


def timings(prompt: int, completion: int) -> dict[str, Any]:
    """What it tells of its speed; the counts are true, and the mock has no speed."""
    told: dict[str, Any] = {"cache_n": 0, "prompt_n": prompt, "predicted_n": completion}
    for what in ("prompt", "predicted"):
        told |= {f"{what}_ms": 0.001, f"{what}_per_token_ms": 0.0, f"{what}_per_second": 0.0}
    return told


def logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    """Of raw completions as of chats."""
    return {"content": [probability(token) for token in tokens]}


def probability(token: Token) -> dict[str, Any]:
    """One token, with its id."""
    tops = [_named(i, text) | {"logprob": p} for i, text, p in token.tops]
    return _named(token.id, token.piece) | {"logprob": token.logprob, "top_logprobs": tops}


def _named(i: int, piece: str) -> dict[str, Any]:
    return {"id": i, "token": piece, "bytes": list(piece.encode())}


def chunks(asked: Asked, reply: Reply) -> Iterator[tuple[dict[str, Any], int]]:
    """The pieces of a stream, each with the tokens that it carries: tokens that write, then how it ended."""
    chat, unsent = asked.form == "chat", 0
    if chat:
        yield _piece(reply, delta={"role": "assistant", "content": None}), 0
    for i, token in enumerate(reply.tokens):
        if not token.text:
            unsent += 1
            continue
        told = None if asked.likeliest is None else logprobs([token])
        if chat:
            thinks = reply.thought[0] <= i < reply.thought[1]
            field = "reasoning_content" if thinks else "content"
            yield _piece(reply, delta={field: token.text}, **({"logprobs": told} if told else {})), 1 + unsent
        else:
            yield _piece(reply, text=token.text, logprobs=told), 1 + unsent
        unsent = 0
    end: dict[str, Any] = {"delta": {}} if chat else {"text": "", "logprobs": None}
    yield _piece(reply, **end) | {"finish_reason": reply.reason}, unsent


def _piece(reply: Reply, **said: Any) -> dict[str, Any]:
    return {"finish_reason": None, "index": reply.index, **said}


def whole(asked: Asked, reply: Reply, message: dict[str, Any]) -> dict[str, Any]:
    """One choice of an answer that is not streamed; `message` is a chat's."""
    writes = [token for token in reply.tokens if token.text]
    told = None if asked.likeliest is None else logprobs(writes)
    if asked.form == "chat":
        return _piece(reply, message=message, **({"logprobs": told} if told else {})) | {
            "finish_reason": reply.reason
        }
    text = "".join(token.text for token in reply.tokens)
    return _piece(reply, text=text, logprobs=told) | {"finish_reason": reply.reason}


def refusal(status: int, message: str, kind: str) -> dict[str, Any]:
    """Why it does not answer."""
    return {"error": {"code": status, "message": message, "type": kind}}


def too_long(tokens: int, context: int) -> dict[str, Any]:
    """What it says to a prompt that does not fit."""
    said = (
        f"request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
    )
    body = refusal(400, said, "exceed_context_size_error")
    body["error"] |= {"n_prompt_tokens": tokens, "n_ctx": context}
    return body
