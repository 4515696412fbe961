"""Parts of tasks, as the command line names them."""

import pytest

from ponder.core.errors import UnknownName, UsageError
from ponder.evals.simulated import World
from ponder.evals.tasks import Tasks
from ponder.evals.tasks.parts import Part, named

TEN = Tasks("ten", World(0).items(10))


@pytest.mark.parametrize(
    ("text", "start", "limit", "left"),
    [("3", 0, 3, 10), ("4-6", 3, 3, 10), ("7-7", 6, 1, 10), ("0.1", 0, None, 1), (".25", 0, None, 3)],
)
def test_what_can_be_read(text, start, limit, left):
    part = Part.parse(text)
    assert (part.start, part.limit) == (start, limit)
    assert part.of(TEN).items == TEN.items[:left]


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "1.0", "0.0", "3-", "6-4", "0-4", "half", "1e3", "３", "9" * 99]
)
def test_what_cannot(text):
    with pytest.raises(UsageError, match="Cannot read the limit"):
        Part.parse(text)


def test_items_are_named_one_by_one_or_many_at_once():
    assert named([TEN], []) == [TEN]
    [one] = named([TEN], ["sim-0-7", "sim-0-2"])
    assert [item.problem.id for item in one.items] == ["sim-0-2", "sim-0-7"]
    assert named([TEN], ["sim-*"]) == [TEN]
    assert named([Tasks("none", ()), TEN], ["*"]) == [TEN]
    with pytest.raises(UnknownName, match="sim-0-1"):
        named([TEN], ["sim-0-11"])
