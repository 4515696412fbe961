"""Prefixes as token ids, and ids as text, for one model file."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from ponder.core.errors import EngineClosed, UsageError
from ponder.engines.embedded.templates import ChatTemplate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Prompt, Segment
    from ponder.engines._llama import Model

PROMPTS = 128
"""Prompts whose ids are kept: a strategy sends the same one again and again."""


class Vocabulary:
    """Knows the tokens of a model. Its methods may be called from any thread, until `close`.

    Special tokens are recognised in what strategies and templates write, never in the content of a message:
    whoever asks a question must not be able to end a turn in the middle of it. `Prompt.raw` is the caller's own,
    template and all, so there they are recognised.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lock = threading.Lock()  # nobody may look up a token while the model is freed
        self._closed = False
        self.size = model.n_vocab
        self._pieces: dict[tuple[int, bool], bytes] = {}
        self._prompts: OrderedDict[Prompt, tuple[int, ...]] = OrderedDict()
        self._eog = model.eog
        self._adds_space = model.meta("tokenizer.ggml.model") == "llama"
        bos, eos = (
            "" if token is None else model.piece(token, special=True).decode("utf-8", "replace")
            for token in (model.bos, model.eos)
        )
        self.template = ChatTemplate(model.chat_template, bos=bos, eos=eos)
        self.fingerprint = self._fingerprint()

    # -- ids to text ----------------------------------------------------------------------------------------

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that a token writes; a special token writes none unless `special`."""
        known = self._pieces.get((token, special))
        if known is None:
            with self._lock:
                self._check()
                known = self._pieces[token, special] = self._model.piece(token, special=special)
        return known

    @property
    def ending(self) -> frozenset[int]:
        """The tokens that end the text or the turn."""
        return self._eog

    def ends(self, token: int) -> bool:
        """Whether the token ends the text or the turn."""
        return token in self._eog

    def held_off(self, sampling: Sampling) -> NDArray[np.intp]:
        """The ids that `min_tokens` suppresses.

        Raises:
            UsageError: a stop id or a bias for a token that does not exist, or a bias that is no bias.

        """
        switches = sampling.switch_penalty.tokens if sampling.switch_penalty else ()
        for token in (*sampling.stop_ids, *sampling.logit_bias, *switches):
            if not 0 <= token < self.size:
                raise UsageError(f"There is no token {token}: this model has {self.size:,}, from 0.")
        for token, bias in sampling.logit_bias.items():
            if math.isnan(bias) or bias == math.inf:
                raise UsageError(
                    f"The bias of token {token} is {bias}. Give a finite one, or -inf to forbid it."
                )
        if not sampling.min_tokens:
            return np.empty(0, np.intp)
        return np.array(sorted(self._eog | set(sampling.stop_ids)), np.intp)

    # -- text to ids ----------------------------------------------------------------------------------------

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of text that stands inside a path."""
        with self._lock:
            self._check()
            return tuple(self._inside(text, special=True))

    def ids(self, prefix: Prefix) -> list[int]:
        """All that is read before writing goes on after `prefix`.

        Sampled segments are continued by their ids. What a strategy wrote is tokenised by itself, not together
        with the token before it. Ids that do not spell the segment's text come from another model, or from
        none: then the text is tokenised.
        """
        with self._lock:
            self._check()
            ids = list(self._prompt(prefix.prompt))
            written = ""
            for segment in prefix.segments:
                if segment.token_ids is None or not self._ours(segment):
                    written += segment.text
                    continue
                if written:
                    ids += self._inside(written, special=True)
                    written = ""
                ids += segment.token_ids
            if written:
                ids += self._inside(written, special=True)
            return ids

    def plain(self, text: str) -> list[int]:
        """Ids of a text that is only data, as the model reads it by itself."""
        with self._lock:
            self._check()
            return self._model.tokenize(text, add_special=True, parse_special=False)

    def prompt(self, prefix: Prefix) -> int:
        """How many of its ids are the prompt's."""
        with self._lock:
            self._check()
            return len(self._prompt(prefix.prompt))

    def forget(self) -> None:
        """Read every prompt anew, for there are more tokens now than before."""
        with self._lock:
            self._prompts.clear()

    def close(self) -> None:
        """After this the model may be freed."""
        with self._lock:
            self._closed = True

    # -- under the lock -------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._closed:
            raise EngineClosed("The engine is closed. Open it again.")

    def _inside(self, text: str, *, special: bool) -> list[int]:
        """Ids of text that something stands before: no begin-of-text, no space put in front."""
        if not text:
            return []
        tokenize = self._model.tokenize
        if self._adds_space:
            anchor = tokenize("\n", add_special=False, parse_special=False)
            ids = tokenize("\n" + text, add_special=False, parse_special=special)
            if ids[: len(anchor)] == anchor:
                return ids[len(anchor) :]
        return tokenize(text, add_special=False, parse_special=special)

    def _prompt(self, prompt: Prompt) -> tuple[int, ...]:
        try:
            known = self._prompts.get(prompt)
        except TypeError:  # typed message parts are mappings, which have no hash
            return tuple(self._render(prompt))
        if known is None:
            known = self._prompts[prompt] = tuple(self._render(prompt))
            if len(self._prompts) > PROMPTS:
                self._prompts.popitem(last=False)
        else:
            self._prompts.move_to_end(prompt)
        return known

    def _render(self, prompt: Prompt) -> list[int]:
        tokenize, bos = self._model.tokenize, self._model.bos
        if prompt.raw is not None:
            ids = tokenize(prompt.raw, add_special=False, parse_special=True)
        else:
            pieces = self.template.render(prompt)
            ids = tokenize("".join(text for text, _ in pieces), add_special=False, parse_special=True)
            foreign = [text for text, given in pieces if given and self._has_special(text)]
            if foreign:
                ids = [i for text, given in pieces for i in self._inside(text, special=not given)]
        if self._model.add_bos and bos is not None and ids[:1] != [bos]:
            ids = [bos, *ids]
        if not ids:
            raise UsageError("The prompt is empty. Give it a message, or raw text.")
        return ids

    def _has_special(self, text: str) -> bool:
        tokenize = self._model.tokenize
        plain = tokenize(text, add_special=False, parse_special=False)
        return tokenize(text, add_special=False, parse_special=True) != plain

    def _ours(self, segment: Segment) -> bool:
        ids = segment.token_ids or ()
        if not all(0 <= token < self.size for token in ids):
            return False
        text = segment.text
        return text in (self._text(ids), self._text(ids, last_special=True)) or (
            segment.finish in ("cancelled", "length") and self._text(ids).rstrip("\ufffd") == text
        )

    def _text(self, ids: tuple[int, ...] | list[int], *, last_special: bool = False) -> str:
        last = len(ids) - 1
        pieces = []
        for at, token in enumerate(ids):
            key = (token, last_special and at == last)
            if key not in self._pieces:
                self._pieces[key] = self._model.piece(token, special=key[1])
            pieces.append(self._pieces[key])
        return b"".join(pieces).decode("utf-8", "replace")

    def _fingerprint(self) -> str:
        told = hashlib.sha256(f"{self._model.meta('tokenizer.ggml.model')} {self.size}".encode())
        for token in range(0, self.size, max(1, self.size // 512)):
            told.update(self._model.piece(token, special=True) + b"\0")
        return told.hexdigest()[:16]
