"""Texts that follow a JSON schema: which tokens may come next. The work is llguidance's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import EngineError, UsageError

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from numpy.typing import NDArray

    from ponder.engines.embedded.vocabulary import Vocabulary

WHITESPACE = r"\n? {0,8}"
"""Between the parts of a JSON text: small models would else write blanks for ever."""


class Grammar:
    """What one text may still become. Ended only by a token that ends the turn."""

    def __init__(self, matcher: LLMatcher, size: int) -> None:
        self._matcher = matcher
        self._size = size

    def allowed(self) -> NDArray[np.bool_]:
        """For each token of the vocabulary, whether it may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.zeros(self._size, np.bool_)
        known = np.unpackbits(bits, count=min(self._size, 8 * bits.size), bitorder="little")
        allowed[: known.size] = known
        if not allowed.any():
            raise EngineError(f"The grammar leaves no token to write. {self._matcher.get_error()}".rstrip())
        return allowed

    def read(self, token: int) -> None:
        """The token was written; it was one of the allowed."""
        self._matcher.consume_token(token)


class Grammars:
    """Makes grammars for a vocabulary. May be called from any thread."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer: LLTokenizer | None = None
        self._lock = threading.Lock()

    def grammar(self, schema: str) -> Grammar:
        """A text from its begin, for a JSON schema given as JSON. The first one takes up to a second.

        Raises:
            UsageError: it is no JSON, or no schema, or asks for what llguidance cannot do.

        """
        from llguidance import LLMatcher

        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _tokenizer(self._vocabulary)
        try:
            text = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_pattern": WHITESPACE})
        except ValueError as error:
            raise UsageError(f"The grammar is no JSON schema: {error}. Give one as a JSON object.") from error
        matcher = LLMatcher(self._tokenizer, text, log_level=0)
        if matcher.is_error():
            raise UsageError(f"The JSON schema cannot be used: {matcher.get_error()}. Change it.")
        return Grammar(matcher, self._vocabulary.size)


class _Tokens:
    """A vocabulary as llguidance asks for it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        tokens = range(vocabulary.size)
        self.tokens = [vocabulary.piece(token, special=True) for token in tokens]
        # A token that writes nothing in a text controls the model.
        self.special_token_ids = [
            token for token in tokens if self.tokens[token] and not vocabulary.piece(token)
        ]
        self.eos_token_id = min(vocabulary.ending)
        self.bos_token_id = None
        self._encode = vocabulary.encode

    def __call__(self, text: bytes) -> list[int]:
        return list(self._encode(text.decode("utf-8", "replace")))


def _tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    from llguidance import LLTokenizer, TokenizerWrapper

    if not vocabulary.ending:
        raise EngineError("This model has no token that ends a text, so no grammar can end. Leave it out.")
    return LLTokenizer(TokenizerWrapper(_Tokens(vocabulary)), eos_token=sorted(vocabulary.ending))
