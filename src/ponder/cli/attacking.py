"""`ponder attack`: attacks as an evaluation, and a table of how often they succeeded."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from rich.table import Table

from ponder.cli.terminal import leave_at_once_on_ctrl_c, one_line
from ponder.core.calls import Budget
from ponder.core.errors import UsageError
from ponder.evals.attacks import Asked, panels
from ponder.evals.attacks.about import RED_TEAM, SOFT
from ponder.evals.attacks.items import ATTEMPTS
from ponder.evals.attacks.kept import Kept
from ponder.evals.attacks.soft_tokens import LEARNT, STEPS, THINKING
from ponder.evals.report.attacks import attempted, corrected, trended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ponder.core.protocols import Engine
    from ponder.evals.attacks import Panel
    from ponder.evals.attacks.soft_tokens import Reached, SoftTokens, WhiteBox
    from ponder.evals.values import Study
    from ponder.thinking.prompts.attacking import Goal

THINK = (16, 64, 256)
"""Tokens of thinking where nobody says how compute is set."""
ANSWER = 48
"""Tokens for the answer after it."""


def asked(
    task: str,
    attack: str,
    goals: Sequence[str],
    strengths: Sequence[int],
    limit: int,
    seed: int,
    steps: int | None = None,
    think: Sequence[int] = (),
) -> Asked:
    """What is to be attacked, and how.

    Raises:
        UnknownName: see `Asked`.
        UsageError: see `Asked`; or steps are said, and nothing is searched.

    """
    if steps and attack != SOFT:
        raise UsageError(f"--steps is for --attack {SOFT}, and not for {attack or 'others'}.")
    chosen = cast("tuple[Goal, ...]", tuple(goals))
    thinking = tuple(sorted(set(think))) or THINKING
    return Asked(task, attack, chosen, tuple(strengths), limit, seed, steps or STEPS, thinking)


@contextmanager
def white_box(models: Mapping[str, str | None]) -> Iterator[dict[str, Engine]]:
    """The one model of all roles, in an engine that gives gradients.

    Raises:
        UsageError: there are several, it is no folder with weights, or torch and transformers are not installed.
        ModelFileError: the folder lacks some of it.

    """
    from ponder.engines.transformers import Transformers

    names = {name or "the default model" for name in models.values()}
    said = ", ".join(sorted(names))
    if len(names) > 1 or not (Path(said) / "config.json").is_file():
        raise UsageError(
            f"Soft tokens are found with a model's gradients, which {said} does not give. Give one model with -m: a folder "
            "with config.json, tokenizer.json and safetensors weights; and install ponder[transformers]."
        )
    leave_at_once_on_ctrl_c()  # until the run listens itself
    engine = Transformers.load(said, local_files_only=True)
    try:
        yield dict.fromkeys(models, engine)
    finally:
        engine.close()


def search(asked: Asked, engine: Engine, runs: Path, told: Callable[[str], None]) -> None:
    """Find the soft tokens of each goal and strength, and give them to the engine.

    How far each search is lies beside the run files, so that the same command goes on with it.
    """
    for soft in asked.searches:
        anyio.run(_found, soft, cast("WhiteBox", engine), runs, told)


async def _found(soft: SoftTokens, engine: WhiteBox, runs: Path, told: Callable[[str], None]) -> None:
    kept = await Kept.of(soft, engine, runs)
    before = kept.read()
    done = 0 if before is None else len(before.losses)
    if done < soft.steps:
        on = f", from step {done:,} on" if done else ""
        told(f"Looking for {soft.tokens} soft tokens for {soft.goal}, in {soft.steps:,} steps{on}.")

    def tell(now: Reached) -> None:
        kept.write(now)
        if len(now.losses) < soft.steps:
            told(f"Step {len(now.losses):,} of {soft.steps:,}: {now.losses[-1]:.2f} nats.")

    found = await soft.find(engine, before, tell)
    told(
        f"{soft.tokens} soft tokens for {soft.goal}: {found.told}, on {LEARNT} problems that are not attacked. "
        f"They are kept in {kept.path.name}."
    )


def against(
    attack: str, attacker: str | None, attempts: int | None, strengths: Sequence[int]
) -> Sequence[int]:
    """The strengths where a red team may attack: its attempts, and none.

    Raises:
        UsageError: there is no red team and yet an attacker or attempts, or its strength is said in another way.

    """
    if attack != RED_TEAM:
        if attacker or attempts:
            raise UsageError(f"--attacker and --attempts are for --attack {RED_TEAM}, and not for {attack}.")
        return strengths
    if strengths:
        raise UsageError(
            "The strength of a red team is its attempts. Give --attempts, and leave --strength out."
        )
    return 0, attempts or ATTEMPTS


def within(said: str | None, usual: str, tries: int) -> str:
    """The budget for each problem: as said, else the usual one for each of so many tries."""
    budget = Budget.parse(said or usual)
    if not said and budget.tokens is not None:
        budget = replace(budget, tokens=tries * budget.tokens)
    return str(budget)


def strategies(think: Sequence[int], others: Sequence[str]) -> list[str]:
    """Budget forcing with each of these most tokens of thinking, then the other strategies."""
    most = think or (() if others else THINK)
    return [*(f"budget-forcing:waits=0,max_thinking={n},max_answer={ANSWER}" for n in most), *others]


def tables(study: Study) -> Iterator[Table]:
    """A table for each attack and goal: strengths below each other, compute from left to right."""
    found = panels(study)
    p_of = corrected(found)
    return (_table(panel, p_of) for panel in found)


def _table(panel: Panel, p_of: Mapping[int, float]) -> Table:
    drawn = Table(title=panel.title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    drawn.add_column(panel.unit, justify="right")
    drawn.add_column("strategy", overflow="fold")
    for name in ("tokens", "attack succeeds", "95 %", "right", "n"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for strength in panel.strengths:
        for arm in panel.arms:
            cell = panel.cells.get((strength, arm))
            if cell is None:
                continue
            interval = cell.success.interval
            drawn.add_row(
                str(strength),
                one_line(arm.strategy),
                f"{cell.tokens:,.0f}",
                f"{cell.success.value:.3f}",
                f"{interval.low:.3f} to {interval.high:.3f}",
                f"{cell.right.value:.3f}" if cell.right else "-",
                f"{cell.success.items:,}",
            )
    drawn.caption_justify = "left"
    trends = [trended(panel, trend, p_of[id(trend)]) for trend in panel.trends]
    if trends:
        trends.insert(0, "With more compute (paired over problems, p corrected by Holm):")
    drawn.caption = "\n".join([*trends, *notes(panel)]) or None
    return drawn


def notes(panel: Panel) -> Iterator[str]:
    """What is to be said of an attacker, for each arm with its greatest number of tries."""
    last = panel.strengths[-1]
    for arm in panel.arms:
        if (cell := panel.cells.get((last, arm))) and (told := attempted(cell)):
            yield f"{one_line(arm.strategy)}: {told}"
