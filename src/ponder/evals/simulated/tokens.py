"""The tokens of the simulated model: numbered by what they are, so that they are the same in every process.

A token is up to four letters or three digits with the space before them, an operator with its space, a paragraph
break, one of the special tokens, or any other single character.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

EOS: Final = 0
TOKENIZER: Final = "simulated-1"

_SPECIAL: Final = ("", "<think>", "</think>", "<|im_start|>", "<|im_end|>", "<backtrack>", "\n\n")
_OPERATOR: Final = (" +", " -", " *", " /", " =")
_FIXED: Final = (*_SPECIAL, *_OPERATOR)
_TOKEN: Final = re.compile(
    "|".join(map(re.escape, _FIXED[1:])) + r"| ?[A-Za-z]{1,4}| ?[0-9]{1,3}|.", re.DOTALL
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"


def _below(base: int, most: int) -> tuple[int, ...]:
    """How many words of `base` letters are shorter than 1, 2, ... letters; last, how many there are in all."""
    return tuple(sum(base**k for k in range(1, n)) for n in range(1, most + 2))


_WORDS, _NUMBERS = _below(52, 4), _below(10, 3)
_CHARACTER: Final = 32
_NUMBER: Final = _CHARACTER + 0x110000
_WORD: Final = _NUMBER + 2 * _NUMBERS[-1]
_END: Final = _WORD + 2 * _WORDS[-1]
_FIXED_IDS: Final = {token: i for i, token in enumerate(_FIXED) if token}


def split(text: str) -> list[str]:
    """The text of each token."""
    return _TOKEN.findall(text)


def encode(text: str) -> tuple[int, ...]:
    """Ids of a text; any text has some, and `decode` gives it back."""
    return tuple(map(number, _TOKEN.findall(text)))


def decode(ids: Iterable[int]) -> str | None:
    """The text of these ids; None if some are of another vocabulary."""
    texts = [text_of(i) for i in ids]
    return None if None in texts else "".join(texts)  # type: ignore[arg-type]  # none is None


@lru_cache(1 << 16)
def number(token: str) -> int:
    """The id of one token."""
    if token in _FIXED_IDS:
        return _FIXED_IDS[token]
    spaced = len(token) > 1 and token[0] == " "
    bare = token[1:] if spaced else token
    if bare[0] in _DIGITS:
        return _NUMBER + spaced * _NUMBERS[-1] + _NUMBERS[len(bare) - 1] + int(bare)
    if bare[0] in _LETTERS:
        value = 0
        for letter in bare:
            value = value * 52 + _LETTERS.index(letter)
        return _WORD + spaced * _WORDS[-1] + _WORDS[len(bare) - 1] + value
    return _CHARACTER + ord(token)


@lru_cache(1 << 16)
def text_of(i: int) -> str | None:
    """The text of one id; None if it is none of ours."""
    if 0 <= i < len(_FIXED):
        return _FIXED[i]
    if _CHARACTER <= i < _NUMBER:
        text = chr(i - _CHARACTER)
        return text if number(text) == i else None  # letters and digits have ids among words and numbers
    if _NUMBER <= i < _WORD:
        return _word(i - _NUMBER, _DIGITS, _NUMBERS)
    return _word(i - _WORD, _LETTERS, _WORDS) if _WORD <= i < _END else None


def _word(i: int, letters: str, below: tuple[int, ...]) -> str:
    spaced, i = divmod(i, below[-1])
    length = next(n for n in range(1, len(below)) if i < below[n])
    i -= below[length - 1]
    word = ""
    for _ in range(length):
        i, letter = divmod(i, len(letters))
        word = letters[letter] + word
    return " " * spaced + word
