"""The examples that a question shows: calls and what they should give, in whatever notation; and inputs made from them.

Known notations: doctest (`>>> f(1)` and the output below), and `f(1)` followed by ==, =, =>, ==>, ->, an arrow, "returns",
"should return" or "is"; an output that is worked out ("19 - 5 - 6 = 8") is what stands last. Also "Input: a = 1, b = 2",
"For a = 1:" and "Output: 3". What cannot be read for sure is left out: a wrong example fails every right program.
"""

from __future__ import annotations

import ast
import hashlib
import random
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ponder.core.executions import Call
from ponder.thinking.programs import asked
from ponder.thinking.values import NotPlain, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST: Final = 2_000
"""Characters of one call or output: longer ones are no examples."""
DEEPEST: Final = 40
"""Brackets within brackets, for texts that a model wrote: Python's parser is no place for more."""

_GIVES: Final = re.compile(
    r"\s*(?:[#,;:]\s*)?(?:={1,3}>?|-+>|→|➞|⇒|(?:it\s+)?(?:should\s+|must\s+|will\s+)?"
    r"(?:return|equal|evaluate\s+to|be|output|give)s?:?|is|evaluates\s+to)\s*"
)
_INPUT: Final = re.compile(r"(?:\bInputs?\s*:\s*|\bFor\s+(?=[A-Za-z_]\w*\s*=[^=]))")
_OUTPUT: Final = re.compile(
    r"(?:\bOutputs?\s*:|\bthe (?:output|result) (?:should be|is)|\bresult\s*[=:]|\breturns?:?)\s*"
)
_NAME: Final = re.compile(r"([A-Za-z_]\w*)\s*=\s*(?!=)")
_SPOKEN: Final = {
    "true": "True",
    "false": "False",
    "null": "None",
    "none": "None",
    "TRUE": "True",
    "FALSE": "False",
}
_DOCSTRING: Final = re.compile("\"\"\"|'''")
_END: Final = re.compile(r"\s*(?:$|[.;,)(#\n]|//|\*\*)|\s+[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Example:
    """A call, and what it should give, packed (`thinking.values`)."""

    call: Call
    expected: str


def examples(question: str, most: int = 20) -> list[Example]:
    """The examples of the function that a question asks for, in order, each call once."""
    wanted = asked(question)
    if wanted is None or not wanted.function:
        return []
    found = list(_called(question, wanted.function)) or list(
        _assigned(question, wanted.function, wanted.names)
    )
    if not found and wanted.code:  # some docstrings call the function by another name
        names = re.findall(r"(?:>>>\s*)?\b([A-Za-z_]\w*)\(", wanted.code.partition(":")[2])
        for name in dict.fromkeys(names):
            found = [
                Example(Call(wanted.function, one.call.args), one.expected)
                for one in _called(wanted.code, name)
            ]
            if found:
                break
    once = {one.call.args: one for one in reversed(found)}
    return [one for one in found if once[one.call.args] is one][:most]


def written_calls(text: str, function: str, most: int) -> list[Call]:
    """The calls of a function with plain arguments that a model wrote down, each once."""
    found: dict[str, Call] = {}
    for at in _starts(text[-20_000:], function):
        if (read := _call(text[-20_000:], at, function)) is not None:
            found.setdefault(read[0].args, read[0])
        if len(found) == most:
            break
    return list(found.values())


def probes(question: str, most: int = 16) -> list[Call]:
    """Inputs that may tell programs apart: those of the examples, and others like them; the same for the same question.

    They are made of the examples' own by small changes: empty, reversed, doubled, one more or less, another sign.
    """
    shown = [one.call for one in examples(question)]
    found = {call.args: call for call in shown[: max(1, most // 2)]}
    rng = random.Random(hashlib.sha256(question.encode("utf-8", "replace")).digest())
    for _ in range(8 * most):
        if len(found) >= most or not shown:
            break
        call = rng.choice(shown)
        args, named = unpack(call.args)
        changed = list(args)
        for i in range(len(changed)) if rng.random() < 0.3 else [rng.randrange(len(changed) or 1)]:
            if i < len(changed):
                changed[i] = _changed(changed[i], rng)
        try:
            packed = pack((tuple(changed), named))
        except (NotPlain, TypeError):
            continue
        if len(packed) <= LONGEST:
            found.setdefault(packed, Call(call.function, packed))
    return list(found.values())


def _called(text: str, function: str) -> Iterator[Example]:
    for at in _starts(text, function):
        if (read := _call(text, at, function)) is None:
            continue
        call, end = read
        line = _DOCSTRING.split(text[end:].partition("\n")[0])[0]
        value = None
        if gives := _GIVES.match(line):
            value = _value(line[gives.end() :])
        elif text[:at].rstrip(" ").endswith(">>>") and not line.strip():
            below = text[end:].partition("\n")[2]
            shown = re.split(r"\n\s*(?:\n|>>>)", _DOCSTRING.split(below)[0])[0]
            value = _value(shown.strip(), whole=True)
        if value is not None:
            yield Example(call, value)


def _assigned(text: str, function: str, names: Sequence[str]) -> Iterator[Example]:
    for start in _INPUT.finditer(text):
        rest = _DOCSTRING.split(text[start.end() : start.end() + LONGEST])[0]
        output = _OUTPUT.search(rest)
        if output is None:
            continue
        given: dict[str, Any] = {}
        for name in _NAME.finditer(rest[: output.start()]):
            value = _prefix(rest[name.end() : output.start()])
            if value is not None:
                given.setdefault(name[1], value[0])
        if not given and len(names) == 1 and (alone := _prefix(rest[: output.start()])) is not None:
            given[names[0]] = alone[0]
        expected = _value(rest[output.end() :].partition("\n")[0])
        if expected is None or not names or set(given) != set(names):
            continue
        yield Example(Call(function, pack((tuple(given[name] for name in names), {}))), expected)


def _starts(text: str, function: str) -> Iterator[int]:
    for found in re.finditer(rf"(?<![\w.]){re.escape(function)}[ \t]*\(", text):
        if not re.search(r"\b(?:def|class)\s+$", text[: found.start()]):
            yield found.start()


def _call(text: str, at: int, function: str) -> tuple[Call, int] | None:
    """The call that begins here, and where it ends; None where its arguments are no plain values."""
    end = _closed(text, text.index("(", at))
    if end is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(text[at:end].strip(), mode="eval").body
        if not isinstance(node, ast.Call):
            return None
        args = tuple(ast.literal_eval(arg) for arg in node.args)
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        return Call(function, pack((args, named))), end
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _closed(text: str, start: int) -> int | None:
    """Where the bracket that opens here is closed; None where it is not, or what it holds is too long or too deep."""
    level, quote, at = 0, "", start
    for at in range(start, min(len(text), start + LONGEST)):
        char = text[at]
        if quote:
            if char == quote and text[at - 1] != "\\":
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "([{":
            level += 1
            if level > DEEPEST:
                return None
        elif char in ")]}":
            level -= 1
            if level == 0:
                return at + 1
    return None


def _value(text: str, *, whole: bool = False) -> str | None:
    """The plain value that a text begins with, packed; of what is worked out, the last one. `whole`: nothing follows it."""
    text = text.strip().strip("`").strip()
    read = _prefix(text)
    if read is None:
        return None
    value, rest = read
    worked = re.match(r"\s*[-+*/%]", rest)
    if worked:
        last = _prefix(rest.rpartition("=")[2].strip()) if "=" in rest else None
        if last is None or not _END.match(last[1]):
            return None
        value = last[0]
    elif (rest.lstrip().startswith("=") and not whole) or (whole and rest.strip()) or not _END.match(rest):
        return None
    elif rest.lstrip().startswith(",") and not isinstance(value, (list, tuple, dict, set)):
        try:  # a bare tuple: 1, 2
            value = ast.literal_eval(text.rstrip(".;"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    try:
        return pack(value)
    except NotPlain:
        return None


def _prefix(text: str) -> tuple[Any, str] | None:
    """The literal at the beginning of a text, and what follows it."""
    text = text.lstrip()
    if not text:
        return None
    if text[0] in "([{":
        end = _closed(text, 0)
    elif text[0] in "\"'":
        found = re.match(
            r"'''(?:.*?)'''|\"\"\"(?:.*?)\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", text, re.DOTALL
        )
        end = found.end() if found else None
    else:
        found = re.match(r"[-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|[A-Za-z]+", text)
        end = found.end() if found else None
    if end is None:
        return None
    literal = _SPOKEN.get(text[:end], text[:end])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(literal), text[end:]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _changed(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind, near it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([0, 1, 2, value + 1, value - 1, 2 * value, -value, value + 10])
    if isinstance(value, float):
        return rng.choice([0.0, 1.0, value + 1, value / 2, -value, float(int(value))])
    if isinstance(value, str):
        shuffled = "".join(rng.sample(value, len(value)))
        half = len(value) // 2
        return rng.choice(
            ["", value[::-1], value[:half], value[half:], value + value, value.swapcase(), shuffled]
        )
    if isinstance(value, (list, tuple)):
        parts = list(value)
        half = len(parts) // 2
        at = rng.randrange(len(parts)) if parts else 0
        near = [*parts[:at], *(_changed(part, rng) for part in parts[at : at + 1]), *parts[at + 1 :]]
        chosen = rng.choice(
            [
                [],
                parts[::-1],
                parts[:half],
                parts[half:],
                parts + parts,
                near,
                near,
                rng.sample(parts, len(parts)),
            ]
        )
        return type(value)(chosen)
    if isinstance(value, dict):
        items = list(value.items())
        return dict(rng.choice([items[:-1], items[1:], [(k, _changed(v, rng)) for k, v in items]]))
    return value
