r"""Where a text says "this is my answer": boxes, phrases in several languages, `####`; and where it only thinks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_THINKING = re.compile(r"<(/?)(?:think|thinking|thought|reasoning|scratchpad|seed:think)>")
_SAYS = (
    "<|channel|>final<|message|>",
    "<|im_start|>answer",
)  # gpt-oss and s1: after these it says, and does not think
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BETWEEN = re.compile(
    r"[\s$.*]*(?:\\\)|\\\])?[\s$,]*(?:\\text\{)?\s*(or|and|,|或|和|または)\s*\}?[\s$]*(?:\\\(|\\\[)?[\s$]*"
)
MAX_BOXES: Final = 100
MAX_DECLARATIONS: Final = 50
MAX_TAIL: Final = 2_000

_PHRASE = re.compile(
    r"""(?ix)
      \b(?:final|correct|best|right)?\s?(?:answer|choice|option)s?\b(?:\*\*)?(?:\s?\([^()\n]{0,40}\))?
        (?:\s(?:to|for|among|of|in|here|that|must|should|would|could|will|therefore|then|thus|now)\b[^\n.:=]{0,60}?)?
        (?:\s*(?:\*\*)?\s*(?:(?:is|are|was|be|equals|becomes)\b|[:=])|[ \t]*(?:\*\*)?[ \t]*\n)
    | \bfinal\s+result\s*(?:is\b|:)
    | (?<![a-z])(?:respuesta|r[ée]ponse)(?:\s(?:final|finale|correcta|correcte))?\s*(?:es\b|est\b|:)
    | (?<![a-z])antwort\s*(?:ist|lautet|:)
    | ответ\s*(?:[:—-]|равен)
    | (?:정답|답)\s?(?:은|:)
    | 答案(?:应该|应当|应)?\s*(?:就?是|为|為|选|選|[:=])
    | (?:故|应|應|因此|所以|我)[选選](?:择|擇)?(?:项)?\s*[:]?
    | (?<![回解])答(?:え)?\s*(?:は|[:])
    | (?:正解|解答)\s*(?:は|[:])
    """
)
_WORD = re.compile("answer|choice|option|final|respuesta|reponse|antwort")
_BEFORE_WORD: Final = len("correct ")
"""A phrase begins at most so far before its word."""
_HASHES = re.compile(r"####[ \t]*\n?")
_HEADING = re.compile(r"\s*(?:[A-Za-z]{4,}|\d+\.\s+[A-Za-z])")
_AFTER = re.compile(r"(?:[\s:>#]|\*(?!\d))*")
_NOT_SAID = re.compile(
    r"(?i)(?:not|wrong|unknown|incorrect|correct|unclear|below|above|as follows|given by|found)\b"
)
_THEREFORE = re.compile(
    r"(?i)(?:therefore|thus|then|hence|indeed|simply|clearly|definitely|option|choice|just)\b[\s:,]*"
)
_STOP = re.compile(
    r"\n|(?<=[^\d\s])\.(?=\s|$)|(?<=\d)\.(?=\s|$)|(?<!\\)[;?](?=\s|$)|(?<!\\)!(?=\s|$)(?!\s?[=+*/^-])|\.\s"
    r"|,?\s(?:because|since|which|so that|where|as|given|after|by|when|if)\s|,\s(?:so|as|and then|but)\s"
)


def separate_thinking(text: str) -> tuple[str, str]:
    """(what is said, what is only thought). A section left open runs to the end; a lone closing tag closes all before."""
    if "<" not in text:
        return text, ""
    for opening in _SAYS:
        if opening in text:
            before, _, after = text.rpartition(opening)
            return after, before
    said: list[str] = []
    thought: list[str] = []
    start, inside = 0, False
    for tag in _THINKING.finditer(text):
        piece = text[start : tag.start()]
        if tag[1] and not inside:  # the prompt had opened it
            thought += [*said, piece]
            said = []
        else:
            (thought if inside else said).append(piece)
        start, inside = tag.end(), not tag[1]
    (thought if inside else said).append(text[start:])
    return "".join(said), "".join(thought)


def boxes(text: str) -> list[str] | None:
    r"""The content of the last complete box, with its neighbours if "or" stands between; None without any box."""
    if "\\" not in text:
        return None
    ends = len(text)
    found: list[str] = []
    openings = list(_BOX.finditer(text))[-MAX_BOXES:]
    for box in reversed(openings):
        content, end = _content(text, box.end())
        if content is None or not content.strip(" ,.$"):
            continue
        if not found:
            found, ends = [content.strip()], box.start()
            continue
        between = _BETWEEN.fullmatch(text, end, ends) if ends - end < 40 else None
        if between is None:
            break
        if between[1] in ("or", "或", "または"):
            found.insert(0, content.strip())
        else:
            found[0] = f"{content.strip()}, {found[0]}"
        ends = box.start()
    return found or None


def _content(text: str, at: int) -> tuple[str | None, int]:
    """What stands in braces at `at`, or the one word there."""
    if text[at : at + 1] != "{":
        word = re.compile(r"[^\s$,;{}]{1,100}").match(text, at)
        return (word[0].rstrip(".") if word else None), (word.end() if word else at)
    level = 0
    for brace in re.compile(r"\\.|[{}]").finditer(text, at, at + 20_000):
        level += {"{": 1, "}": -1}.get(brace[0], 0)
        if level == 0 and brace[0] == "}":
            return text[at + 1 : brace.start()], brace.end()
    return None, at


def declarations(text: str) -> Iterator[str]:
    """What follows each declaration, the last first. Refusals ("the answer is not 5") and headings are left out."""
    ends = [*_phrases(text)]
    if "####" in text:
        ends = sorted([*ends, *(-m.end() for m in _HASHES.finditer(text))], key=abs)
    for end in reversed(ends[-MAX_DECLARATIONS:]):
        at = _AFTER.match(text, abs(end)).end()  # type: ignore[union-attr]  # it matches nothing too
        tail = text[at : at + MAX_TAIL]
        if end < 0 and _HEADING.match(tail):
            continue
        for _ in range(2):
            if (word := _THEREFORE.match(tail)) is None:
                break
            tail = tail[word.end() :]
        if tail.strip() and not _NOT_SAID.match(tail):
            yield tail


def _phrases(text: str) -> Iterator[int]:
    """Where each phrase ends. In plain ASCII the words that every phrase has are looked for first: ten times as fast."""
    if not text.isascii():
        yield from (found.end() for found in _PHRASE.finditer(text))
        return
    words, at = text.lower(), 0
    while word := _WORD.search(words, at):
        found = _PHRASE.search(text, max(at, word.start() - _BEFORE_WORD))
        if found is None:
            return
        at = found.end()
        yield at


def sentence(tail: str) -> str:
    """The first sentence, without reasons given after it, and without emphasis."""
    tail = tail.lstrip()
    stop = _STOP.search(tail)
    return (tail[: stop.start()] if stop else tail).strip().strip("*_`\"'").lstrip(" ,:;").rstrip(" .,:;")
