r"""Find the answer in a text, and name its equivalence class.

`find` reads the last thing the text *declares* to be the answer (a box, "the answer is", `####`), and only without any
declaration falls back on the last number, letter or word; `Found.declared` tells the two apart, so that a vote can drop
what was merely the last number of a text that was cut off. A declaration that names several different values
("2 or 3", `$2=3$`) is no answer. Thinking sections do not answer: they are read only if nothing follows them, and then
only for declarations, which count as undeclared.

`key` is equality: two answers are the same if and only if their keys are equal, so equality is transitive. What a key
ignores is written in `ponder.thinking.shapes`. `None` means that algebra must decide (`outline(...).pending`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ponder.thinking.declared import boxes, declarations, sentence, separate_thinking
from ponder.thinking.normal import fold, plain, tidy
from ponder.thinking.numbers import number_key
from ponder.thinking.programs import DEFINES
from ponder.thinking.readings import (
    first_letter,
    first_verdict,
    last_letter,
    last_number,
    last_verdict,
    mathematics,
)
from ponder.thinking.shapes import Decided, Shape, shape, words_key
from ponder.thinking.structured import canonical as canonical_json
from ponder.thinking.structured import fences, json_key, last_call, last_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from ponder.core.problem import Kind

_LETTER: Final = re.compile(r"\W{0,4}[A-Z](?![A-Za-z])")
_VARIABLE: Final = re.compile(r"\W*[A-Z]\s*[=+^*]")
_MATHEMATICAL: Final = re.compile(r"[\d\\$]")
MAX_TEXT: Final = 200_000
"""Of a longer text only the end is read: that is where answers stand."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as it stands in the text, and whether the text declares it to be the answer."""

    text: str
    declared: bool


def extract(text: str, kind: Kind = "auto", *, choices: int | None = None) -> str | None:
    """The final answer in a text; None if there is none, or several different ones. See `find`."""
    found = find(text, kind, choices=choices)
    return found.text if found else None


def find(text: str, kind: Kind = "auto", *, choices: int | None = None, function: str = "") -> Found | None:
    """The final answer and whether it was declared.

    Of several blocks of code it is the last that defines `function`, where one does, else the last.

    Choice answers come back as a capital letter (of the first `choices`, else A to J), yes/no answers as "yes" or "no"
    (true and false too), tool calls as canonical JSON, everything else as written, but in ASCII widths and signs.
    """
    visible, thinking = separate_thinking(plain(text))  # before any cut, which might lose the opening tag
    if kind in ("open", "code", "json", "tool"):
        return _whole(visible, kind, function)
    visible, thinking = visible[-MAX_TEXT:], thinking[-MAX_TEXT:]
    if visible.strip():
        found = _declared(visible, kind, choices)
        if found is not None:
            return Found(found, declared=True) if found else None
        loose = _loose(visible, kind, choices)
        if loose:
            return Found(loose, declared=False)
    found = _declared(thinking, kind, choices) if thinking else None
    return Found(found, declared=False) if found else None


def _whole(text: str, kind: Kind, function: str) -> Found | None:
    """Kinds whose answer is the text itself, or one structured piece of it."""
    if kind == "json":
        value = last_value(text)
        return None if value is None else Found(canonical_json(value), declared=True)
    if kind == "tool":
        call = last_call(text)
        return None if call is None else Found(call, declared=True)
    if kind == "code":
        blocks = [body for _, body in fences(text)]
        able = [body for body in blocks if function in DEFINES.findall(body)]
        body = (able or blocks or [text])[-1]
        return Found(body.strip("\n").rstrip(), declared=bool(blocks)) if body.strip() else None
    return Found(text.strip(), declared=True) if text.strip() else None


def _declared(text: str, kind: Kind, choices: int | None) -> str | None:
    """What the text declares: None without a declaration, "" for a declaration of several different answers."""
    boxed = boxes(text)
    if boxed is not None:
        return _read_box(boxed, kind, choices)
    for tail in declarations(text):
        read = _read(tail, kind, choices)
        if read is not None:
            return read
    return None


def _read_box(boxed: list[str], kind: Kind, choices: int | None) -> str | None:
    if len(boxed) > 1:  # \boxed{2} or \boxed{3}
        return (
            boxed[-1] if len({words_key(tidy(b)) if (k := key(b)) is None else k for b in boxed}) == 1 else ""
        )
    content = boxed[0]
    if kind == "choice":
        return first_letter(tidy(content), choices)
    if kind == "yesno":
        return first_verdict(tidy(content))
    if kind == "math" or re.search(r"[\d=]", content):
        return mathematics(content, boxed=True)
    letter = first_letter(tidy(content), choices) if len(tidy(content)) <= 4 else None
    return letter or first_verdict(tidy(content), whole=True) or content.strip()


def _read(tail: str, kind: Kind, choices: int | None) -> str | None:
    """The answer at the start of the text that follows a declaration; None if it is not of this kind."""
    if kind == "choice":
        return first_letter(tail, choices)
    if kind == "yesno":
        return first_verdict(tail)
    if kind == "math":
        return mathematics(tail)
    letter = first_letter(tail, choices)
    if letter is not None and _LETTER.match(tail) and not _VARIABLE.match(tail):
        return letter
    words = sentence(tail)
    return first_verdict(words) or (mathematics(tail) if _MATHEMATICAL.search(words) else words or None)


def _loose(text: str, kind: Kind, choices: int | None) -> str | None:
    """The best guess in a text that declares nothing."""
    if kind == "choice":
        return last_letter(text, choices)
    if kind == "yesno":
        return last_verdict(text)
    bare = text.strip()
    if kind == "math":
        return _nothing_else(bare) if len(bare) <= 100 else last_number(text)
    value = last_value(text) if text.lstrip()[:1] in ("{", "[", "`") else None
    if value is not None and not isinstance(value, str):
        return canonical_json(value)
    letter = last_letter(bare, choices) if len(bare) <= 4 else None
    return letter or first_verdict(bare) or last_number(text) or _short(text)


def _nothing_else(text: str) -> str | None:
    """A short text may be one expression; in running text it is the last number that counts."""
    if "\n" not in text and not re.search(r"(?<!\\)[A-Za-z]{3,}|[\u3040-\u9fff]", text):
        return mathematics(text, boxed=True)
    return last_number(text) or _short(text)


def _short(text: str) -> str | None:
    """A text that is nothing but an answer."""
    bare = text.strip().strip("*_`").rstrip(".。 ").strip()
    return bare if bare and len(bare) <= 80 and "\n" not in bare else None


def key(answer: str, kind: Kind = "auto") -> str | None:
    """The name of the answer's equivalence class; None if only algebra can tell (see `outline`)."""
    outlined = outline(answer, kind)
    return None if outlined.pending else outlined.key({})


def outline(answer: str, kind: Kind = "auto") -> Shape:
    """The answer's shape: `.pending` are the expressions still to decide, `.key(decided)` the key once they are."""
    if kind in ("math", "auto"):
        if kind == "auto":
            known = _auto(answer)
            if known:
                return Decided(known)
        return shape(answer)
    return Decided(_KEYS[kind](answer))


def _auto(answer: str) -> str | None:
    bare = answer.strip()
    if bare[:1] in ("{", "[") and '"' in bare:
        return json_key(bare)
    if len(bare) <= 6:
        verdict = first_verdict(tidy(bare), whole=True)
        if verdict:
            return f"bool:{verdict}"
    return None


def _choice_key(answer: str) -> str:
    letter = first_letter(tidy(answer), 26)
    return f"choice:{letter}" if letter else words_key(answer)


def _verdict_key(answer: str) -> str:
    verdict = first_verdict(tidy(answer))
    return f"bool:{verdict}" if verdict else words_key(answer)


def _tool_key(answer: str) -> str:
    call = last_call(plain(answer))
    return f"tool:{call}" if call else words_key(answer)


def _code_key(answer: str) -> str:
    return "code:" + "\n".join(line.rstrip() for line in plain(answer).strip("\n").split("\n")).rstrip()


def _open_key(answer: str) -> str:
    number = number_key(tidy(answer)) if len(answer) <= 100 else None
    return number or ("text:" + fold(answer) if fold(answer) else words_key(answer))


_KEYS: Final[dict[Kind, Callable[[str], str]]] = {
    "choice": _choice_key,
    "yesno": _verdict_key,
    "json": lambda answer: json_key(plain(answer)) or words_key(answer),
    "tool": _tool_key,
    "code": _code_key,
    "open": _open_key,
}
