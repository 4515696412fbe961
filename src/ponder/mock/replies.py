"""What the mock server sends, in each dialect's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ponder.mock import llama

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ponder.core.prefix import Segment
    from ponder.mock.asked import Asked


_APART = {
    "vllm": "reasoning",
    "sglang": "reasoning_content",
    "llama-server": "reasoning_content",
    "openai": None,
}
"""The field in which a chat tells what was thought; None where it keeps that to itself."""


class Token(NamedTuple):
    """One token as it is sent."""

    text: str
    piece: str
    id: int
    logprob: float
    tops: tuple[tuple[int, str, float], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything that one choice says. `finish` and `stopped_by` are as the engine has them; `thought` are the tokens,
    from one to another, that a chat tells apart.
    """

    index: int
    tokens: tuple[Token, ...]
    finish: str
    stopped_by: str | None
    stop_id: int | None
    eos: int | None  # the id, where it ended the text
    thought: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, index: int, segment: Segment, asked: Asked, text_of: Any) -> Reply:
        """A segment as the server shows it: where stops are trimmed, its text ends before them."""
        ids, ends = segment.token_ids or (), segment.ends or ()
        shown = _shown(segment, asked)
        logs = segment.logprobs or (0.0,) * len(ids)
        tops = segment.top_logprobs or ((),) * len(ids)
        tokens, start = [], 0
        for i, end, log, top in zip(ids, ends, logs, tops, strict=True):
            piece = segment.text[start:end]
            text = piece if end <= shown else segment.text[min(start, shown) : shown]
            likeliest = tuple([(t, text_of(t), p) for t, p in top]) if top else ()
            tokens.append(Token(text, piece, i, log, likeliest))
            start = end
        by_id = (
            ids[-1]
            if segment.stopped_by is not None and ids[-1:] and ids[-1] in asked.sampling.stop_ids
            else None
        )
        eos = ids[-1] if segment.finish == "eos" else None
        return cls(index, tuple(tokens), segment.finish, segment.stopped_by, by_id, eos)

    @property
    def reason(self) -> str:
        return "length" if self.finish == "length" else "stop"


def _shown(segment: Segment, asked: Asked) -> int:
    """How much of the text a server shows."""
    if segment.stopped_by is None:
        return len(segment.text)
    if segment.token_ids and segment.token_ids[-1] in asked.sampling.stop_ids:
        start = len(segment.text) - len(segment.stopped_by)
    else:
        start = segment.text.find(segment.stopped_by)
    return start + len(segment.stopped_by) if asked.keep_stop else start


def counted(reply: Reply, dialect: str) -> int:
    """Completion tokens as this server counts them: OpenAI's does not count the end of the text."""
    return len(reply.tokens) - (dialect == "openai" and reply.eos is not None)


def chunks(dialect: str, asked: Asked, reply: Reply, prompt: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The pieces of a stream, each with the tokens that it carries; the last one says how it ended."""
    if dialect == "llama-server" and asked.form != "completion":
        yield from llama.chunks(asked, reply)
        return
    last = len(reply.tokens) - 1
    if asked.form == "chat":
        yield _choice(asked, reply, {"role": "assistant", "content": ""}, None), 0
    for i, token in enumerate(reply.tokens):
        ends = i == last
        if asked.form == "completion":
            yield _native(asked, token, i + 1, prompt), 1
            continue
        silent = dialect == "openai" and token.id == reply.eos
        extras = _ends(dialect, reply) if ends else {}
        if asked.form == "chat":
            delta = {"content": token.text} if token.text or not ends else {}
            if reply.thought[0] <= i < reply.thought[1]:
                delta = {field: token.text} if (field := _APART[dialect]) else {}
            told = None if asked.likeliest is None or silent else {"content": [_chat_logprob(token)]}
            yield _choice(asked, reply, delta, told) | extras, 0 if silent else 1
        else:
            body: dict[str, Any] = {"index": reply.index, "text": token.text, "finish_reason": None}
            body["logprobs"] = _raw_logprobs(asked, [token]) if asked.likeliest is not None else None
            if asked.ids:
                body["token_ids"] = [token.id]
            yield body | extras, 1
    if asked.form == "completion":
        yield native_end(reply, prompt) | {"content": "", "tokens": [], "stop": True}, 0


def whole(dialect: str, asked: Asked, reply: Reply) -> dict[str, Any]:
    """One choice of an answer that is not streamed."""
    if asked.form == "chat":
        began, ended = reply.thought
        thinks = "".join([token.text for token in reply.tokens[began:ended]])
        text = "".join([token.text for token in reply.tokens[ended:]])
        told = [token for token in reply.tokens if not (dialect == "openai" and token.id == reply.eos)]
        logs = {"content": [_chat_logprob(t) for t in told]} if asked.likeliest is not None else None
        field = _APART[dialect]
        message = {"role": "assistant", "content": text} | ({field: thinks} if thinks and field else {})
        if dialect == "llama-server":
            return llama.whole(asked, reply, message)
        said = {"message": message, "index": reply.index, "logprobs": logs}
    elif dialect == "llama-server":
        return llama.whole(asked, reply, {})
    else:
        said = {"text": "".join([token.text for token in reply.tokens]), "index": reply.index}
        said["logprobs"] = _raw_logprobs(asked, reply.tokens) if asked.likeliest is not None else None
        if asked.ids:
            said["token_ids"] = [token.id for token in reply.tokens]
    return said | _ends(dialect, reply)


def native_end(reply: Reply, prompt: int) -> dict[str, Any]:
    """How llama-server says that it is done."""
    kind = {"length": "limit", "eos": "eos"}.get(reply.finish, "word")
    return {
        "index": reply.index,
        "stop_type": kind,
        "stopping_word": reply.stopped_by or "",
        "tokens_predicted": len(reply.tokens),
        "tokens_evaluated": prompt,
        "truncated": False,
        "id_slot": 0,
        "has_new_line": any("\n" in token.text for token in reply.tokens),
        "tokens_cached": prompt + len(reply.tokens),
        "timings": llama.timings(prompt, len(reply.tokens)),
    }


def _ends(dialect: str, reply: Reply) -> dict[str, Any]:
    said: dict[str, Any] = {"finish_reason": reply.reason}
    by = reply.stop_id if reply.stop_id is not None else reply.stopped_by
    if dialect == "vllm":
        said["stop_reason"] = by
    if dialect == "sglang":
        said["matched_stop"] = by if by is not None else reply.eos
    return said


def _choice(asked: Asked, reply: Reply, delta: dict[str, Any], logprobs: Any) -> dict[str, Any]:
    del asked
    return {"index": reply.index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


def _chat_logprob(token: Token) -> dict[str, Any]:
    tops = [{"token": text, "logprob": p, "bytes": list(text.encode())} for _, text, p in token.tops]
    return {
        "token": token.piece,
        "logprob": token.logprob,
        "bytes": list(token.piece.encode()),
        "top_logprobs": tops,
    }


def _raw_logprobs(asked: Asked, tokens: Any) -> dict[str, Any]:
    def name(i: int, text: str) -> str:
        return f"token_id:{i}" if asked.as_ids else text

    return {
        "tokens": [name(t.id, t.piece) for t in tokens],
        "token_logprobs": [t.logprob for t in tokens],
        "top_logprobs": [{name(i, text): p for i, text, p in t.tops} for t in tokens]
        if asked.likeliest
        else None,
    }


def _native(asked: Asked, token: Token, so_far: int, prompt: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "index": 0,
        "content": token.text,
        "tokens": [token.id] if asked.ids else [],
        "stop": False,
        "id_slot": -1,
        "tokens_predicted": so_far,
        "tokens_evaluated": prompt,
    }
    if asked.likeliest:
        body["completion_probabilities"] = [llama.probability(token)]
    return body
