"""What a calibration says to the person who ran it: what to use within which budget, and what to expect of it."""

from __future__ import annotations

import shlex
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.table import Table

from ponder.cli.terminal import one_line
from ponder.evals.calibration import asked, more
from ponder.evals.report.words import at, difference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.policy import Policy
    from ponder.evals.calibration import Figures
    from ponder.evals.stats import Estimate
    from ponder.evals.values import Item


def share(about: Estimate) -> str:
    """A share with its interval, as text."""
    return f"{about.value:.3f} ({about.interval.low:.3f} to {about.interval.high:.3f})"


def table(judged: Sequence[Figures], policy: Policy) -> Table:
    """For a model on tasks: what to use within each budget, by its bare name, and what to expect of it."""
    drawn = Table(
        title=one_line(f"{policy.model} on {', '.join(policy.tasks)}: at so many tokens a question"),
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for name in ("at most", "use", "expect right (95 %)", "tokens", "vote", "oracle"):
        drawn.add_column(name, justify="left" if name == "use" else "right", no_wrap=name != "use")
    for one in judged:
        drawn.add_row(
            f"{one.budget:,}",
            one_line((one.strategy or "auto").partition(":")[0]),
            share(one.use.right),
            f"{one.use.tokens:,.0f}",
            f"{one.majority.right.value:.3f}",
            f"{one.oracle.right.value:.3f}",
        )
    return drawn


def uses(judged: Sequence[Figures], policy: Policy) -> list[str]:
    """What to write to use that: each strategy in full, in the order of the budgets that it is for."""
    auto = f"auto:policy={policy.name}"
    lines = [
        f"  {at(budgets)}: -s {shlex.quote(strategy or auto)}" for strategy, budgets in asked(judged).items()
    ]
    others = {
        one.budget: one.always or "a probe first"
        for one in judged
        if one.strategy and one.strategy != one.always
    }
    if not others:
        return ["To use it:", *lines, f"-s {shlex.quote(auto)} does so by itself."]
    does = "; ".join(f"at {budget:,} tokens {what}" for budget, what in others.items())
    return ["To use it:", *lines, f"-s {shlex.quote(auto)} does so by itself, except {does}."]


def sentences(judged: Sequence[Figures], policy: Policy, items: Sequence[Item], wide: int) -> list[str]:
    """What the table does not say."""
    told = uses(judged, policy)
    if policy.simulated:
        told.append("These figures are simulated.")
    if policy.graded == "agreement":
        told.append(
            f"No right answers are known: right is what a vote of {wide} says. This is consistency, not accuracy."
        )
    elif any(item.gold is None for item in items):
        told.append("Problems without a right answer were left out.")
    if chance := _where(judged, lambda one: not one.beat and one.gain.difference.interval.low <= 0):
        told.append(
            f"At {at(chance)} tokens nothing beats the majority vote beyond chance, on {judged[0].problems} problems."
        )
    if unsettled := _where(judged, lambda one: one.use is one.single and not one.settled):
        told.append(
            f"At {at(unsettled)} tokens either half of the problems preferred another strategy: what is best is not settled, "
            "and what is expected is expected of choosing so."
        )
    told += [
        f"At {one.budget:,} tokens auto has {difference(one.over_single.difference, ' points')} on the best single strategy, "
        f"{one.best}, and spends {one.auto.tokens:,.0f} tokens where that spends {one.single.tokens:,.0f}."
        for one in judged
        if one.use is one.auto
    ]
    told.append(compute(judged))
    told.append("vote: the majority of as many samples as are paid for.")
    told.append(
        "oracle: the best strategy for each true difficulty, in hindsight. It knows the answers; no method does."
    )
    return told


def compute(judged: Sequence[Figures]) -> str:
    """What more compute buys, and where nothing was tried that would spend it."""
    return " ".join(filter(None, [enough(judged), unspent(judged)]))


def enough(judged: Sequence[Figures]) -> str:
    """From which budget on more compute buys nothing that these problems could show."""
    if len(judged) == 1:
        return "One budget was tried; give several, -b 1k -b 2k, to see whether more compute pays."
    for i, one in enumerate(judged[:-1]):
        if not any(more(one, later) for later in judged[i + 1 :]):
            return (
                f"More compute than {one.budget:,} tokens a question ({one.use.tokens:,.0f} are spent) buys nothing that "
                f"{one.problems} problems could show."
            )
    return f"More compute still paid at {judged[-1].budget:,} tokens, the most that was tried."


def unspent(judged: Sequence[Figures]) -> str | None:
    """Within which budgets all that was tried ended by itself: such rows say nothing of more compute. None: in none."""
    same = [later.budget for one, later in pairwise(judged) if max(one.dearest, later.dearest) < one.budget]
    if not same:
        return None
    return (
        f"Nothing that was tried spends more than {judged[-1].dearest:,} tokens on a question, so {at(same)} tokens buy "
        "the same. Only wider strategies could spend them: --wide, or -s with a larger n."
    )


def _where(judged: Sequence[Figures], true: Callable[[Figures], bool]) -> list[int]:
    return [one.budget for one in judged if true(one)]
