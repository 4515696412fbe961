"""The small parts that pictures are made of."""

import itertools
import math
import re

import pytest
from evals.test_report_studies import read
from hypothesis import assume, given
from hypothesis import strategies as st

from ponder.evals.report import words
from ponder.evals.report.figures import Line, Point, Row, curves, mirrored, rows, scatter
from ponder.evals.report.marks import colour, shape
from ponder.evals.report.page import style
from ponder.evals.report.plot import Axis, Labels, Plot
from ponder.evals.report.scales import Linear, Log, powers, shares, spread
from ponder.evals.stats import Estimate, Interval

SIZES = st.floats(1e-3, 1e9)


@given(st.floats(-1e6, 1e6), SIZES, st.integers(2, 10))
def test_linear_ticks_are_few_round_and_within(low, span, most):
    assume(span > 1e-9 * abs(low))
    scale = Linear(low, low + span, 0, 100)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert all(-1e-6 <= scale(t) <= 100 + 1e-6 for t in ticks)
    assert ticks == sorted(set(ticks))


@given(SIZES, st.floats(1.05, 1e6), st.integers(4, 8))
def test_log_ticks_are_few_and_within(low, ratio, most):
    scale = Log(low, low * ratio, 0, 100)
    ticks = scale.ticks(most)
    assert 1 <= len(ticks) <= most
    assert all(-1e-6 <= scale(t) <= 100 + 1e-6 for t in ticks)
    assert ticks == sorted(set(ticks))


@given(SIZES, st.floats(1.05, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_a_log_scale_turns_ratios_into_distances(low, ratio, one, other):
    scale = Log(low, low * ratio, 10, 110)
    a, b = low * ratio**one, low * ratio**other
    assert scale(b) - scale(a) == pytest.approx(100 * math.log(b / a) / math.log(ratio), abs=1e-6)
    assert scale(0) == 10  # what has no logarithm stands at the edge


@given(st.lists(st.floats(0, 1), max_size=9))
def test_an_axis_of_shares_shows_them_all(values):
    low, high = shares(values)
    assert 0 <= low < high <= 1
    assert high - low >= 0.2 - 1e-9
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in values)


@given(st.lists(st.one_of(SIZES, st.just(0.0)), max_size=9))
def test_a_log_axis_shows_all_that_is_positive(values):
    extent = spread(values)
    if extent is None:
        assert not any(values)
    else:
        assert all(extent[0] < v < extent[1] for v in values if v)
        assert extent[1] / extent[0] >= 2 - 1e-9


@given(st.integers(1, 5000))
def test_powers_end_at_the_largest(n):
    assert powers(n)[0] == 1
    assert powers(n)[-1] == n
    assert all(b <= 2 * a for a, b in itertools.pairwise(powers(n)))


def test_no_two_methods_look_alike():
    looks = [(colour(i), shape(i)) for i in range(64)]
    assert len(set(looks)) == 64
    assert len({shape(i) for i in range(8)}) == 8  # the first ones in grey neither


# -- colours ------------------------------------------------------------------------------------------------------


def schemes():
    """{name: hexadecimal colour} for light, dark and print."""
    blocks = re.findall(r":root \{(.*?)\}", style(), re.DOTALL)
    assert len(blocks) == 3
    return {
        scheme: dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", block))
        for scheme, block in zip(("light", "dark", "print"), blocks, strict=True)
    }


def linear(colour_):
    digits = colour_[1:] if len(colour_) == 7 else "".join(2 * c for c in colour_[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def contrast(one, other):
    """WCAG 2.2."""
    lights = sorted(
        sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear(c), strict=True)) for c in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_everything_stands_out_from_the_paper(scheme):
    found = schemes()[scheme]
    for name in ("ink", "soft", "sign"):
        for ground in ("paper", "tint"):
            assert contrast(found[name], found[ground]) >= 5.5, name
    for i in range(8):
        assert contrast(found[f"c{i}"], found["paper"]) >= 3, i


DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sight", [DEUTERANOPIA, PROTANOPIA], ids=["deuteranopia", "protanopia"])
def test_the_first_four_colours_differ_for_the_colour_blind(scheme, sight):
    """Machado et al. 2009, distances in CIE Lab. Beyond four, shapes must tell."""

    def lab(rgb):
        seen = [sum(m * c for m, c in zip(row, rgb, strict=True)) for row in sight]
        to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
        xyz = [sum(m * c for m, c in zip(row, seen, strict=True)) for row in to_xyz]
        f = [max(v / w, 1e-9) for v, w in zip(xyz, (0.9505, 1.0, 1.089), strict=True)]
        x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in f)
        return 116 * y - 16, 500 * (x - y), 200 * (y - z)

    seen = [lab(linear(schemes()[scheme][f"c{i}"])) for i in range(4)]
    for one, other in itertools.combinations(seen, 2):
        assert math.dist(one, other) > 12


# -- pictures -----------------------------------------------------------------------------------------------------

LEFT = Axis("Accuracy", 0.0, 1.0, lambda v: f"{100 * v:.0f} %")


def estimate(value, half):
    return Estimate(value, Interval(max(0.0, value - half), min(1.0, value + half)), 0.1, 10, 10)


def inside(picture):
    """All that a picture draws is within its frame; the width of texts is guessed."""
    (svg,) = read(picture).children
    width, height = (float(svg.attributes[k]) for k in ("width", "height"))
    for text in svg.all("text"):
        x, y = float(text.attributes["x"]), float(text.attributes["y"])
        long = 6.2 * len(text.text)
        left = x - (long if "end" in text.classes else long / 2 if "mid" in text.classes else 0)
        assert left >= -8, text.text
        assert left + long <= width + 8, text.text
        assert 0 <= y <= height, text.text
    for path in svg.all("path"):
        assert "nan" not in path.attributes["d"]
        spots = re.findall(r"translate\(([\d.-]+) ([\d.-]+)\)", path.attributes.get("transform", ""))
        for x, y in spots:
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    return svg


POINTS = st.lists(
    st.tuples(st.floats(1, 1e5), st.floats(0, 1), st.floats(0, 0.3), st.integers(0, 70), st.booleans()),
    min_size=1,
    max_size=20,
)


@given(POINTS, st.sampled_from([312.0, 356.0, 640.0]))
def test_a_scatter_draws_a_mark_and_a_label_for_each_point(spots, width):
    points = [
        Point(x, estimate(y, h), series, str(i), f"says {i}", oracle)
        for i, (x, y, h, series, oracle) in enumerate(spots)
    ]
    below = Axis("Tokens (log)", *spread(p.x for p in points), words.compact, log=True)
    svg = inside(scatter(points, Plot(width, 330, below, LEFT), says="s", front=[0]))
    marks = [p for p in svg.all("path") if "mark" in p.classes]
    assert len(marks) == len(points)
    assert sum("oracle" in m.classes for m in marks) == sum(p.oracle for p in points)
    assert [g.one("title").text for g in svg.all("g")] == [p.says for p in points]
    assert [t.text for t in svg.all("text") if "label" in t.classes] == [p.label for p in points]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=6))
def test_curves_and_rows_stay_in_their_frames(values):
    ys = [estimate(*v) for v in values]
    xs = [2.0**i for i in range(len(ys))]
    plot = Plot(356, 300, Axis("k (log)", 0.9, 80.0, words.compact, log=True, ticks=xs), LEFT)
    svg = inside(curves([Line("maj@k", 0, xs, ys, ["s"] * len(ys))], plot, says="s"))
    assert len([p for p in svg.all("path") if "mark" in p.classes]) == len(ys)
    points = [Point(0.0, y, i, str(i), "s") for i, y in enumerate(ys)]
    svg = inside(rows([Row("algebra (20 problems)", points), Row("planning", points)], 356, LEFT, says="s"))
    assert len([p for p in svg.all("path") if "mark" in p.classes]) == 2 * len(ys)


@given(st.lists(st.floats(0, 0.5), min_size=3, max_size=24), st.floats(0, 400), st.floats(0, 400))
def test_bars_are_as_high_as_their_shares(heights, one, other):
    most = max(*heights, 0.01)
    left = Axis("Share", -most, most, words.percent, ticks=(0,))
    plot = Plot(356, 280, Axis("Tokens", 0, 400, words.compact), left)
    svg = inside(
        mirrored(heights, heights[::-1], plot, names=("right", "wrong"), middles=(one, other), says="s")
    )
    for series, wanted in ((0, heights), (1, heights[::-1])):
        drawn = [p for p in svg.all("path") if p.classes == ["fill", f"c{series}"]]
        assert len(drawn) == sum(h > 0 for h in wanted)
        for path, height in zip(drawn, [h for h in wanted if h > 0], strict=True):
            base, top = map(float, re.match(r"M[\d.]+ ([\d.]+)V([\d.]+)", path.attributes["d"]).groups())
            assert abs(base - top) == pytest.approx(height / (2 * most) * (280 - 30 - 46), abs=0.11)


def test_labels_avoid_each_other_where_there_is_room():
    labels = Labels([], (0, 0, 600, 300))
    for i in range(8):
        labels.place(str(i), 300 + i * 2, 150)
    overlaps = [
        (a, b)
        for a, b in itertools.combinations(labels.taken, 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    assert overlaps == []
