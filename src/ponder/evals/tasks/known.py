"""What can be loaded: every task that has a name, and what there is to say of one before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from ponder.evals.countdown import GRADER as LINES
from ponder.evals.countdown import Countdown, Split
from ponder.evals.simulated import Traits
from ponder.evals.tasks import coding, files, gym, gym_kinds, hub, suites
from ponder.evals.tasks.fields import USUAL
from ponder.evals.tasks.loading import DEFAULT
from ponder.evals.tasks.rows import GRADERS
from ponder.evals.tasks.spec import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ponder.evals.tasks.spec import Spec

SOURCES: Final = {
    "reasoning-gym": "made up by reasoning-gym: seeded, offline, as many as you like",
    "suite": "several tasks under one name, told apart by family",
    "ponder": "made up by ponder itself",
    "hub": "fetched from the Hugging Face hub, over a network: pip install datasets",
    "file": "problems of your own",
}
"""Where tasks come from."""

MADE_HERE: Final = {
    LINES: "Countdown as self-backtracking writes it, line by line",
    Traits.name: "for -m simulated alone: problems whose probabilities are known",
}
FILES: Final = {
    "FILE.jsonl": f"rows with the fields question and answer; also {', '.join(sorted(files.SUFFIXES - {'.jsonl'}))}",
    "FILE.yaml": "a task of lm-eval",
}
HUB: Final = "hf:OWNER/NAME"

_PROGRAMS: Final = ("humaneval", "mbpp")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What can be said after a task's name. `default` is as it is written; None where nothing stands for itself."""

    name: str
    type: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A task before it is loaded.

    Args:
        name: its spec, in one spelling.
        source: one of `SOURCES`.
        family: where it belongs, in a list.
        what: what it is, in a few words.
        parameters: what its spec may say.
        answers: the kinds of its answers, each with its grader; empty where only its items know.

    """

    name: str
    source: str
    family: str = ""
    what: str = ""
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()


def generated() -> list[Known]:
    """The data sets of reasoning-gym, by family.

    Raises:
        UsageError: the package is missing.

    """
    found = sorted((family, name) for name, family in gym.names().items())
    return [Known(name, "reasoning-gym", family, answers=_answers(name)) for family, name in found]


def others() -> Iterator[Known]:
    """Everything else that has a name, or a form; HUB and FILES stand for what only you can name."""
    for name in suites.SUITES:
        yield _suite(read(name))
    for name, what in MADE_HERE.items():
        yield Known(name, "ponder", what=what)
    for name, source in hub.KNOWN.items():
        yield Known(name, "hub", what=source.name, answers=_of_hub(name))
    yield Known(HUB, "hub", what="any other data set whose rows have a question and an answer")
    for name, what in FILES.items():
        yield Known(name, "file", what=what)


def explain(text: str) -> Known:
    """What is known of the task that a spec names, without its items.

    Raises:
        UnknownName: there is no such task, or it has no such option; near names are suggested.
        UsageError: the spec cannot be read, or reasoning-gym is missing.

    """
    spec = read(text.strip() or DEFAULT)
    suffix = Path(spec.name).suffix.lower()
    if suffix in files.SUFFIXES:
        return Known(str(spec), "file", what="rows of a file", parameters=(*_FIELDS, _SHOWN))
    if suffix in (".yaml", ".yml"):
        return Known(str(spec), "file", what=FILES["FILE.yaml"])
    if spec.name.startswith("hf:") or spec.name in hub.KNOWN:
        return _hub(spec)
    if spec.name in suites.SUITES:
        return _suite(spec)
    if spec.name in MADE_HERE:
        own = _COUNTDOWN if spec.name == LINES else _WORLD
        return Known(str(spec), "ponder", what=MADE_HERE[spec.name], parameters=own)
    family, parameters = gym.about(spec.name, [*hub.KNOWN, *suites.SUITES, *MADE_HERE])
    what = f"without parameters it is {DEFAULT}" if spec.name == read(DEFAULT).name else ""
    return Known(
        str(spec),
        "reasoning-gym",
        family,
        what,
        tuple(_parameter(p) for p in parameters),
        _answers(spec.name),
    )


def _parameter(told: dict[str, Any]) -> Parameter:
    return Parameter(told["name"], told["type"], told["default"])


def _answers(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((gym_kinds.kind_of(name), gym.grader_of(name)) for name in names))


def _suite(spec: Spec) -> Known:
    families = suites.SUITES[spec.name]
    told = "; ".join(f"{family}: {', '.join(tasks)}" for family, tasks in families.items())
    one = Parameter("family", " | ".join(families))
    answers = _answers(*(task for tasks in families.values() for task in tasks))
    return Known(str(spec), "suite", what=told, parameters=(one,), answers=answers)


def _hub(spec: Spec) -> Known:
    source = hub.KNOWN.get(spec.name) or hub.Source(spec.name.removeprefix("hf:"))
    of_rows = (
        (_SHOWN,) if spec.name in _PROGRAMS else _FIELDS if spec.name in hub.KNOWN else (*_FIELDS, _SHOWN)
    )
    parameters = (
        Parameter("config", "text", source.config),
        Parameter("split", "text", source.split),
        Parameter("revision", "text, which pins what is read"),
        *(Parameter(p.name, p.type, source.fields.get(p.name, p.default)) for p in of_rows),
    )
    spec.only([p.name for p in parameters], spec.name)
    return Known(str(spec), "hub", what=source.name, parameters=parameters, answers=_of_hub(spec.name))


def _of_hub(name: str) -> tuple[tuple[str, str], ...]:
    if name in _PROGRAMS:
        return (("code", coding.GRADER),)
    source = hub.KNOWN.get(name)
    kind: Any = "choice" if source and source.wrong else source.fields.get("kind") if source else None
    return ((kind, GRADERS[kind]),) if kind else ()


_FIELDS: Final = (
    *(Parameter(name, f"a field; else {', '.join(usual)}") for name, usual in USUAL.items()),
    Parameter("kind", "of the answers: math, yesno, json, ...; else by what they look like"),
)
_SHOWN: Final = Parameter("shown", "of MBPP's tests: how many the question shows, or all", "1")
_COUNTDOWN: Final = (
    Parameter("split", " | ".join(get_args(Split)), "seen"),
    *(Parameter(f.name, str(f.type), str(f.default)) for f in fields(Countdown) if f.name != "seed"),
)
_WORLD: Final = (Parameter("seed", "int; the other traits are the model's alone", str(Traits().seed)),)
