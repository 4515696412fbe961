r"""What a text claims to have calculated, calculated again, exactly.

A small parser over rational numbers; nothing is ever given to the interpreter. It reads chains (`a + b - c = d = e`),
+ - * / and their printed forms (×, ·, ÷, −, \times, \cdot, \div, \frac), small powers, parentheses, thousands
separators, decimals, percentages ("15% of 80") and money signs. What holds a letter is no claim: `2x + 3 = 7` says
something of x.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DIGITS: Final = 60
MAX_POWER: Final = 64
MAX_TOKENS: Final = 400
"""Of one chain. What is longer is left unread, so that no text costs more than its length."""

_TEX: Final = (
    (re.compile(r"\\times|\\cdot|[×·∙⋅✕✖＊]"), "*"),
    (re.compile(r"\\div|÷|／"), "/"),
    (re.compile(r"[−–—－]"), "-"),
    (re.compile(r"＋"), "+"),
    (re.compile(r"＝"), "="),
    (re.compile(r"\\approx|≈|≃"), "~"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\left|\\right|\\[,;:! ]|\\\$|[$€£¥₹]"), " "),
    (re.compile(r"\\[()\[\]]"), " ; "),
    (re.compile(r"²"), "^2"),
    (re.compile(r"³"), "^3"),
    (re.compile(r"\*\*"), "^"),
)
_FRAC = re.compile(r"\\[dt]?frac\s*\{([^{}\\]{1,80})\}\s*\{([^{}\\]{1,80})\}")
_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+)(?P<percent>\s?%|\s?percent\b)?(?![A-Za-z_\\])"
    r"|(?P<times>(?<=[\d)\s])[xX](?=\s*[\d(.]))|(?P<of>of\b)|(?P<sign>[-+*/^()=~])|(?P<other>\S)"
)


class Claim(NamedTuple):
    """One equality: what was written, and whether it holds."""

    text: str
    holds: bool


class _Side(NamedTuple):
    """One side of an equality: its value, how many decimals it is given to, and whether it is a percentage."""

    value: Fraction
    decimals: int | None
    percent: bool


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Unread(Exception):
    """Not an expression."""


def claims(text: str) -> list[Claim]:
    """Every equality between two expressions, in order. A division by nought does not hold.

    A result with decimals may be the other side rounded to them, half up or to even. A percentage on one side only
    may be meant as a number of hundredths or as the number itself ("20 / 80 * 100 = 25%").
    """
    text = _plain(text)
    found = []
    for run in _runs(text):
        sides = list(_sides(run, text))
        for (left, _), (right, sign) in pairwise(sides):
            a, b = _value(left), _value(right)
            if (
                a is None
                or b is None
                or (len(left) == 1 and len(right) == 1 and left[0].text == right[0].text)
            ):
                continue  # "42 = 42" says nothing
            said = text[left[0].start : right[-1].end]
            found.append(Claim(" ".join(said.split()), _equal(a, b, rounded=sign == "~")))
    return found


def verdicts(steps: Sequence[str]) -> list[float]:
    """For each step 1 if all that it claims holds, else 0.

    A step that claims nothing has the verdict of the last one before it that does, or else of the first one after:
    it builds on the one, or leads to the other. Where no step claims anything, all are 1/2: nothing is known.
    """
    own = [all(c.holds for c in found) if (found := claims(step)) else None for step in steps]
    known = next((float(v) for v in own if v is not None), 0.5)
    said = []
    for verdict in own:
        known = known if verdict is None else float(verdict)
        said.append(known)
    return said


def calculate(question: str) -> Fraction | None:
    """What a question comes to that is nothing but a sum; None where it holds no expression, or several."""
    text = _plain(question)
    found = []
    for run in _runs(text):
        for side, _ in _sides(run, text):
            calculated = any(t.kind == "of" or (t.kind == "sign" and t.text != "(") for t in side)
            if calculated and (value := _value(side)):
                found.append(value.value)
    return found[0] if len(found) == 1 and found[0] != NOUGHT else None


def _plain(text: str) -> str:
    for _ in range(3):  # fractions within fractions
        text = _FRAC.sub(r"((\1)/(\2))", text)
    for pattern, plain in _TEX:
        text = pattern.sub(plain, text)
    return text


def _runs(text: str) -> Iterator[list[_Token]]:
    """Stretches that hold nothing but numbers, signs and spaces, with no two numbers side by side."""
    run: list[_Token] = []
    for m in _TOKEN.finditer(text):
        token = _Token(_kind(m), m[0], m.start(), m.end())
        line_ends = run and "\n" in text[run[-1].end : token.start]
        apart = run and text[run[-1].end : token.start] != ""
        ends = run and (run[-1].kind in ("number", "percent") or run[-1].text == ")")
        begins = token.kind in ("number", "percent") or token.text == "("
        if token.kind == "other" or line_ends or (ends and begins and (apart or token.text != "(")):
            if run:
                yield run
            run = []
        elif token.kind == "of" and not (run and run[-1].kind == "percent"):
            if run:
                yield run
            run = []
            continue
        if token.kind != "other":
            run.append(token)
    if run:
        yield run


def _kind(m: re.Match[str]) -> str:
    if m["number"]:
        return "percent" if m["percent"] else "number"
    return "sign" if m["sign"] or m["times"] else "of" if m["of"] else "other"


def _sides(run: list[_Token], text: str) -> Iterator[tuple[list[_Token], str]]:
    """What stands between the signs of equality, and the sign before it. Sides that a word cuts off are empty."""
    if len(run) > MAX_TOKENS:
        return
    sides: list[tuple[list[_Token], str]] = [([], "")]
    for token in run:
        if token.kind == "sign" and token.text in "=~":
            sides.append(([], token.text))
        else:
            sides[-1][0].append(token)
    first, before = sides[0][0], text[: run[0].start].rstrip(" \t")
    if first and first[0].text in "+-*/^" and (before[-1:].isalnum() or before[-1:] in tuple(")%]}_")):
        first.clear()  # "5 apples - 2 = 3" or "2x - 2 = 4": what comes before belongs to it
    touched = text[run[0].start - 1 : run[0].start] if run[0].start else ""
    if touched.isalnum() or touched == "_":
        first.clear()  # "f(3) = 9", "x2 = 4", "n_3 = 4"
    last, after = sides[-1][0], text[run[-1].end :].lstrip(" \t")
    while last and last[-1].kind == "sign" and last[-1].text != ")":
        cut = last.pop()
        if cut.text not in "/-(" or not after[:1].isalpha():  # "24 / hour" is a unit, "24 + x" is not
            last.clear()
    if last and text[run[-1].end :][:1] in ("_", "!"):
        last.clear()
    yield from sides


def _value(tokens: list[_Token]) -> _Side | None:
    """The value of an expression; a division by nought is infinity's stand-in, which equals nothing."""
    if not tokens:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum()
    except _Unread:
        return None
    if reader.left:
        return None
    bare = tokens[-1].text if len(tokens) == 1 or (len(tokens) == 2 and tokens[0].text in "+-") else ""
    decimals = len(bare.rstrip("% ercnt").partition(".")[2]) if bare else None
    return _Side(value, decimals, len(tokens) <= 2 and tokens[-1].kind == "percent")


def _equal(a: _Side, b: _Side, *, rounded: bool) -> bool:
    if NOUGHT in (a.value, b.value):
        return False
    scales = (1, 100) if a.percent != b.percent else (1,)
    for scale in scales:
        x, y = (a.value * scale, b.value) if a.percent else (a.value, b.value * scale)
        if x == y or _rounds(x, y, b, rounded) or _rounds(y, x, a, rounded):
            return True
    return False


def _rounds(exact: Fraction, given: Fraction, side: _Side, rounded: bool) -> bool:
    """Whether a result is another number rounded to the decimals that it is given to."""
    if side.decimals is None or not (side.decimals or rounded):
        return False
    decimals = side.decimals + (2 if side.percent and given == side.value else 0)
    return abs(exact - given) * 2 <= Fraction(1, 10**decimals)


NOUGHT: Final = Fraction(-(10**400), 7)
"""Stands for what a division by nought comes to; no expression within the bounds has this value."""


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._tokens)

    def sum(self) -> Fraction:
        value, percent = self._product()
        while (sign := self._take("+", "-")) is not None:
            other, hundredths = self._product()
            if hundredths != percent:
                raise _Unread  # "50 + 10%" may be 50.1 or 55
            value = NOUGHT if NOUGHT in (value, other) else value + (other if sign == "+" else -other)
        return value

    def _product(self) -> tuple[Fraction, bool]:
        value, percent = self._power()
        while (sign := self._take("*", "x", "X", "/", "of", "(")) is not None:
            if sign == "(":  # 2(3 + 4)
                self._at -= 1
            other, hundredths = self._power()
            percent = percent and hundredths
            if NOUGHT in (value, other) or (sign == "/" and other == 0):
                value = NOUGHT
            else:
                value = value / other if sign == "/" else value * other
        return value, percent

    def _power(self) -> tuple[Fraction, bool]:
        if (sign := self._take("-", "+")) is not None:
            value, percent = self._power()
            return (value if value == NOUGHT or sign == "+" else -value), percent
        value, percent = self._atom()
        if self._take("^") is not None:
            negative = self._take("-") is not None
            power, _ = self._atom()
            if power.denominator != 1 or power > MAX_POWER or len(str(value)) > MAX_DIGITS // 2:
                raise _Unread
            if NOUGHT in (value, power) or (negative and value == 0):
                return NOUGHT, False
            return value ** (-int(power) if negative else int(power)), False
        return value, percent

    def _atom(self) -> tuple[Fraction, bool]:
        if self._take("(") is not None:
            self._depth += 1
            if self._depth > 40:
                raise _Unread
            value = self.sum()
            if self._take(")") is None:
                raise _Unread
            self._depth -= 1
            return value, False
        if not self.left or (token := self._tokens[self._at]).kind not in ("number", "percent"):
            raise _Unread
        self._at += 1
        digits = token.text.replace(",", "").rstrip("% ercnt")
        if len(digits) > MAX_DIGITS:
            raise _Unread
        value = Fraction(digits if digits[0] != "." else "0" + digits)
        return (value / 100, True) if token.kind == "percent" else (value, False)

    def _take(self, *signs: str) -> str | None:
        if self.left and (token := self._tokens[self._at]).kind in ("sign", "of") and token.text in signs:
            self._at += 1
            return token.text
        return None
