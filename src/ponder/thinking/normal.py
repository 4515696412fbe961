r"""Text made comparable: widths, signs, LaTeX spacing and markup. No mathematics here.

Two levels. `plain` may be applied to a whole page, keeps every word and is linear in its length. `tidy` is for one
short answer, and removes everything that is only about how the answer looks.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WIDTHS: Final = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_PLAIN: Final = {
    **_WIDTHS,
    **dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\t\v\f"), " "),
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\x00"), ""),
    **dict.fromkeys(map(ord, "\u2212\ufe63\u2010\u2011"), "-"),
    ord("。"): ". ",  # with a space: "5。3 是" is not 5.3
    ord("\uff0e"): ".",
    ord("、"): ", ",
    ord("「"): '"', ord("」"): '"', ord("『"): '"', ord("』"): '"',
    ord("“"): '"', ord("”"): '"', ord("‘"): "'", ord("’"): "'",
    ord("【"): "[", ord("】"): "]",
    ord("\u2028"): "\n", ord("\u2029"): "\n", ord("\x85"): "\n", ord("\r"): "\n",
}  # fmt: skip


def plain(text: str) -> str:
    """Full-width forms, exotic spaces, Unicode minus signs and quotes as ASCII; lone surrogates as `?`."""
    if text.isascii() and "\t" not in text and "\r" not in text and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").translate(_PLAIN)


_SYMBOLS: Final = {
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/", "π": r"\pi ",
    "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∈": r"\in ",
    "±": r"\pm ", "∅": r"\emptyset ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ",
    "°": r"^\circ ", "º": r"^\circ ", "–": "-", "—": "-",
}  # fmt: skip
_SYMBOL_TABLE: Final = {ord(k): v for k, v in _SYMBOLS.items()} | {
    ord(c): f" {unicodedata.normalize('NFKC', c).replace(chr(0x2044), '/')} " for c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
}
_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_ROOT = re.compile(r"√\s*(\d+|[A-Za-z]|(?=[({]))")

_DROPPED = re.compile(
    r"\\(?:displaystyle|textstyle|limits|left|right|bigl?|bigr?|Bigl?|Bigr?|middle)(?![A-Za-z])\.?"
    r"|(?<!\\)\\[!,;: ]|\\q?quad(?![A-Za-z])|~|\\hspace\{[^{}]{0,20}\}"
)
_RENAMED: Final = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:leq|leqslant)(?![A-Za-z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant)(?![A-Za-z])"), r"\\ge"),
    (re.compile(r"\\neq(?![A-Za-z])"), r"\\ne"),
    (re.compile(r"\\(?:lbrace|{)"), r"\\{"),
    (re.compile(r"\\(?:rbrace|})"), r"\\}"),
    (re.compile(r"\{\s*,\s*\}"), ","),  # {,} is TeX for a comma without space
    (re.compile(r"\\(?:varnothing)(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|rm|bf)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\^\s*\{\s*\\circ\s*\}"), r"^\\circ "),
    (re.compile(r"(?<=\d)\s*,\s*\\!\s*(?=\d{3})"), ","),
)  # fmt: skip
_MARKUP = re.compile(
    r"(?<![A-Za-z0-9)*])(?:\*{1,3}|_{2,3}|`+)(?=\S)|(?:\*{1,3}|_{2,3}|`+)(?![A-Za-z0-9(\\.{*-])"
)
_SPACES = re.compile(r"\s+")


_CLEAN = re.compile(r"-?[A-Za-z0-9]+(?:[ .,/+=-][A-Za-z0-9]+)*")
_COMMA = re.compile(r"(?<=\d),\s*\\!\s*(?=\d{3})")


def tidy(answer: str) -> str:
    """One short answer without dollars, spacing commands, fonts, markdown emphasis or a closing full stop."""
    if _CLEAN.fullmatch(answer):  # most are: there is nothing to take away
        return answer
    text = plain(answer)
    if not text.isascii():
        text = _ROOT.sub(lambda m: rf"\sqrt{{{m[1]}}}" if m[1] else r"\sqrt", text)
        text = _RAISED.sub(lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
        text = text.translate(_SYMBOL_TABLE)
    text = _COMMA.sub(",", text)
    text = (
        text.replace(r"\$", "$").replace(r"\%", "%").replace(r"\#", "#").replace(r"\(", "").replace(r"\)", "")
    )
    if r"\begin" not in text:  # there \\[ is the end of a row
        text = text.replace(r"\[", "").replace(r"\]", "")
    text = _DROPPED.sub(" ", text)
    if "\\" in text or "{" in text:  # no other text has anything of them
        for pattern, name in _RENAMED:
            text = pattern.sub(name, text)
    if "\\" not in text:
        text = _MARKUP.sub("", text)
    text = _SPACES.sub(" ", text).strip()
    return text.rstrip(".,;:!。 ") if not text.endswith("!") or not re.search(r"[\w)]!$", text) else text


_PUNCTUATION = re.compile(r"[^\w\s%+\-/=<>$€£¥^\\]|_")


def fold(text: str) -> str:
    """Words for comparison: case, punctuation, articles at the start and runs of space do not count."""
    words = unicodedata.normalize("NFKC", plain(text)).casefold()
    words = _SPACES.sub(" ", _PUNCTUATION.sub(" ", words)).strip(" -")
    return re.sub(r"^(?:the|an?) (?=\S)", "", words)
