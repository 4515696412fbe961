"""`ponder calibrate`: an evaluation, the policy that it teaches, and what that is worth."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ponder.cli import evaluating, past
from ponder.cli.advice import share
from ponder.core.calls import Budget
from ponder.core.errors import StoreError, UsageError
from ponder.core.policy import Policy
from ponder.evals.calibration import LEAST, direct_answers, figures, learn, levels
from ponder.evals.plan import Plan
from ponder.evals.policies import ENDING
from ponder.evals.study import item_of
from ponder.evals.values import Arm
from ponder.runtime.equality import Equality
from ponder.strategies import Auto, parse
from ponder.thinking.policies import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ponder.config import Settings
    from ponder.core.prefix import Segment
    from ponder.core.protocols import Engine
    from ponder.evals.calibration import Bins, Figures
    from ponder.evals.values import Item
    from ponder.store import RunFile

BUDGETS = ("500", "1k", "2k", "4k", "8k")
WIDE = 64
"""Samples of the vote that all else is compared with, if nothing is said: more than most budgets pay for."""


def strategies(scorer: str | None, wide: int = WIDE) -> tuple[str, ...]:
    """What is tried if nothing is said: ways to spend more after the probe, and others to ask once."""
    votes = (f"self-consistency:n={wide}", f"self-consistency:n={wide},temperature=0.3")
    plain = (*votes, f"adaptive-consistency:n={wide}", "chain-of-thought", "zero-shot-cot", "chain-of-draft")
    if scorer is None:
        return plain
    by = f"scorer=({scorer})"
    return (*plain, f"best-of-n:n={wide},{by},selection=weighted", f"beam-search:n=8,{by}")


class Calibration:
    """What is to be measured, and the names of it.

    Args:
        items: problems.
        budgets: for each question.
        tried: strategies.
        probe: chains that `auto` begins with.
        scorer: of the policy.
        wide: samples of the vote that all else is compared with.

    Raises:
        UsageError: a budget does not limit tokens, there are too few problems, or the vote is no wider than the probe.

    """

    def __init__(
        self,
        items: Sequence[Item],
        budgets: Sequence[str],
        tried: Sequence[str],
        probe: int,
        scorer: str | None,
        wide: int = WIDE,
    ) -> None:
        limits = {Budget.parse(budget).tokens: str(Budget.parse(budget)) for budget in budgets}
        if None in limits:
            raise UsageError(
                "A policy is learnt for budgets of completion tokens, for example -b 500 -b 1k -b 2k."
            )
        if len(items) < 2 * LEAST:
            raise UsageError(
                f"{len(items)} problems are too few to learn a policy from and to judge it; give {2 * LEAST} or more."
            )
        if wide <= probe:
            raise UsageError(
                f"A vote of {wide} is no wider than the probe of {probe}, which it is to be compared with; give --wide more."
            )
        self.items = tuple(items)
        self.budgets = [
            limits[tokens] for tokens in sorted(tokens for tokens in limits if tokens is not None)
        ]
        self.probe = probe
        self.scorer = scorer
        self.wide = wide
        self.vote = str(parse(f"self-consistency:n={wide}"))
        stop = str(parse(f"self-consistency:n={probe}"))
        self._then = list(dict.fromkeys([stop, self.vote, *(str(parse(text)) for text in tried)]))
        self.alone = [str(parse("direct")), *self._then[1:]]

    @classmethod
    def of(cls, run: RunFile) -> Calibration:
        """What an earlier calibration measured.

        Raises:
            UsageError: the run is none.

        """
        arms = run.meta()["evaluation"]["arms"]
        follow = [
            arm for arm in (parse(strategy) for strategy, _ in arms) if isinstance(arm, Auto) and arm.then
        ]
        if len(follow) < 2 or follow[0].probe is None:
            raise UsageError(f"The run {run.id} is no calibration. Make one: ponder calibrate TASK")
        items = [item_of(name, body) for name, body in run.items().items()]
        budgets = list(dict.fromkeys(budget for _, budget in arms))
        tried = [str(arm.then) for arm in follow]
        scorer = None if follow[0].scorer is None else str(follow[0].scorer)
        return cls(items, budgets, tried, follow[0].probe, scorer, int(getattr(follow[1].then, "n", 0)))

    def follow(self, direct: int) -> dict[str, str]:
        """Strategy -> the arm in which it follows the probe; the first is the probe's own vote."""
        by = f",scorer=({self.scorer})" if self.scorer else ""
        first = f"probe={self.probe},direct={direct}{by}"
        return {then: str(parse(f"auto:{first},then=({then})")) for then in self._then}

    @property
    def quick(self) -> str:
        """The arm in which direct answers that agree may end it, before the widest vote."""
        return self.follow(DIRECT)[self.vote]

    def plan(self) -> Plan:
        """Every strategy after the probe and by itself, within every budget; and direct answers within the largest."""
        names = [*self.follow(0).values(), *self.alone]
        arms = [Arm(name, budget) for budget in self.budgets for name in names]
        return Plan(self.items, (*arms, Arm(self.quick, self.budgets[-1])))


DIRECT = 3
"""Direct answers that have to agree."""


def calibrate(
    asked: Calibration,
    engines: Mapping[str, Engine],
    settings: Settings,
    *,
    named: Sequence[str],
    bins: Bins,
    signs: Sequence[str],
    quiet: bool,
    name: str | None,
    given: Mapping[tuple[str, int], Segment] | None = None,
) -> tuple[Policy | None, list[Figures], int, str]:
    """Measure, learn and judge: the policy, what it is worth, the exit code and the run.

    The policy is None, and the exit code not 0, where it was stopped before the end.

    `given` are samples to begin with.

    Raises:
        UsageError: too few problems could be graded.

    """
    path, code = evaluating.evaluate(
        asked.plan(), engines, settings, named=named, afresh=False, quiet=quiet, given=given
    )
    if code == evaluating.STOPPED:
        return None, [], code, path.stem
    with past.opened(settings, path.stem) as run:
        policy, judged = taught(run, asked, bins, signs, named, name)
    return policy, judged, code, path.stem


def taught(
    run: RunFile, asked: Calibration, bins: Bins, signs: Sequence[str], named: Sequence[str], name: str | None
) -> tuple[Policy, list[Figures]]:
    """The policy that a run file teaches, and what it is worth. The file is all that is needed for it.

    Raises:
        UsageError: too few problems could be graded.

    """
    agreed = _agreed(run, asked)
    quick = direct_answers(run, asked.quick, agreed)
    found = levels(run, asked.budgets, asked.follow(0), asked.alone, agreed, quick)
    judged = figures(found, bins, asked.vote, signs=signs)
    learnt = learn(found, bins, signs)
    model = str(run.meta()["evaluation"]["model"])
    policy = Policy(
        name or named_after(model),
        learnt.rules,
        model,
        asked.scorer,
        asked.probe,
        DIRECT if learnt.direct else 0,
        learnt.weights,
        "agreement" if agreed else "gold",
        model.startswith("simulated"),
        tuple(named),
    )
    rules = [policy.rule(0.0, one.budget) for one in judged]
    return policy, [
        replace(one, always=rule.strategy if rule.alone else None)
        for one, rule in zip(judged, rules, strict=True)
    ]


def again(
    settings: Settings, run: str, bins: Bins, signs: Sequence[str], name: str | None
) -> tuple[Calibration, Policy, list[Figures], str]:
    """Learn once more from an earlier calibration, without its model: what was measured, the policy, what that is
    worth and the run.

    Raises:
        UsageError: there is no such calibration, or too few of its problems are done.

    """
    with past.opened(settings, run) as file:
        asked = Calibration.of(file)
        named = file.meta()["evaluation"]["tasks"]
        policy, judged = taught(file, asked, bins, signs, named, name)
        return asked, policy, judged, run


def _agreed(run: RunFile, asked: Calibration) -> dict[tuple[str, str | None], bool] | None:
    """Where no right answers are known: whether each answer is that of the widest vote; None where they are."""
    if any(item.gold is not None for item in asked.items):
        return None
    rows = [row for row in run.attempts() if row.status == "finished" and row.stop != "failed"]
    widest = {asked.vote, asked.follow(0)[asked.vote]}
    kinds = {item.problem.id: item.problem.kind for item in asked.items}
    votes = {
        row.problem: row.answer
        for row in sorted(rows, key=lambda row: Budget.parse(row.budget).tokens or 0)
        if row.strategy in widest and row.answer is not None
    }

    async def compared() -> dict[tuple[str, str | None], bool]:
        equality = Equality()
        found: dict[tuple[str, str | None], bool] = {}
        try:
            for item, vote in votes.items():
                answers = dict.fromkeys(row.answer for row in rows if row.problem == item)
                told = [a for a in answers if a is not None]
                keys = dict(zip(told, await equality.keys(told, kinds[item]), strict=True))
                found |= {(item, a): a is not None and keys[a] == keys[vote] for a in answers}
        finally:
            await equality.aclose()
        return found

    return anyio.run(compared)


def save(policy: Policy, to: str, judged: Sequence[Figures], settings: Settings) -> Path:
    """Write the policy into its file and return that.

    Raises:
        StoreError: it cannot be written.

    """
    path = Path(to).expanduser() if to.endswith(ENDING) else settings.policies / (to + ENDING)
    lines = [
        f"Learnt by: ponder {shlex.join(sys.argv[1:])}",
        "Rules may be changed by hand. What each is worth where it holds stands beside it: problems, the share that",
        "was right with its 95 % interval, tokens a question. Judged on problems that did not teach it, all in all:",
        *(
            f"  {one.budget} tokens: right {share(one.auto.right)}, {one.auto.tokens:.0f} spent"
            for one in judged
        ),
    ]
    if policy.simulated:
        lines.append("SIMULATED: learnt on a simulated model; it says nothing about any real one.")
    if policy.graded == "agreement":
        lines.append("BY AGREEMENT: no right answers were known; right is what a wide vote says.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(policy, "\n".join(lines)), "utf-8")
    except OSError as error:
        raise StoreError(
            f"The policy {path} cannot be written: {error.strerror}. Name another: -o FILE"
        ) from None
    return path


def named_after(model: str) -> str:
    """The name of a policy if none is said."""
    return re.sub(r"[^\w.-]+", "-", model).strip("-.").removesuffix(ENDING) or "policy"
