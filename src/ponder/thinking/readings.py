"""Read a value at the start, or at the end, of a piece of text: mathematics, a letter, a yes or no."""

from __future__ import annotations

import re
from typing import Final

from ponder.thinking.declared import sentence
from ponder.thinking.normal import tidy
from ponder.thinking.numbers import number_key
from ponder.thinking.shapes import shape, words_key

_NUMBER: Final = (
    r"(?:\\[dtc]?frac\s?(?:\{[^{}\n]{1,60}\}|\d)\s?(?:\{[^{}\n]{1,60}\}|\d)"
    r"|\d{1,3}(?:,(?:\\!\s?)?\d{3})+(?![\d,])(?:\.\d+)?|\d{1,3}(?:[ ]\d{3})+(?![ ]?\d)|\d+(?:\.\d+)?|\.\d+)"
)
_LOOSE = re.compile(
    rf"(?P<sign>(?<![A-Za-z0-9_)}}\]])-\s?|-(?=[$€£¥]))?(?:\\?\$|[€£¥₹])?(?P<sign2>-)?(?<![A-Za-z0-9_.])"
    rf"(?P<number>{_NUMBER}(?:[eE][+-]?\d{{1,4}}(?!\w))?(?:\s?/\s?\d+|\s\d+/\d+|\s?\\frac\{{\d+\}}\{{\d+\}}|\s?[½⅓⅔¼¾])?|[½⅓⅔¼¾])"
    rf"(?P<percent>\s?\\?%|\s?percent\b)?"
)
_DELIMITED = re.compile(
    r"[*\s]*(?:\$\$(.{1,1500}?)\$\$|\$((?:\\.|[^$\n\\]){1,1500})\$|\\\((.{1,1500}?)\\\)|\\\[(.{1,1500}?)\\\])",
    re.DOTALL,
)
_MATRIX = re.compile(r"[\s*]*(\\begin\{([a-zA-Z]+)\}.{1,1500}?\\end\{\2\})", re.DOTALL)
_OR = re.compile(r"\s*,?\s*(?:\b(?:or|maybe|possibly|perhaps)\b|或者?|または)\s*", re.IGNORECASE)
_WORDS_IN_TEX: Final = re.compile(r"\\(?:text|mathrm|mbox)[a-z]*\s*\{")
_LETTERS: Final = re.compile(r"[A-Za-z\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WORD_TO_STOP: Final = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MATH_WORDS: Final = frozenset(
    re.findall(
        r"\S+", "and sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp sqrt pi mod or"
    )
)


def mathematics(text: str, *, boxed: bool = False) -> str | None:
    """The mathematical answer a text begins with; "" if it offers different ones, None if there is none."""
    if boxed:
        content = text.strip()
    else:
        between = _DELIMITED.match(text)
        if between:
            content = next(g for g in between.groups() if g).strip()
            after = text[between.end() : between.end() + 300]
            other = _OR.match(after)
            if other and (more := mathematics(after[other.end() :])) is not None:
                return content if _same(content, more) else ""
            percent = re.match(r"\s?\\?%", after)
            content += percent[0] if percent else ""
        else:
            content = _plain_mathematics(text)
    if not content:
        return None
    return content if _is_single(content) else ""


def _plain_mathematics(text: str) -> str:
    """Without delimiters the answer is the longest start that holds no word, else the first number of the sentence."""
    matrix = _MATRIX.match(text)
    if matrix:
        return matrix[1]
    said = sentence(text)
    if _WORDS_IN_TEX.match(said):
        said = tidy(said)
    if number_key(tidy(said)) is not None and not _LETTERS.search(said):
        return said
    word = next((w for w in _WORD_TO_STOP.finditer(said) if w[0] not in _MATH_WORDS), None)
    if word is None:
        return said
    start = said[: word.start()].strip(" *,(-").removesuffix(" and").removesuffix(" or").rstrip(" ,")
    if (start.count("{") == start.count("}") and re.search(r"\d|\\[A-Za-z]", start)) or re.fullmatch(
        r"[b-zB-HJ-Z]", start
    ):
        more = _OR.match(said[len(start) :])
        return said if more and re.search(r"\d", said[len(start) :]) else start
    first = _LOOSE.search(said)
    if first is None:
        return said
    rest = said[first.end() :]
    other = _OR.match(rest)
    return said[first.start() :] if other and re.search(r"\d", rest) else _spelt(first)


def _is_single(content: str) -> bool:
    """Not a choice left open (`2 or 3`) nor a falsehood (`2 = 3`). Named solutions (`x=2 or x=3`) are one set."""
    text = tidy(content)
    if len(text) > 2_000 or number_key(text) is not None:
        return True
    offered = [part for part in _OR.split(text) if part.strip()]
    if len(offered) > 1 and not all(re.match(r"\s*\\?[A-Za-z]\w*\s*=", part) for part in offered):
        return len({number_key(part) or words_key(part) for part in offered}) == 1
    sides = [number_key(side.strip()) for side in re.split(r"(?<![<>!:])=", text)]
    return len({side for side in sides if side}) <= 1


def _same(one: str, other: str) -> bool:
    a, b = shape(one), shape(other)
    return not a.pending and not b.pending and a.key({}) == b.key({})


def _spelt(found: re.Match[str]) -> str:
    sign = "-" if found["sign"] or found["sign2"] else ""
    return sign + found["number"].strip() + (found["percent"] or "").strip().replace("percent", "%")


def last_number(text: str) -> str | None:
    """The last number anywhere, sign, fraction and percent included."""
    for size in (400, 20_000, len(text)):  # the end is nearly always enough
        tail = text[-size:]
        if size < len(text) and (space := tail.find(" ")) >= 0:
            tail = tail[space:]
        last = None
        for found in _LOOSE.finditer(tail):
            last = found
        if last is not None:
            return _spelt(last)
    return None


_OPTION: Final = r"[\s*_\"'$:]*(?:(?i:option|choice|answer)\s*|选项?|選項)?[\s*_\"'$]*(?:\\text(?:bf)?\{\s*|\\mathrm\{\s*)?"
_STARTS_WITH = re.compile(
    _OPTION
    + r"(?:[(\[]\s*(?P<inside>[A-Za-z])\s*[)\]]|(?P<bare>[A-Z])(?![A-Za-z'])|(?P<small>[a-z])(?=\)|\.?\s*$|\.\s))"
)
_REASON = re.compile(
    r"\s+(?:because|since|which|is|was|for|due|so|as|and|or|but|the|with|it|also|given|among)\b|\s*$|\s*[^\w\s]|\s*\n|[\u3040-\u9fff]"
)
_ANOTHER = re.compile(r"[\s*)\]}$.]*(?:,|/|&|and\b|or\b|和|或|、)\s*[(\[*]*([A-Z])(?![A-Za-z'])")
_MENTIONED = re.compile(
    r"(?:(?i:option|choice)|选项?|選項)\s*[(\[*]*(?P<a>[A-Z])(?![A-Za-z])|[(\[](?P<b>[A-Z])[)\]]"
    r"|^[\s*]*(?P<c>[A-Z])(?:[.):]|[\s*]*$)|(?<![A-Za-z'])(?P<d>[B-HJ-Z])(?=[\s*.。!]*$)|(?<![A-Za-z'])(?P<e>[A-Z])\s+is\s+(?:the\s+)?(?:correct|right|answer)",
    re.MULTILINE,
)


def _allowed(letter: str | None, choices: int | None) -> str | None:
    return letter.upper() if letter and ord(letter.upper()) - 65 < (choices or 10) else None


def first_letter(text: str, choices: int | None) -> str | None:
    """The option a text begins with; "" if it names several. The article in "a dog" or "A dog" is no option."""
    found = _STARTS_WITH.match(text[:400])
    if found is None:
        return None
    rest = text[found.end() : found.end() + 80]
    if found["bare"] in ("A", "I") and not _REASON.match(rest):
        return None
    letter = _allowed(found["inside"] or found["bare"] or found["small"], choices)
    another = _ANOTHER.match(rest)
    if letter and another and _allowed(another[1], choices) not in (None, letter):
        return ""
    return letter


def last_letter(text: str, choices: int | None) -> str | None:
    """The option mentioned last as an option: `(C)`, `option C`, a line `C.`, or a capital that ends the text."""
    bare = text.strip()
    if len(bare) <= 4:
        return first_letter(bare, choices) or None
    last = None
    for found in _MENTIONED.finditer(text[-20_000:]):
        last = _allowed(found[found.lastgroup or 0], choices) or last
    return last


_YES: Final = r"yes|true|correct|是的?|对|對|真|正确|はい|真である"
_NO: Final = r"no|false|incorrect|不是|否|不对|不對|假|错误|いいえ|偽"
_VERDICT = re.compile(rf"(?i)[\s*_\"'$#:]*(?:\\text\{{)?(?:(?P<no>{_NO})|(?P<yes>{_YES}))(?![A-Za-z])")
_LATER = re.compile(
    r"(?i)(?:(?<![A-Za-z])(?P<no>no(?=\s*[.,!;*)\"]|\s*$)|false|いいえ|(?<![^\s,.:\"])(?:不是|否|不对|错误|假)(?=[\s,.!\"]|$))"
    r"|(?<![A-Za-z])(?P<yes>yes|true|はい|(?<![^\s,.:\"])(?:是的?|对|正确|真)(?=[\s,.!\"]|$)))(?![A-Za-z])",
    re.MULTILINE,
)


def first_verdict(text: str, *, whole: bool = False) -> str | None:
    """`yes` or `no` if the text begins with one of the words for it (or `whole`: is one); "" if both are offered."""
    found = _VERDICT.match(text)
    if found is None:
        return None
    rest = text[found.end() : found.end() + 40]
    if whole and rest.strip(" .!*。}$"):
        return None
    if found["no"] and re.match(
        r"(?i)no\s+(?!because|since|as\b|it\b|the\b|they\b|he\b|she\b|this\b)[a-z]", found[0].strip() + rest
    ):
        return None  # "no real solutions" denies nothing
    if re.match(r"\s*(?:or|and|/|或|と)\s*", rest) and _VERDICT.match(
        re.sub(r"^\s*(?:or|and|/|或|と)", "", rest)
    ):
        return ""
    return "yes" if found["yes"] else "no"


def last_verdict(text: str) -> str | None:
    """A verdict that opens the text, else the last one in it."""
    first = first_verdict(text.strip())
    if first:
        return first
    last = None
    for found in _LATER.finditer(text[-20_000:]):
        last = "yes" if found["yes"] else "no"
    return last
