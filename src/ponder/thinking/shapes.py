r"""The shape of a mathematical answer: number, words, list, tuple, interval, matrix, or an expression still to decide.

Structure is read here; what needs algebra is left as `pending` expressions for a worker that may be killed.

What counts as the same answer:

* a number is its value: 0.5, 1/2, \frac{1}{2}, ½, 50% and 5e-1 are one answer; units and money signs are left out,
  so 5 cm, 5 m and 5 are one answer (the question fixes the unit) while 500 cm and 5 m are two;
* a name before an equals sign is left out: `x = 5` is 5, `f(x) = 2x` is 2x; a chain `a = b = c` is its last member;
* `{1,2}`, a bare list `1, 2`, `1 and 2` and `x = 2 or x = 1` are sets: neither order nor repetition counts, and a set
  of one is its member; `x = 1, y = 2` is a set of named values;
* `(1,2)` keeps its order and is no set; `[1,2]`, `[1,2)` and `(1,2]` differ by their brackets;
* a matrix is its entries whatever its brackets; a column is not a tuple;
* a numeral with a base (`1011_2`) is itself, never a value;
* words are compared without case, punctuation and a leading article.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ponder.thinking.normal import fold, plain, tidy
from ponder.thinking.numbers import number_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH: Final = 6
MAX_PARTS: Final = 200
MAX_LENGTH: Final = 4_000
"""Longer answers are compared as text: nobody means them as one expression."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An answer whose key is known."""

    name: str

    @property
    def pending(self) -> tuple[str, ...]:
        return ()

    def key(self, decided: Mapping[str, str]) -> str:  # noqa: ARG002 - shapes are asked alike
        return self.name


@dataclass(frozen=True, slots=True)
class Expression:
    """Mathematics in LaTeX whose key must come from algebra."""

    text: str

    @property
    def pending(self) -> tuple[str, ...]:
        return (self.text,)

    def key(self, decided: Mapping[str, str]) -> str:
        return decided[self.text]


@dataclass(frozen=True, slots=True)
class Group:
    """Several answers with a bracket around them. `set` is the only form in which order does not count."""

    form: str
    parts: tuple[Shape, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        return tuple(text for part in self.parts for text in part.pending)

    def key(self, decided: Mapping[str, str]) -> str:
        keys = [part.key(decided) for part in self.parts]
        if self.form in ("set", "union"):
            keys = sorted(set(keys))
            if len(keys) == 1:
                return keys[0]
        return f"{self.form}:{json.dumps(keys)}"


Shape = Decided | Expression | Group

_WORDS_OF_MATH: Final = frozenset(
    re.findall(
        r"\S+",
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp sqrt pi mod max min gcd lcm det deg abs inf",
    )
)
_WORD_VALUES: Final = {
    word: f"num:{value}"
    for value, word in enumerate(
        re.findall(
            r"\S+",
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
            "nineteen twenty",
        )
    )
}
_WORD = re.compile(r"\\?[A-Za-z]+")
_NAME: Final = (
    r"(?:\\?[A-Za-z]{1,20}(?:_(?:\{\w{1,10}\}|\w))?'{0,2}(?:\s?\(\s?[A-Za-z](?:\s?,\s?[A-Za-z])?\s?\))?)"
)
_NAMED = re.compile(rf"\s*({_NAME})\s*(?:=|\\in(?![A-Za-z])|:=)\s*(?=\S)")
_NAMED_AFTER = re.compile(rf"(.+?)\s*=\s*({_NAME})\s*")
_PHRASE_NAME = re.compile(r"(?:[A-Za-z]+\s+){1,5}[A-Za-z]+\s*=\s*(?=\S)")
_ENVIRONMENT = re.compile(
    r"\\begin\{([pbvBV]?matrix|array|cases)\}(?:\{[lcr|\s]*\})?(.*)\\end\{\1\}", re.DOTALL
)
_BASED = re.compile(r"([0-9A-F]+)\s*_\s*\{?\s*(\d{1,2})\s*\}?")
_RATIO = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+")
_INFINITY = re.compile(r"([+-]?)\s*(?:\\infty|infinity|inf|oo)")
_TRAILING_UNIT = re.compile(
    r"(.*[\d})!])\s+((?:[A-Za-z]{2,}|m)(?:[ /][A-Za-z]{1,12}){0,3})(?:\s?\^\s?\{?\d\}?)?"
)
_LETTER = re.compile(r"\(\s*([A-Za-z])\s*\)|([A-Z])")
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or)\s|;|,|\s(?:and|or|和|或|と|または)\s)\s*")
_WRAPPED = re.compile(r"\\(?:boxed|fbox|mathbf|boldsymbol|bm)\s*\{(.*)\}", re.DOTALL)
_OPEN: Final = {"(": ")", "[": "]", "{": "}"}
_EQUALS = re.compile(r"(?<![<>!:\\])=")
_RELATION = re.compile(r"\\(?:le|ge|ne|approx|equiv|sim)(?![A-Za-z])|[<>=]")


def shape(answer: str) -> Shape:
    """Read an answer. Linear in its length but for nesting, which is bounded."""
    if len(answer) > MAX_LENGTH:
        return Decided(number_key(answer.strip()) or words_key(answer))
    return _shape(tidy(answer), 0)


def words_key(text: str) -> str:
    """The key of an answer in words; text without any word keeps its symbols."""
    return "text:" + (fold(text) or "".join(plain(text).split()))


def _shape(text: str, depth: int, *, inside: bool = False) -> Shape:
    text = _unwrap(text)
    if depth > MAX_DEPTH:
        return Decided(words_key(text))
    known = _atom(text) if not (inside and "," in text) else None
    if known is not None:
        return known
    if not text or (_is_prose(text) and any(map(_is_prose, _split(text, _SEPARATOR)))):
        return Decided(words_key(text))
    matrix = _ENVIRONMENT.fullmatch(text)
    if matrix:
        rows = [r for r in re.split(r"\\\\", matrix[2]) if r.strip()]
        return Group(
            "matrix",
            tuple(Group("row", tuple(_shape(c, depth + 1) for c in r.split("&"))) for r in rows[:MAX_PARTS]),
        )
    if "\\begin" in text:
        return Expression(text)
    united = _split(text, re.compile(r"\s*\\cup(?![A-Za-z])\s*"))
    if len(united) > 1:
        return Group("union", tuple(_shape(part, depth + 1) for part in united[:MAX_PARTS]))
    parts = _split(text, _SEPARATOR)
    if len(parts) > 1:
        return _listed(parts, depth)
    return _bracketed(text, depth) or _single(text, depth)


def _unwrap(text: str) -> str:
    text = text.strip()
    for _ in range(MAX_DEPTH):
        before = text
        if len(text) > 1 and text.startswith("$") and text.endswith("$"):
            text = text.strip("$").strip()
        wrapped = _WRAPPED.fullmatch(text)
        if wrapped and _closes(wrapped[1]):
            text = wrapped[1].strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1].strip()
        if text == before:
            break
    if text.count("$") > 1 or (text.endswith("$") and "\\" in text):
        text = text.replace("$", " ")
    return text.lstrip(" ,;").rstrip(" .,;")


def _atom(text: str) -> Shape | None:
    """What needs no further reading: a number, a letter, a ratio, a based numeral, words."""
    number = number_key(text)
    if number:
        return Decided(number)
    letter = _LETTER.fullmatch(text)
    if letter:
        return Decided("choice:" + (letter[1] or letter[2]).upper())
    if text.lower() in _WORD_VALUES:
        return Decided(_WORD_VALUES[text.lower()])
    based = _BASED.fullmatch(text)
    if based:
        return Decided(f"base:{based[1].lstrip('0') or '0'}_{based[2]}")
    if _RATIO.fullmatch(text):
        return Decided("ratio:" + text.replace(" ", ""))
    if text in {"\\emptyset", "\\{ \\}", "\\{\\}"}:
        return Decided("set:[]")
    endless = _INFINITY.fullmatch(text)
    if endless:
        return Decided("num:-inf" if endless[1] == "-" else "num:inf")
    return None


def _is_prose(text: str) -> bool:
    r"""Words rather than symbols: `Evelyn`, `no real solution`, but not `2xy`, `\\sin x` or `ab`."""
    bare = [w for w in _WORD.findall(text) if not w.startswith("\\")]
    plain_words = [w for w in bare if w not in _WORDS_OF_MATH]
    if "\\" in text or any(c in text for c in "^=<>+*{}[]()"):
        return _reads_as_sentence(text)
    if not text.isascii():
        return True
    if re.search(r"\d", text):
        return any(len(w) > 3 for w in plain_words) or " " in text.strip()
    return any(len(w) > 1 for w in plain_words)


def _reads_as_sentence(text: str) -> bool:
    """Mathematics inside running text (`the line x = 2 is a tangent`) is compared as words."""
    outside = re.sub(r"\\[A-Za-z]+|\{[^{}]*\}", " ", text)
    long = [
        w for w in re.findall(r"[A-Za-z]{2,}", outside) if w not in _WORDS_OF_MATH and w not in {"and", "or"}
    ]
    first = re.match(r"\s*[A-Za-z]{4,}\s*\(", text)
    return sum(len(w) > 3 for w in long) >= (1 if first else 2) or (
        any(len(w) > 3 for w in long) and not _RELATION.search(text)
    )


def _listed(parts: list[str], depth: int) -> Shape:
    names = [m[1] if (m := _NAMED.match(part)) else None for part in parts]
    if all(names) and len(set(names)) == len(names):
        named = [
            Group(f"named {name}", (_shape(part, depth + 1),))
            for name, part in zip(names, parts, strict=True)
        ]
        return Group("set", tuple(named))
    return Group("set", tuple(_shape(part, depth + 1) for part in parts[:MAX_PARTS]))


def _bracketed(text: str, depth: int) -> Shape | None:
    """`{a, b}`, `(a, b)`, `[a, b)`; None if the brackets do not hold the whole text."""
    if text.startswith("\\{") and text.endswith("\\}"):
        inner, form = text[2:-2], "set"
    elif text[:1] in ("(", "[", "{") and text[-1:] in (")", "]", "}"):
        inner = text[1:-1]
        form = {"()": "tuple", "{}": "set"}.get(text[0] + text[-1], text[0] + text[-1])
    else:
        return None
    if not _closes(inner):
        return None
    parts = _split(inner, re.compile(r"\s*[,;]\s*"))
    if len(parts) < 2:
        if form == "tuple":
            return None
        if form == "set":
            return None if "|" in inner or "\\mid" in inner else _shape(inner, depth + 1)
    return Group(form, tuple(_shape(part, depth + 1, inside=True) for part in parts[:MAX_PARTS]))


def _single(text: str, depth: int) -> Shape:
    """One expression, with names and chains of equalities taken off."""
    named = _NAMED.match(text) or _PHRASE_NAME.match(text)
    if named and not re.match(r"=", text[named.end() :]):
        return _shape(text[named.end() :], depth + 1)
    sides = _split(text, _EQUALS)
    if len(sides) > 2:
        return _shape(sides[-1], depth + 1)
    if len(sides) == 2:
        after = _NAMED_AFTER.fullmatch(text)
        if after and not re.search(r"[A-Za-z]", after[1]):
            return _shape(after[1], depth + 1)
        left, right = (number_key(side.strip()) for side in sides)
        if right and not re.search(r"(?<!\\)[a-zA-Z]", re.sub(r"\\[A-Za-z]+", "", sides[0])):
            return Decided(right)  # 2 + 3 = 5
        if left and left == right:
            return Decided(left)
    unit = _TRAILING_UNIT.fullmatch(text)
    if unit and _closes(unit[1]) and not _WORDS_OF_MATH & set(re.findall(r"[A-Za-z]+", unit[2])):
        return _shape(unit[1], depth + 1)
    near = re.split(r"\\approx(?![A-Za-z])", text)
    if len(near) > 1 and near[0].strip():
        return _shape(near[0], depth + 1)  # the exact side
    if text.count("\\pm") == 1:
        other = text.replace("\\mp", "\\pm_")
        return Group(
            "set",
            tuple(
                _shape(other.replace("\\pm_", b).replace("\\pm", a), depth + 1)
                for a, b in (("+", "-"), ("-", "+"))
            ),
        )
    return Expression(text)


def _closes(inner: str) -> bool:
    """Whether every bracket inside is closed inside, so that the outer pair belongs together."""
    level = 0
    for char in inner.replace("\\{", "(").replace("\\}", ")"):
        level += (char in "([{") - (char in ")]}")
        if level < 0:
            return False
    return level == 0


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Cut at separators that stand outside all brackets."""
    levels = list(_levels(text))
    parts, start = [], 0
    for found in separator.finditer(text):
        if found.end() > found.start() and levels[found.start()] == 0:
            parts.append(text[start : found.start()])
            start = found.end()
    parts.append(text[start:])
    return [part for part in parts if part.strip()]


def _levels(text: str) -> Iterator[int]:
    level = 0
    for char in text:
        if char in ")]}":
            level = max(0, level - 1)
        yield level
        level += char in "([{"
