"""A fast tokenizer, asked as `Vocabulary` asks a model file: bytes of tokens, and ids with or without special ones."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

from ponder.core.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BYTE_LEVEL, PIECES = "gpt2", "llama"
"""How tokens spell bytes, as model files name it: each byte a printable character, or text with "▁" for a space."""


class Tokens:
    """The tokens of one model. It has its own copy of the tokenizer, so that nobody changes it under us.

    Special are the tokens that the tokenizer declares so, and those that end a text. In what somebody else wrote,
    a message say, the copy recognises none of these, nor any other added token that the chat template writes:
    some tokenizers forget to declare their marks of a turn.
    """

    def __init__(self, tokenizer: Any, *, size: int, configs: Iterable[Any] = ()) -> None:
        """`size` is how many logits the model gives; `configs` know which ids end a text, as the tokenizer does.

        Raises:
            Unsupported: a tokenizer without its fast form, or one whose tokens do not spell bytes.

        """
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise Unsupported(
                f"{type(tokenizer).__name__} does not tell which bytes its tokens are. "
                "Load a fast tokenizer, one that has a tokenizer.json."
            )
        self.n_vocab = size
        self.bos: int | None = tokenizer.bos_token_id
        self.eos: int | None = tokenizer.eos_token_id
        self.eog = frozenset(i for asked in (tokenizer, *configs) for i in _ends(asked) if 0 <= i < size)
        self.chat_template = _template(tokenizer)
        spec = json.loads(backend.to_str())
        self._kind = _kind(spec)
        self._added: dict[int, bytes] = {}
        self._special = set(self.eog)
        for token in spec["added_tokens"]:
            self._added[token["id"]] = token["content"].encode()
            if token["special"]:
                self._special.add(token["id"])
            token["special"] |= token["id"] in self.eog or token["content"] in (self.chat_template or "")
        spec["truncation"] = spec["padding"] = None
        self._tokenizer = Tokenizer.from_str(json.dumps(spec))
        self._soft: dict[str, int] = {}
        self._lock = threading.Lock()  # whether special tokens are recognised is a state of the copy
        self.add_bos = self.bos is not None and self._ids("a", add=True, parse=True)[:1] == [self.bos]

    def meta(self, key: str) -> str | None:
        """How tokens spell bytes; the one thing of a model file's that is asked for."""
        return self._kind if key == "tokenizer.ggml.model" else None

    def piece(self, token: int, *, special: bool) -> bytes:
        """The bytes a token stands for, maybe half a character; b"" for a special token unless `special`."""
        if token in self._special and not special:
            return b""
        if token in self._added:
            return self._added[token]
        text: str | None = self._tokenizer.id_to_token(token)
        if text is None:  # models have more logits than tokens, for round numbers' sake
            return b""
        if self._kind == BYTE_LEVEL:
            return bytes(_BYTES[char] for char in text) if _BYTES.keys() >= set(text) else text.encode()
        if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            return bytes([int(text[3:5], 16)])
        return text.replace("▁", " ").encode()

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids. `parse_special` reads `<|im_start|>` as one token: never for a stranger's text."""
        if not self._soft:
            return self._ids(text, add=add_special, parse=parse_special)
        ids: list[int] = []
        names = "|".join(map(re.escape, sorted(self._soft, key=len, reverse=True)))
        for i, part in enumerate(re.split(f"({names})", text)):  # odd ones are the names that it was split by
            add = add_special and i == 0
            if i % 2:
                ids.append(self._soft[part])
            elif part or add:
                ids += self._ids(part, add=add, parse=parse_special)
        return ids

    def soften(self, names: Mapping[str, int]) -> None:
        """From now on each of these names is one token, in anybody's text; the id is not one of the vocabulary's."""
        self._soft = self._soft | dict(names)

    def softened(self, names: Iterable[str]) -> list[int]:
        """Their ids.

        Raises:
            KeyError: one is no soft token.

        """
        return [self._soft[name] for name in names]

    def _ids(self, text: str, *, add: bool, parse: bool) -> list[int]:
        with self._lock:
            self._tokenizer.encode_special_tokens = not parse
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=add).ids
        return ids


def _ends(asked: Any) -> list[int]:
    """The ids that end a text: none, one or several."""
    found = getattr(asked, "eos_token_id", None)
    return [] if found is None else [found] if isinstance(found, int) else list(found)


def _template(tokenizer: Any) -> str | None:
    """The chat template's source; of several the default one."""
    source = getattr(tokenizer, "chat_template", None)
    if isinstance(source, dict):
        source = source.get("default")
    return source if isinstance(source, str) else None


def _kind(spec: dict[str, Any]) -> str:
    """How tokens spell bytes, by the decoder that would join them."""
    decoder = spec.get("decoder") or {}
    steps = decoder.get("decoders", [decoder])
    kinds = {step.get("type") for step in steps}
    if "ByteLevel" in kinds:
        return BYTE_LEVEL
    if kinds & {"ByteFallback", "Metaspace"}:
        return PIECES
    raise Unsupported(
        f"A tokenizer that joins its tokens by {', '.join(sorted(map(str, kinds)))} does not tell which bytes they "
        "are. Use a model with a byte-level or a SentencePiece tokenizer."
    )


def _printable() -> dict[str, int]:
    """GPT-2's alphabet: bytes that print stand for themselves, the others for the characters from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + i): b for i, b in enumerate(rest)}


_BYTES = _printable()
