r"""The worker that decides what an expression is equal to. It is a process of its own, to be killed at any moment.

`python -m ponder.runtime._symbolic` answers each line `{"id": 1, "expr": "\\sqrt{4}"}` by `{"id": 1, "key": "num:2"}`,
or by the key null if it cannot tell. It limits its own memory, and a timer in the kernel ends it when one expression
takes far too long, so that it cannot outlive the process that asked. What answers is a child of it (`runtime.forking`).

How an expression is named. Simplifying gives no canonical form: two equal expressions may simplify to two forms. So an
expression is named by its *values*: without variables, the exact rational it equals or else 40 digits of 70
computed; with variables, its values at fixed points (positive, negative and complex). Equal expressions have equal
values, hence equal names, so that equality is transitive and knows every identity; different expressions that agree
to 40 digits at all points are not to be expected in answers. An equation or inequality is named by left minus right up
to a constant factor (positive for inequalities).

Limits: identities that hold for integers only ((-1)^n = \cos \pi n), or for positive numbers only (\sqrt{x^2} = x),
are not taken for equal. `\log` without a base is to base ten.
"""

from __future__ import annotations

import hashlib
import re
import signal
import sys
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from ponder.runtime.forking import output, prepare, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY: Final = 512 << 20
DIGITS: Final = 40
PRECISION: Final = 70
HARD_LIMIT: Final = 5.0
"""Seconds of the processor until the kernel ends a worker whose owner is gone; the owner itself is far less patient."""

MAX_EXPONENT: Final = 20_000
_CALLS = re.compile(
    r"(?<![\\A-Za-z])(sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|arcsin|arccos|arctan|sinh|cosh|tanh|pi|infty)(?![a-z])"
)
_ROOT = re.compile(r"\\sqrt\s*\(([^()]*)\)")
_BARE_ARGUMENTS = re.compile(r"\\(frac|sqrt|binom)\s*(\\[A-Za-z]+|\w)\s*(\\[A-Za-z]+|\w)?")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?")
_RELATIONS: Final = {
    "\\le": "<=",
    "\\ge": ">=",
    "\\ne": "!=",
    "<=": "<=",
    ">=": ">=",
    "<": "<",
    ">": ">",
    "=": "=",
}
_RELATION = re.compile(r"\\(?:le|ge|ne)(?![A-Za-z])|<=|>=|[<>=]")
_LEXED = re.compile(r"\\(?:mod|pmod|bmod|underbrace|overbrace|text|mbox)|[\"'#&@$?]|(?<!_)\d\s*_\s*\d")


def main() -> None:
    """Answer lines until standard input ends."""
    prepare(MEMORY)
    sys.setrecursionlimit(1_500)
    _import_and_warm()
    serve(answer, output())


def answer(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The one line that answers a request."""
    signal.setitimer(signal.ITIMER_PROF, HARD_LIMIT)
    try:
        yield {"id": request["id"], "key": key(request["expr"])}
    except (MemoryError, RecursionError):  # what ran out of room may have left caches half written
        yield {"id": request["id"], "key": None, "fatal": True}
    except Exception:  # noqa: BLE001 - whatever a parser raises means: it cannot tell
        yield {"id": request["id"], "key": None}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _import_and_warm() -> None:
    key(r"\frac{x}{2}+\sqrt{2}")  # builds the grammar's tables


def key(text: str) -> str | None:
    """The name of one expression, equation or inequality in LaTeX; None if it cannot be read or valued."""
    text = prepared(text)
    if _LEXED.search(text):
        return None
    signs = [found for found in _RELATION.finditer(text) if _is_outside(text[: found.start()])]
    if len(signs) > 1:
        return None
    if signs:
        left, right = text[: signs[0].start()], text[signs[0].end() :]
        return _relation(parsed(left), _RELATIONS[signs[0][0]], parsed(right))
    return name_of(values(parsed(text)))


def _is_outside(before: str) -> bool:
    return sum(before.count(c) for c in "([{") == sum(before.count(c) for c in ")]}")


def prepared(text: str) -> str:
    """Plain spellings (`sqrt(2)*x**2`) as LaTeX."""
    text = text.replace("**", "^").replace("*", r"\cdot ").replace("−", "-")
    text = _CALLS.sub(r"\\\1 ", text)
    for _ in range(4):
        text = _ROOT.sub(r"\\sqrt{\1}", text)
    text = re.sub(r"\^\s?\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(r"\^\s?(-\d+)", r"^{\1}", text)
    text = _BARE_ARGUMENTS.sub(_braced, text)
    if re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", text):
        return _DEGREES.sub(r"(\1\\cdot\\frac{\\pi}{180})", text)
    return re.sub(r"\^\s*\{?\s*\\circ\s*\}?", "", text)


def _braced(found: re.Match[str]) -> str:
    command, first, second = found.groups()
    if command == "sqrt":
        return f"\\sqrt{{{first}}}{second or ''}"
    return found[0] if second is None else f"\\{command}{{{first}}}{{{second}}}"


def parsed(text: str) -> Any:
    """A sympy expression with exact rationals for decimals and `i` for the imaginary unit."""
    from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import Float, I, Rational, Symbol

    text = re.sub(r"(?<![\w.}])\d*\.\d+|\d+\.\d*", _exact, text)
    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    tree = latex2sympy(
        normalize_latex(text, config),
        normalization_config=None,
        conversion_config=ConversionConfig(lowercase_symbols=False),
    )
    return tree.xreplace({Symbol("i"): I} | {number: Rational(str(number)) for number in tree.atoms(Float)})


def _exact(found: re.Match[str]) -> str:
    value = Fraction(found[0].rstrip(".") or "0")
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}" if "." in found[0].rstrip(".") else found[0]


def values(tree: Any) -> list[Any]:
    """The expression at the fixed points, or its one value if nothing in it varies."""
    from sympy import Symbol

    free = sorted(tree.free_symbols, key=str)
    if len(free) > 12 or not all(isinstance(symbol, Symbol) for symbol in free):
        raise ValueError(free)
    points = [{s: _coordinate(str(s), row) for s in free} for row in range(5)] if free else [{}]
    return [_value(tree.xreplace(point)) for point in points]


def _coordinate(name: str, row: int) -> Any:
    """Where a variable stands in a row: by its name alone, so that every expression is asked at the same points."""
    from sympy import I, Rational

    seed = int.from_bytes(hashlib.sha256(f"{name}/{row}".encode()).digest()[:4], "big")
    size = Rational(1_000_003 + seed % 2_000_000, 1_000_000 + seed // 7 % 99_991)
    if row == 0:
        return size
    if row == 1:
        return -size
    if row == 4:
        return size + I * Rational(1 + seed % 89, 97)
    return size if seed >> 9 & 1 else -size


def _value(tree: Any) -> Any:
    """An exact rational, or a complex number of `PRECISION` digits, or infinity."""
    from sympy import Pow, Rational, nan, oo, zoo

    for power in tree.atoms(Pow):  # towers cost more than the time there is
        if (
            power.exp.is_number
            and power.base.is_number
            and power.exp.is_Integer
            and abs(power.exp) > MAX_EXPONENT
        ):
            raise ValueError("exponent")
    tree = tree.doit()
    if tree in (oo, -oo):
        return tree
    if tree in (zoo, nan):
        return "undefined"
    if isinstance(tree, Rational):
        return Fraction(int(tree.p), int(tree.q))
    number = tree.evalf(PRECISION, maxn=400)
    if not number.is_number or number.has(oo, zoo, nan) or number.atoms() == set():
        raise ValueError("no value")
    real, imaginary = number.as_real_imag()
    if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
        raise ValueError("no number")
    return complex_parts(real, imaginary)


def complex_parts(real: Any, imaginary: Any) -> Any:
    """A real number if the imaginary part is only rounding; a fraction if no digit tells it from one."""
    parts = [
        Fraction(str(part)) if part.is_Float else Fraction(int(part.p), int(part.q))
        for part in (real, imaginary)
    ]
    size = max(abs(parts[0]), abs(parts[1]))
    tiny = size / 10 ** (DIGITS + 10) if size > 1 else Fraction(1, 10 ** (DIGITS + 10))
    cleaned = [_rational(Fraction(0) if abs(part) < tiny else part) for part in parts]
    return cleaned[0] if cleaned[1] == 0 else tuple(cleaned)


class Rounded(Fraction):
    """The first digits of a number that is not known exactly."""


def _rational(value: Fraction) -> Fraction:
    near = value.limit_denominator(10**9)
    close = abs(near - value) <= abs(value) / 10 ** (DIGITS + 15)
    return near if close and abs(value) < 10**25 else Rounded(value)


def name_of(found: list[Any]) -> str | None:
    """The key of a list of values; a constant is named alike whatever variables cancelled in it."""
    spelt = [_spelt(value, exact=True) for value in found]
    if len(set(spelt)) == 1:
        return spelt[0]
    spelt = [_spelt(value, exact=False) for value in found]
    return spelt[0] if len(set(spelt)) == 1 else "fun:" + _digest(spelt)


def _digest(spelt: list[str]) -> str:
    return hashlib.sha256("|".join(spelt).encode()).hexdigest()[:40]


def _spelt(value: Any, *, exact: bool) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return f"complex:{_spelt(value[0], exact=exact)},{_spelt(value[1], exact=exact)}"
    if not isinstance(value, Fraction):
        return "num:inf" if value > 0 else "num:-inf"
    return f"num:{value}" if exact and not isinstance(value, Rounded) else "real:" + rounded(value)


def rounded(value: Fraction) -> str:
    """Scientific notation with `DIGITS` digits."""
    if value == 0:
        return "0"
    size = abs(value)
    exponent = len(str(size.numerator)) - len(str(size.denominator))
    exponent -= size < Fraction(10) ** exponent  # now 1 <= size / 10**exponent < 10
    digits = round(size * Fraction(10) ** (DIGITS - 1 - exponent))
    if digits == 10**DIGITS:
        digits, exponent = digits // 10, exponent + 1
    return f"{'-' if value < 0 else ''}{str(digits).rstrip('0')}e{exponent}"


def _relation(left: Any, sign: str, right: Any) -> str | None:
    if sign in (">", ">="):
        left, sign, right = right, {">": "<", ">=": "<="}[sign], left
    found = values(left - right)
    first = next((value for value in found if isinstance(value, Fraction) and value != 0), None)
    if first is None or not all(isinstance(value, (Fraction, tuple)) for value in found):
        return None
    factor = first if sign in ("=", "!=") else abs(first)
    scaled = [
        tuple(part / factor for part in value) if isinstance(value, tuple) else value / factor
        for value in found
    ]
    spelt = [",".join(rounded(p) for p in (v if isinstance(v, tuple) else (v,))) for v in scaled]
    return f"rel{sign}:{_digest(spelt)}"


if __name__ == "__main__":
    main()
