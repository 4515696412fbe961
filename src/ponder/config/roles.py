"""Which model plays which role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ponder.config.parts import scorers
from ponder.core.errors import UsageError
from ponder.runtime.preflight import check_roles, roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ponder.config.setting import Settings
    from ponder.core.protocols import Strategy

ROLE = re.compile(r"([A-Za-z][\w-]*)=(.+)", re.DOTALL)


def models_by_role(
    said: Sequence[str], settings: Settings, strategies: Sequence[Strategy]
) -> dict[str, str | None]:
    """Which model plays which role in the strategies: as said, "ROLE=MODEL" or a bare "MODEL" for the solver, else as
    set. None is the default model. Roles that are not there are played by the solver.

    Raises:
        UnknownName: no strategy has a role that was said; near ones are suggested.
        UsageError: two models were said for one role.

    """
    named: dict[str, str] = {}
    for word in said:
        by_role = None if Path(word).is_file() else ROLE.fullmatch(word)
        role, name = (by_role[1], by_role[2]) if by_role else ("solver", word)
        if role in named:
            raise UsageError(
                f"The role {role} was given two models, {named[role]} and {name}. Name one, or say whose the other is, "
                "for example -m judge=NAME."
            )
        named[role] = name
    check_roles(named, strategies, scorers())
    played = {role: name for role, name in settings.roles.items() if _plays(role, strategies)}
    return {"solver": settings.model} | played | named


def _plays(role: str, strategies: Sequence[Strategy]) -> bool:
    return any((found := roles(strategy, scorers())) is None or role in found for strategy in strategies)
