"""The process that makes reasoning-gym's items and scores answers to them. It is a process of its own, for three reasons.

Its scorers read what a model wrote: some can be made to run for ever, and may be killed at any moment here. The
package takes a second and 100 MB to import, which nobody else needs. And what it makes can depend on the order of
sets, which is fixed by the environment that a process starts with (PYTHONHASHSEED, see `ponder.evals.tasks.gym`).

`python -m ponder.evals.tasks._gym` answers each line of JSON by lines of JSON. With the argument `score` it first
limits its own memory, and later refuses to open files for writing, to start processes and to reach for a network while
an answer is scored.

Some of the package's scorers evaluate an answer as a Python expression (`eval`, sympy's `parse_expr`), which would run
whatever a model writes. Such an answer is only passed on if evaluating it can do no more than arithmetic: if it holds
nothing but numbers, operators, parentheses, single letters and names of elementary functions, or is one literal, or
holds no call and no attribute. What that does not cover is the package's own code: it is trusted.

Two of its scorers are lenient, and are held to the rules of their own question: countdown and puzzle24 (`follows`).
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import hashlib
import inspect
import json
import operator
import os
import random
import re
import signal
import sys
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ponder.runtime.forking import output, serve

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY: Final = 512 << 20
HARD_LIMIT: Final = 30.0
"""Seconds of the processor until the kernel ends a scorer whose owner is gone; the owner itself is far less patient."""

LONGEST: Final = 20_000
"""Characters of an answer that is scored at all; of one that is evaluated, a tenth."""

AGAIN: Final = 4
"""How often an item that a program makes is made again, to see whether it stays the same."""

UNFIT: Final = frozenset({"composite"})
"""Made of other data sets, which a line of parameters cannot say."""

_EVALUATES = re.compile(r"\b(?:parse_expr|sympify|eval|exec)\s*\(")
_FUNCTIONS: Final = (
    "sqrt|cbrt|exp|log|ln|sin|cos|tan|cot|sec|csc|asin|acos|atan|sinh|cosh|tanh|asinh|acosh|atanh|Abs|pi"
)
# Every token is read whole and never taken apart again, so that there is one way to match.
_EXPRESSION = re.compile(
    rf"(?>\s|\d+(?:\.\d*)?(?:[eE][+-]?\d{{1,3}}(?!\w))?|\.\d+|[-+*/^(),]|(?:{_FUNCTIONS}|[A-Za-z])(?!\w|\s*\.))*+"
)
_ACTIVE = re.compile(r"\(|__|\.\s*[^\W\d]|\\")
_OPERATIONS: Final[dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_REFUSED: Final = (
    "os.", "shutil.", "subprocess.", "socket.", "ctypes.", "urllib.", "ftplib.", "smtplib.", "http.", "pty.", "webbrowser.",
    "sqlite3.", "fcntl.", "resource.", "signal.",
)  # fmt: skip
_READS: Final = frozenset({"os.listdir", "os.scandir", "os.walk", "os.fwalk"})


def main() -> None:
    """Answer lines until standard input ends."""
    sys.setrecursionlimit(3_000)
    signal.signal(signal.SIGINT, signal.SIG_IGN if "score" in sys.argv else signal.SIG_DFL)
    out = output()
    import reasoning_gym  # noqa: F401 - registers every data set

    if "score" in sys.argv:
        serve(_Scorer().answer, out)
        return
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        for answer in make(json.loads(line)):
            print(json.dumps(answer), file=out)
    out.flush()


def make(request: dict[str, Any]) -> Any:
    """Items of one data set, a line each; then {"done": true}, or what is wrong.

    Without a name, the names there are with their families; with {"about": true}, the family and the parameters alone.
    """
    name = request["name"]
    known = names()
    if not name:
        yield {"names": {one: _family(one) for one in known}}
        return
    if name not in known:
        yield {"unknown": "task", "name": name, "known": known}
        return
    if request.get("about"):
        yield {"family": _family(name), "parameters": parameters(name)}
        return
    defaults = _defaults(name)
    for key in request["options"]:
        if key not in defaults:
            yield {"unknown": f"parameter of {name}", "name": key, "known": sorted(defaults)}
            return
    try:
        config = {key: value(text, defaults[key]) for key, text in request["options"].items()}
        data = dataset(name, config, request["seed"], request["size"])
    except Exception as error:  # noqa: BLE001 - whatever the package objects to is the user's to know
        yield {"wrong": f"{name}: {str(error) or type(error).__name__}"}
        return
    for index in range(request["start"], request["start"] + request["count"]):
        try:
            entry = made(data, index)
            unsound = name == "codeio" and _unsound(entry, partial(made, data, index))
        except Exception as error:  # noqa: BLE001 - one item less
            yield {"failed": index, "why": f"{type(error).__name__}: {error}"}
            continue
        if unsound:
            yield {"failed": index, "why": unsound}
            continue
        difficulty = (entry.get("metadata") or {}).get("difficulty")
        yield {
            "index": index,
            "question": entry["question"],
            "digest": digest(entry["question"]),
            "answer": None if entry["answer"] is None else str(entry["answer"]),
            "family": data.category,
            "difficulty": difficulty if _is_plain(difficulty) else None,
        }
    yield {"done": True}


def names() -> list[str]:
    """Every data set there is, but those that cannot be named in one line."""
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - UNFIT)


def _family(name: str) -> str:
    """The `category` of a data set, without making one."""
    from reasoning_gym.factory import DATASETS

    return str(DATASETS[name][0].__module__.split(".")[1])


def parameters(name: str) -> list[dict[str, str | None]]:
    """The parameters of a data set that a line can say: name, type, and default as it is written, None if it is unset."""
    found: list[dict[str, str | None]] = []
    for key, default in _defaults(name).items():
        if default is None or default is dataclasses.MISSING:
            found.append({"name": key, "type": "number or text, else unset", "default": None})
        elif (text := written(default)) is not None:
            found.append({"name": key, "type": _type(default), "default": text})
    return found


def written(default: Any) -> str | None:
    """The text that `value` reads as this; None if there is none."""
    if isinstance(default, bool):
        text = str(default).lower()
    elif isinstance(default, enum.Enum):
        text = str(default.value)
    elif isinstance(default, (list, tuple)):
        text = f"({','.join(written(part) or '' for part in default)})"
    else:
        text = str(default)
    try:
        return text if value(text, default) == default else None
    except ValueError:
        return None


def _type(default: Any) -> str:
    if isinstance(default, enum.Enum):
        return " | ".join(str(one.value) for one in type(default))
    if isinstance(default, (list, tuple)):
        return "list"
    return "text" if isinstance(default, str) else type(default).__name__


def _defaults(name: str) -> dict[str, Any]:
    """The parameters of a data set and their default values."""
    from reasoning_gym.factory import DATASETS

    found = {}
    for field in dataclasses.fields(DATASETS[name][1]):
        if field.name not in ("seed", "size"):
            factory = field.default_factory
            found[field.name] = field.default if factory is dataclasses.MISSING else factory()
    return found


def value(text: str, default: Any) -> Any:
    """A parameter in the type that its default has; lists stand in parentheses: (+,-).

    Raises:
        ValueError: it is of another type.

    """
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if isinstance(default, enum.Enum):
        return type(default)(text)
    if isinstance(default, (int, float)):
        return type(default)(text)
    if isinstance(default, (list, tuple)):
        if not (text.startswith("(") and text.endswith(")")):
            raise ValueError(f"a list is written in parentheses, (a,b), not {text!r}")
        parts = [part.strip() for part in text[1:-1].split(",") if part.strip()]
        example = default[0] if default else ""
        return type(default)(value(part, example) for part in parts)
    if default is None or default is dataclasses.MISSING:
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else text
    return text


def dataset(name: str, config: dict[str, Any], seed: int, size: int) -> Any:
    """A data set whose items are named by their index."""
    from reasoning_gym.factory import create_dataset

    return create_dataset(name, **config, seed=seed, size=size)


def made(data: Any, index: int) -> dict[str, Any]:
    """The item of an index: the same in every process, even where a generator uses the module's own dice."""
    random.seed(f"{data.seed}/{index}")
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed((data.seed + index) % 2**32)
    entry: dict[str, Any] = data[index]
    return entry


def _unsound(entry: dict[str, Any], again: Callable[[], dict[str, Any]]) -> str:
    """What is wrong with an item of codeio, which runs a program to make it; nothing if nothing is.

    As of 0.1.25 a program that fails (for want of a package, say) makes an item whose input and output are both {}, and the
    output of a few programs is another each time, mostly because it follows the order of a set of objects, which is
    that of their addresses. By chance it can be the same twice, so it is made several times, from other addresses.
    """
    if not entry["metadata"]["input_data"] and not entry["metadata"]["output_data"]:
        return "its program fails, or gives nothing for nothing"
    in_the_way = []
    for nth in range(AGAIN):
        in_the_way.append([object() for _ in range(7**nth)])
        other = again()
        if (entry["question"], entry["answer"]) != (other["question"], other["answer"]):
            return "its program gives something else each time"
    return ""


def _is_plain(found: Any) -> bool:
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def digest(question: str) -> str:
    """What tells whether two processes speak of the same item."""
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class _Scorer:
    """Scores answers, one request a line: {"id", "data", "config", "seed", "size", "index", "digest", "answer"}.

    Two lines answer each: {"id", "ready": true} once the item is made again, which is our own work and may take its time, then
    {"id", "score": 1.0}, or one line {"id", "error": why}.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[Any, dict[str, Any], bool]] = {}
        self._armed = False
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(self._watch)

    def _watch(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._armed:
            return
        if event == "open":
            mode, flags = args[1], args[2]
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            ):
                raise PermissionError("a scorer writes no files")
        elif event.startswith(_REFUSED) and event not in _READS:
            raise PermissionError(f"a scorer has no use for {event}")

    def answer(self, request: dict[str, Any]) -> Any:
        """The two lines."""
        number = request["id"]
        signal.setitimer(signal.ITIMER_PROF, HARD_LIMIT)
        try:
            data, entry, evaluates = self._entry(request)
            if digest(entry["question"]) != request["digest"]:
                raise ValueError("another version of the package made this item")
            yield {"id": number, "ready": True}
            score = self._score(request["data"], data, entry, request["answer"], evaluates=evaluates)
            yield {"id": number, **score}
        except Exception as error:  # noqa: BLE001 - the owner says it to the user
            yield {"id": number, "error": f"{type(error).__name__}: {error}"}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _entry(self, request: dict[str, Any]) -> tuple[Any, dict[str, Any], bool]:
        key = json.dumps([request[part] for part in ("data", "config", "seed", "size", "index")])
        if key not in self._made:
            defaults = _defaults(request["data"])
            config = {name: value(text, defaults[name]) for name, text in request["config"].items()}
            data = dataset(request["data"], config, request["seed"], request["size"])
            if len(self._made) > 1_000:
                self._made.clear()
            self._made[key] = (data, made(data, request["index"]), evaluates(data))
        return self._made[key]

    def _score(
        self, name: str, data: Any, entry: dict[str, Any], answer: str, *, evaluates: bool
    ) -> dict[str, Any]:
        if (
            len(answer) > LONGEST
            or (evaluates and not is_harmless(answer))
            or not follows(name, answer, entry["metadata"])
        ):
            return {"score": 0.0}
        self._armed = True
        try:
            return {"score": float(data.score_answer(answer, entry))}
        except (MemoryError, RecursionError):
            return {"score": 0.0, "fatal": True}  # what ran out of room may have left caches half written
        except Exception:  # noqa: BLE001 - a scorer that chokes on an answer has not found it right
            return {"score": 0.0}
        finally:
            self._armed = False


def evaluates(data: Any) -> bool:
    """Whether the scorer of a data set may evaluate what a model wrote."""
    scorer = next(cls for cls in type(data).__mro__ if "score_answer" in vars(cls))
    return bool(_EVALUATES.search(inspect.getsource(scorer)))


def is_harmless(answer: str) -> bool:
    """Whether evaluating the answer can do nothing but arithmetic."""
    if len(answer) > LONGEST // 10:
        return False
    if _EXPRESSION.fullmatch(answer) or not _ACTIVE.search(answer):
        return True
    try:
        ast.literal_eval(answer)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def follows(name: str, answer: str, metadata: dict[str, Any]) -> bool:
    """Whether an answer keeps to the rules of its question where the package's scorer is lenient.

    As of 0.1.25 puzzle24 takes four numbers that were not given, and 24.9 for 24; both it and countdown evaluate more than
    the four operations.
    """
    if name not in ("countdown", "puzzle24"):
        return True
    try:
        value = _worked_out(ast.parse(answer.strip(), mode="eval").body)
    except (ValueError, SyntaxError, ArithmeticError, MemoryError, RecursionError):
        return False
    numbers = sorted(int(found) for found in re.findall(r"[0-9]+", answer))
    return numbers == sorted(metadata["numbers"]) and value == metadata.get("target", 24)


def _worked_out(tree: ast.expr) -> Fraction:
    """The exact value of whole numbers under the four operations."""
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return Fraction(tree.value)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_worked_out(tree.operand)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS:
        return _OPERATIONS[type(tree.op)](_worked_out(tree.left), _worked_out(tree.right))
    raise ValueError(tree)


if __name__ == "__main__":
    main()
