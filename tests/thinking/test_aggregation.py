import pytest

from ponder.thinking.aggregation import aggregate


@pytest.mark.parametrize(
    ("how", "value"), [("last", 0.5), ("min", 0.4), ("prod", 0.18), ("mean", 0.6), ("max", 0.9)]
)
def test_steps_make_one_value(how, value):
    assert aggregate([0.9, 0.4, 0.5], how) == pytest.approx(value)


def test_no_steps_have_no_value():
    with pytest.raises(ValueError, match="no steps"):
        aggregate([])
