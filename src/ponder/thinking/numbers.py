r"""Numbers as people and models write them, read exactly.

No float is ever made: 0.1 is one tenth. Sizes are bounded before any arithmetic, so that `9e999999999` costs nothing.
Money signs and units are left out (the question says which is meant), a percentage is its hundredth: 50% is 1/2.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

MAX_DIGITS: Final = 1_000
"""Beyond it only plain integers have a value, because they need no arithmetic."""

MAX_TEXT: Final = 200_000

_PLAIN: Final = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,3}(?: \d{3})+(?! ?\d)|\d+)"
_DECIMAL: Final = rf"(?:{_PLAIN}(?:\.\d*)?|\.\d+)"
_POWER: Final = r"(?:[eE](?P<e>[+-]?\d+)|\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{\s*(?P<tb>[+-]?\d+)\s*\}|(?P<t>[+-]?\d+)))?"
_NUMBER = re.compile(rf"(?P<number>{_DECIMAL}){_POWER}")
_SIGN = re.compile(
    r"\s*([+-])?\s*(?:(?:US|A|C|HK|NT|S)?\$|€|£|¥|₹|₩|Rs\.?\s|USD\s|EUR\s|RMB\s|CNY\s|JPY\s)?\s*([+-])?\s*"
)
_TEX_FRACTION = re.compile(
    r"\\frac\s*(?:\{\s*(?P<a>[^{}]{1,1100})\s*\}|(?P<a1>\d))\s*(?:\{\s*(?P<b>[^{}]{1,1100})\s*\}|(?P<b1>\d))"
)
_SLASH = re.compile(r"\s*/\s*(?P<below>[+-]?\s*\d+)(?![\d.]*\s*[/^])")
_MIXED = re.compile(r"\s+(?P<above>\d+)\s*/\s*(?P<below>\d+)(?![\d.]*\s*[/^])")
_REPEATING = re.compile(r"(?P<whole>\d*)\.(?P<head>\d*)(?:\\overline\s*\{(?P<tail>\d+)\}|\((?P<tail2>\d+)\))")
_SCALES: Final = {
    "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8,
}  # fmt: skip
_SCALE = re.compile(r"\s*(thousand|million|billion|trillion|dozen|[万萬亿億])(?![A-Za-z])")
_PERCENT = re.compile(r"\s*(?:%|(?:percent|per cent|pct|percentage)(?![A-Za-z])(?: points?)?)")
_LEAD = re.compile(
    r"\s*(?:about|approximately|roughly|around|exactly|nearly|only|just|a total of|equal to|equals|\\approx|=|约|約)\s*",
    re.IGNORECASE,
)

# What may follow a number and be its unit: words, symbols of degree, an exponent, another unit after a slash.
_UNIT_WORD: Final = r"[A-Za-zµμΩ\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
_UNIT_POWER: Final = r"(?:\s?\^\s?(?:\{\s?-?\d\s?\}|-?\d)|(?<=m)[23](?!\d))?"
_UNIT: Final = rf"{_UNIT_WORD}{_UNIT_POWER}\.?"
# Every repetition must spend a separator, so that there is one way to match.
_UNITS = re.compile(
    rf"\s*(?:[$€£¥₹₩]|\^\s*\\circ\s*(?:[CFK](?![A-Za-z]))?|'|\")?\s*"
    rf"(?P<words>{_UNIT}(?:\s?(?:/|\\cdot|-|\s)\s?{_UNIT}){{0,5}})?\s*(?:\^\s*(?:\{{\s*\d\s*\}}|\d))?\s*"
)
_SYMBOLS_OF_UNITS: Final = frozenset(
    re.findall(
        r"\S+",
        "mm cm dm km nm kg mg km/h kmh kph mph ml cl dl ft in yd mi lb lbs oz gal min hr hrs sec ms Hz kHz MHz GHz Pa kPa kW kWh kJ "
        "mol rad deg dollars cents cm2 m2 km2 am pm AM PM GB MB KB TB th st nd rd",
    )
)
_SINGLE_UNITS: Final = frozenset("mgshlLVWNJKCFA")
_NOT_UNITS: Final = frozenset(
    re.findall(
        r"\S+",
        "or and to times plus minus than over is if not of out mod choose sqrt sin cos tan cot sec csc log ln exp pi theta alpha beta "
        "gamma lambda phi infinity inf with but when where for in on at as by from each remainder",
    )
) - {"sec", "in"}


def number_key(answer: str) -> str | None:
    """`num:p/q` in lowest terms if the whole (tidied) answer is one number, with or without unit; else None."""
    text = answer.strip()
    if len(text) > MAX_TEXT:
        return None
    if text.isascii() and text.lstrip("-").isdigit() and text.count("-") <= 1:
        digits = text.lstrip("-").lstrip("0") or "0"
        return "num:" + ("-" if text[0] == "-" and digits != "0" else "") + digits
    if len(text) > 4 * MAX_DIGITS:
        return None
    if text[:1] == "(" and text[-1:] == ")" and "," not in text:
        text = text[1:-1]
    found = leading_number(text)
    if found is None:
        return None
    value, end = found
    return spell(value) if _is_unit(text[end:], attached=text[end : end + 1].isalpha()) else None


def spell(value: Fraction) -> str:
    """The key of an exact number, the same for everyone who computes one."""
    return f"num:{value}"


def leading_number(text: str) -> tuple[Fraction, int] | None:
    """The number a text begins with (sign, money sign, fraction, scale and percent included) and where it ends."""
    start = 0
    lead = _LEAD.match(text)
    if lead:
        start = lead.end()
    sign = _SIGN.match(text, start)
    if sign is None or (sign[1] and sign[2]):
        return None
    negative = "-" in (sign[1], sign[2])
    read = _magnitude(text, sign.end())
    if read is None:
        return None
    value, end = read
    scale = _SCALE.match(text, end)
    if scale:
        value, end = value * _SCALES[scale[1]], scale.end()
    percent = _PERCENT.match(text, end)
    if percent:
        value, end = value / 100, percent.end()
    return (-value if negative else value), end


def _magnitude(text: str, at: int) -> tuple[Fraction, int] | None:
    over = _TEX_FRACTION.match(text, at)
    if over:
        value = _ratio(over["a"] or over["a1"], over["b"] or over["b1"])
        return None if value is None else (value, over.end())
    again = _REPEATING.match(text, at)
    if again and len(again[0]) <= MAX_DIGITS:
        head, tail = again["head"], again["tail"] or again["tail2"]
        whole = int((again["whole"] or "0") + head + tail) - int((again["whole"] or "0") + head)
        return Fraction(whole, (10 ** len(tail) - 1) * 10 ** len(head)), again.end()
    number = _NUMBER.match(text, at)
    if number is None:
        return None
    value = _value(number)
    if value is None:
        return None
    end = number.end()
    if value.denominator == 1 and "." not in number[0]:
        mixed = _MIXED.match(text, end)
        above = mixed and _ratio(mixed["above"], mixed["below"])
        if mixed and above is not None and above < 1:
            return value + above, mixed.end()
        gap = len(text[end:]) - len(text[end:].lstrip())
        over = _TEX_FRACTION.match(text, end + gap)
        above = over and _ratio(over["a"] or over["a1"], over["b"] or over["b1"])
        if over and above is not None and 0 < above < 1:
            return value + above, over.end()
    below = _SLASH.match(text, end)
    if below:
        ratio = _ratio(number[0], below["below"])
        return None if ratio is None else (ratio, below.end())
    return value, end


def _value(number: re.Match[str]) -> Fraction | None:
    digits = number["number"].replace(",", "").replace(" ", "")
    power = number["e"] or number["tb"] or number["t"] or "0"
    if len(digits) > MAX_DIGITS or len(power) > 5 or abs(int(power)) > MAX_DIGITS:
        return None
    whole, _, part = digits.partition(".")
    return Fraction(int((whole + part) or "0"), 10 ** len(part)) * Fraction(10) ** int(power)


def _ratio(above: str, below: str) -> Fraction | None:
    parts = []
    for text in (above, below):
        bare = text.replace(" ", "")
        body = bare.lstrip("+-")
        number = _NUMBER.fullmatch(body) if len(bare) - len(body) <= 1 else None
        value = _value(number) if number else None
        if value is None:
            return None
        parts.append(-value if bare[0] == "-" else value)
    return parts[0] / parts[1] if parts[1] else None


def _is_unit(rest: str, *, attached: bool) -> bool:
    """Whether what follows a number only says what is counted. `5 m` is a length, `5m` may be a variable."""
    found = _UNITS.fullmatch(rest) if len(rest) <= 120 else None
    if found is None:
        return False
    words = re.findall(r"[^\W\d_]+", found["words"] or "")
    if rest.strip() and not words and re.search(r"\d", rest):
        return False
    for place, word in enumerate(words):
        if word in _NOT_UNITS or (place == 0 and attached and not _known(word)):
            return False
        if len(word) == 1 and word.isascii() and word not in _SINGLE_UNITS:
            return False
    return not re.search(r"\b(?:am|pm|AM|PM)\b", rest)  # an hour of the day is not a quantity


def _known(word: str) -> bool:
    return word in _SYMBOLS_OF_UNITS or not word.isascii()
