"""Suites: several tasks under one name, each item with its family, so that accuracy and cost are told for each.

`sys2bench` follows Sys2Bench (2502.12521): five families, whose lesson is that no method wins in all of them and that
their accuracies must not be averaged. Its eleven data sets are not used. For each of its tasks stands one of
reasoning-gym that asks for the same thing:

    arithmetic     GSM8K, AQuA               gsm_symbolic, basic_arithmetic
    logic          ProntoQA                  syllogism, knights_knaves
    common sense   StrategyQA, HotPotQA      family_relationships, aiw
    algorithmic    Game of 24, bin packing   puzzle24, countdown
    planning       BlocksWorld, Rubik's cube, TripPlan, CalendarPlan
                                             tower_of_hanoi, rubiks_cube, shortest_path, calendar_arithmetic

Common sense is the weakest of them: what is generated tests relations between people, not knowledge of the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ponder.core.errors import UnknownName
from ponder.evals.tasks.gym import COUNT, Wanted, make
from ponder.evals.tasks.loaded import Tasks
from ponder.evals.tasks.spec import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.evals.tasks.spec import Spec
    from ponder.evals.values import Item

SUITES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "sys2bench": {
        "arithmetic": ("gsm_symbolic", "basic_arithmetic"),
        "logic": ("syllogism", "knights_knaves"),
        "common sense": ("family_relationships", "aiw"),
        "algorithmic": ("puzzle24", "countdown"),
        "planning": ("tower_of_hanoi", "rubiks_cube", "shortest_path", "calendar_arithmetic"),
    }
}
"""Tasks by family, by suite."""


def load(spec: Spec, limit: int | None, seed: int, offset: int) -> Tasks:
    """The items of a suite: of each family alike, and in each family of each task alike.

    Args:
        spec: the suite; `family=logic` takes one family alone.
        limit: how many items in all. The order goes round the families, so that any number of items has all of them.
        seed: of the items.
        offset: how many to leave out at the start.

    Raises:
        UnknownName: the suite has no such family or option.
        UsageError: reasoning-gym is missing.

    """
    spec.only(("family",), spec.name)
    families = SUITES[spec.name]
    if "family" in spec.options:
        family = spec.options["family"]
        if family not in families:
            raise UnknownName(f"family of {spec.name}", family, families)
        families = {family: families[family]}
    wanted = limit or COUNT
    turns = [_turn(families, index) for index in range(offset, offset + wanted)]
    need: dict[tuple[str, str], list[int]] = {}
    for family, task, index in turns:
        need.setdefault((family, task), []).append(index)
    items, complaints = make(
        [Wanted(read(task), seed, min(at), len(at), family) for (family, task), at in need.items()]
    )
    by_turn: dict[tuple[str, str, int], Item] = {
        (item.family, item.task, int(item.problem.id.rpartition("/")[2])): item for item in items
    }
    return Tasks(str(spec), tuple(by_turn[turn] for turn in turns if turn in by_turn), tuple(complaints))


def _turn(families: Mapping[str, tuple[str, ...]], index: int) -> tuple[str, str, int]:
    """Whose turn it is: the family, its task, and which of the task's items."""
    names = list(families)
    round_, family = index // len(names), names[index % len(names)]
    tasks = families[family]
    return family, tasks[round_ % len(tasks)], round_ // len(tasks)
