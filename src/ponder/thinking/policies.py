"""Policies as text: TOML that a person can read, check and change, and errors that say in which line."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from ponder.core.errors import PonderError, UnknownName, UsageError
from ponder.core.policy import Policy, Rule
from ponder.thinking.difficulty import Signs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOP: Final[Mapping[str, type]] = {
    "model": str,
    "scorer": str,
    "probe": int,
    "direct": int,
    "graded": str,
    "simulated": bool,
    "tasks": list,
    "difficulty": dict,
    "rule": list,
}
_RULE: Final[Mapping[str, type]] = {
    "budget": int,
    "above": float,
    "strategy": str,
    "problems": int,
    "right": list,
    "tokens": float,
    "alone": bool,
    "agreed": bool,
}
_WORDS: Final[Mapping[type, str]] = {
    str: "text in quotes",
    int: "a whole number from 0 up",
    float: "a number from 0 up",
    bool: "true or false",
    list: "a list in brackets",
    dict: "a table",
}


class _Reader:
    """One text, which knows its lines."""

    def __init__(self, text: str, where: str) -> None:
        self._lines = text.splitlines()
        self._where = where

    def wrong(self, what: str, key: str | None = None, rule: int | None = None) -> UsageError:
        return UsageError(f"{self._where}, line {self._line(key, rule)}: {what}")

    def _line(self, key: str | None, rule: int | None) -> int:
        """Where a key stands, at the top or in the rule with this number."""
        rules = [i for i, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*rule\s*\]\]", line)]
        start = 0 if rule is None or rule >= len(rules) else rules[rule]
        for i, line in enumerate(self._lines[start:], start):
            if key and re.match(rf"\s*\[?\[?\s*[\"']?{re.escape(key)}\b", line):
                return i + 1
        return start + 1

    def table(self, table: Mapping[str, Any], known: Mapping[str, type], rule: int | None = None) -> None:
        """See that a table has nothing but what is known, each of its type."""
        for key, value in table.items():
            if key not in known:
                raise self.wrong(str(UnknownName("key of a policy", key, known)), key, rule)
            self.typed(key, value, known[key], rule)

    def typed(self, key: str, value: Any, kind: type, rule: int | None = None) -> None:
        fits = isinstance(value, (int, float) if kind is float else kind)
        if fits and kind in (int, float):
            fits = not isinstance(value, bool) and 0 <= float(value) < 1e15
        if not fits:
            raise self.wrong(f"{key} takes {_WORDS[kind]}, not {value!r}.", key, rule)

    def rule(self, i: int, table: Any, check: Callable[[str], object]) -> Rule:
        if not isinstance(table, dict):
            raise self.wrong("rules are tables: [[rule]], and below it budget = ...", "rule")
        self.table(table, _RULE, i)
        for key in ("budget", "above", "strategy"):
            if key not in table:
                raise self.wrong(f"this rule has no {key}.", None, i)
        if table["above"] > 1:
            raise self.wrong(f"above is a difficulty from 0 to 1, not {table['above']}.", "above", i)
        try:
            check(table["strategy"])
        except PonderError as error:
            raise self.wrong(str(error), "strategy", i) from None
        right = table.get("right")
        if right is not None and not (
            len(right) == 3
            and all(isinstance(x, int | float) and 0 <= x <= 1 for x in right)
            and right[1] <= right[0] <= right[2]
        ):
            raise self.wrong("right takes a share and its interval, for example [0.7, 0.6, 0.8].", "right", i)
        return Rule(**table | {"right": tuple(right) if right else None})

    def weights(self, table: Mapping[str, Any]) -> dict[str, float]:
        known = {"bias", *Signs._fields}
        for key, value in table.items():
            if key not in known:
                raise self.wrong(str(UnknownName("sign of difficulty", key, known)), key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
                raise self.wrong(f"{key} takes a number, not {value!r}.", key)
        return dict(table)


def read(text: str, name: str, where: str, check: Callable[[str], object] = str) -> Policy:
    """The policy that a TOML text says.

    Args:
        text: of the file.
        name: by which it was asked for.
        where: the file, for messages.
        check: raises a PonderError where a strategy's text means none.

    Raises:
        UsageError: it is no TOML, or says what makes no sense; the message names the line.

    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is no TOML: {error}.") from None
    reader = _Reader(text, where)
    if isinstance(said.get("rule"), dict):
        raise reader.wrong("a rule begins with [[rule]], in two brackets on either side.", "rule")
    reader.table(said, _TOP)
    rules = tuple(reader.rule(i, table, check) for i, table in enumerate(said.pop("rule", [])))
    if not rules:
        raise reader.wrong("a policy needs rules: [[rule]], and below it budget, above and strategy.")
    _consistent(rules, reader)
    if said.get("probe", 4) < 1:
        raise reader.wrong("probe takes a whole number from 1 up, not 0.", "probe")
    if said.get("graded", "gold") not in ("gold", "agreement"):
        raise reader.wrong(f'graded takes "gold" or "agreement", not {said["graded"]!r}.', "graded")
    if not all(isinstance(task, str) for task in said.get("tasks", [])):
        raise reader.wrong("tasks takes names in quotes.", "tasks")
    weights = reader.weights(said.pop("difficulty", {}))
    tasks = tuple(said.pop("tasks", ()))
    return Policy(name=name, rules=rules, weights=weights, tasks=tasks, **said)


def _consistent(rules: tuple[Rule, ...], reader: _Reader) -> None:
    """See that for each budget and difficulty there is one rule, and only one."""
    for i, rule in enumerate(rules):
        same = [other for other in rules if other.budget == rule.budget]
        if not any(other.above == 0 and not other.agreed for other in same):
            raise reader.wrong(
                f"the budget {rule.budget} has no rule with above = 0, for easy problems.", "budget", i
            )
        if rule.alone and len(same) > 1:
            raise reader.wrong(
                f"a rule that is alone is the only one of its budget, and {rule.budget} has {len(same)}.",
                "alone",
                i,
            )
        alike = [
            j
            for j, other in enumerate(rules)
            if (other.budget, other.above, other.agreed) == (rule.budget, rule.above, rule.agreed)
        ]
        if len(alike) > 1:
            raise reader.wrong(
                f"the budget {rule.budget} has two rules above {rule.above}.", "above", alike[-1]
            )


def written(policy: Policy, about: str = "") -> str:
    """The inverse of `read`; `about` are lines of comment that come first."""
    top: dict[str, Any] = {"model": policy.model, "scorer": policy.scorer}
    lines = [f"# {line}".rstrip() for line in about.splitlines()]
    lines += [f"{key} = {_quoted(value)}" for key, value in top.items() if value is not None]
    lines += [
        f"tasks = [{', '.join(map(_quoted, policy.tasks))}]",
        f"simulated = {str(policy.simulated).lower()}",
        f"graded = {_quoted(policy.graded)}",
        f"probe = {policy.probe}",
        f"direct = {policy.direct}",
    ]
    if policy.weights:
        lines += ["", "[difficulty]  # log-odds that the probe's vote is wrong"]
        lines += [f"{key} = {float(value):.6g}" for key, value in policy.weights.items()]
    for rule in policy.rules:
        lines += ["", "[[rule]]", f"budget = {rule.budget}", f"above = {rule.above:.4f}"]
        lines += [f"strategy = {_quoted(rule.strategy)}"]
        lines += ["alone = true"] * rule.alone + ["agreed = true"] * rule.agreed
        if rule.problems:
            lines += [f"problems = {rule.problems}"]
        if rule.right:
            lines += [f"right = [{', '.join(f'{x:.3f}' for x in rule.right)}]"]
        if rule.tokens:
            lines += [f"tokens = {rule.tokens:.1f}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
