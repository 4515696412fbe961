"""The report says what the statistics say, in a page that loads nothing and that no text can break."""

import base64
import hashlib
import math
import random
import re
from collections import defaultdict
from dataclasses import replace
from itertools import combinations, pairwise
from statistics import mean, median

import pytest
from evals.test_report_studies import Node, arms, bare, outcome, read, rows, study

from ponder.core.calls import Usage
from ponder.core.problem import Problem
from ponder.evals.report import LARGEST, render
from ponder.evals.values import Arm, Item, Outcome

GIVEN = study()
TREE = "├─ ★ 0.0  = 36  61 tokens\n└─   0.1  = 35  58 tokens"


@pytest.fixture(scope="module")
def root():
    return read(render(GIVEN, {o.attempt: TREE for o in GIVEN.outcomes}))


# -- the page -----------------------------------------------------------------------------------------------------


def test_it_loads_nothing_and_runs_nothing(root):
    assert (
        not list(root.all("script"))
        + list(root.all("link"))
        + list(root.all("img"))
        + list(root.all("iframe"))
    )
    for node in root.all():
        for name, value in node.attributes.items():
            assert not name.startswith("on"), (node.name, name)
            assert name not in ("src", "srcset", "style", "action", "xlink:href"), (node.name, name)
            assert name != "href" or value.startswith("#")
    css = root.one("style").text
    assert not re.search(r"url\(|@import|@font-face", css)
    policy = root.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_it_can_be_read_without_seeing_it(root):
    """Every picture says what it shows and has a table; headings go down one at a time; links lead somewhere."""
    assert root.one("html").attributes["lang"] == "en"
    ids = [n.attributes["id"] for n in root.all() if "id" in n.attributes]
    assert len(ids) == len(set(ids))
    for link in root.all("a"):
        assert link.attributes["href"][1:] in ids
    for section in root.all("section"):
        assert section.attributes["aria-labelledby"] in ids
    for figure in root.all("figure"):
        assert figure.one("figcaption").text
        assert len(list(figure.one("table").all("tr"))) > 1
        for picture in figure.all("svg", role="img"):
            assert picture.attributes["aria-label"]
    for picture in root.all("svg"):
        assert picture.attributes.get("aria-label") or picture.attributes.get("aria-hidden") == "true"
    for table in root.all("table"):
        assert table.one("caption").text
        assert table.parent.attributes["role"] == "region"
        assert table.parent.attributes["tabindex"] == "0"
        columns = len(list(table.one("thead").all("th")))
        for row in table.one("tbody").all("tr"):
            cells = [c for c in row.children if isinstance(c, Node)]
            assert cells[0].attributes.get("scope") in ("row", "rowgroup")
            assert sum(int(c.attributes.get("colspan", 1)) for c in cells) == columns
    levels = [int(n.name[1]) for n in root.all() if re.fullmatch("h[1-6]", n.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_a_simulation_says_so_wherever_a_figure_is_shown(root):
    shown = [*root.all("figcaption"), *root.all("caption")]
    assert len(shown) > 12
    assert all("Simulation." in n.text for n in shown)
    for figure in root.all("figure"):
        for picture in figure.all("svg", role="img"):
            assert "(simulation)" in picture.text
    assert root.one("head").one("title").text.startswith("Simulation.")
    assert "simulat" not in re.sub(
        r"-m simulated", "", read(render(replace(GIVEN, simulated=False, model="m"))).text
    )


def test_the_pictures_come_in_two_widths_with_the_same_marks(root):
    for figure in root.all("figure"):
        by_width = {w: [] for w in ("wide", "narrow")}
        for picture in figure.all("svg", role="img"):
            for w in by_width.keys() & set(picture.classes):
                by_width[w].append([t.text for g in picture.all("g") for t in g.all("title")])
        assert by_width["wide"] == by_width["narrow"]


# -- the figures' numbers, worked out here once more, by hand ------------------------------------------------------


def by_arm(given=GIVEN):
    found = defaultdict(list)
    for o in given.outcomes:
        found[str(o.arm)].append(o)
    return found


def right(o):
    return o.correct is True


def per_item(outcomes, of):
    """Mean over items of the mean over attempts."""
    found = defaultdict(list)
    for o in outcomes:
        found[o.item].append(of(o))
    return mean(mean(v) for v in found.values())


def share(x):
    return f"{100 * x:.1f}"


def value(cell):
    """The number a cell begins with."""
    return cell.split("\u202f")[0].split(" ")[0]


def tokens(o):
    return o.usage.completion + o.usage.scorer


def shown(x):
    """As the report rounds it."""
    return f"{x:,.0f}" if x >= 100 or x == int(x) else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


@pytest.mark.parametrize(("label", "cost"), [("Figure 1", tokens), ("Figure 2", lambda o: o.seconds)])
def test_accuracy_against_cost(root, label, cost):
    wanted = by_arm()
    worth = {n: (per_item(os, cost), per_item(os, right)) for n, os in wanted.items()}
    plain = {n: w for n, w in worth.items() if "oracle" not in n}
    drawn = rows(root, label)
    assert {r[0] for r in drawn} == set(wanted)
    for name, spent, accuracy, front in drawn:
        assert spent == shown(worth[name][0])
        assert value(accuracy) == share(worth[name][1])
        low, high = map(float, re.search(r"\(([\d.]+) to ([\d.]+)\)", accuracy).groups())
        assert low < 100 * worth[name][1] < high
        beaten = any(
            c <= worth[name][0] and a >= worth[name][1] and (c, a) != worth[name] for c, a in plain.values()
        )
        assert (front == "on the front") == (not beaten and "oracle" not in name), name
        assert ("oracle" in front) == ("oracle" in name)


def test_the_marks_stand_where_the_numbers_say(root):
    """Figure 1, read back from its pixels: log x, linear y, and the interval's ends."""
    worth = {n: (per_item(os, tokens), per_item(os, right)) for n, os in by_arm().items()}
    picture = next(p for p in root.one(id="figure-1").all("svg", role="img") if "wide" in p.classes)
    spots = {}
    for g in picture.all("g"):
        said = g.one("title").text
        name = next(n for n in sorted(worth, key=len, reverse=True) if f" {n}: " in said)
        mark = next(p for p in g.all("path") if "mark" in p.classes).attributes["transform"]
        x, y = map(float, re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\)", mark).groups())
        bar = next(p for p in g.all("path") if "bar" in p.classes).attributes["d"]
        bottom, top = map(float, re.fullmatch(r"M[\d.]+ ([\d.]+)V([\d.]+)", bar).groups())
        low, high = map(float, re.search(r"\(([\d.]+) to ([\d.]+)\)", said).groups())
        spots[name] = (x, y, bottom, top, low / 100, high / 100)
    assert set(spots) == set(worth)
    a, b = min(spots, key=lambda n: spots[n][1]), max(spots, key=lambda n: spots[n][1])
    ay = spots[a][1]
    per_unit = (spots[b][1] - ay) / (worth[b][1] - worth[a][1])
    left, far = min(spots, key=lambda n: spots[n][0]), max(spots, key=lambda n: spots[n][0])
    per_log = (spots[far][0] - spots[left][0]) / math.log(worth[far][0] / worth[left][0])
    for name, (x, y, bottom, top, low, high) in spots.items():
        cost, accuracy = worth[name]
        assert y == pytest.approx(ay + per_unit * (accuracy - worth[a][1]), abs=0.11)
        assert x == pytest.approx(spots[left][0] + per_log * math.log(cost / worth[left][0]), abs=0.11)
        assert bottom == pytest.approx(ay + per_unit * (low - worth[a][1]), abs=0.5)
        assert top == pytest.approx(ay + per_unit * (high - worth[a][1]), abs=0.5)


@pytest.mark.parametrize(
    ("label", "group"),
    [
        ("Figure 3", lambda i: f"level {GIVEN.items[i].level:g}"),
        ("Figure 4", lambda i: GIVEN.items[i].family),
    ],
)
def test_accuracy_by_group(root, label, group):
    (table,) = [t for t in root.all("table") if t.one("caption").text.startswith(f"{label}. ")]
    heads = [re.sub(r" \(n = \d+\)", "", th.text) for th in table.one("thead").all("th")][1:]
    assert sorted(heads) == sorted({group(i) for i in GIVEN.items})
    if label == "Figure 3":
        assert heads == sorted(heads)  # from easy to hard
    for name, *cells in rows(root, label):
        for head, cell in zip(heads, cells, strict=True):
            wanted = per_item([o for o in by_arm()[name] if group(o.item) == head], right)
            assert value(cell) == share(wanted), (name, head)


def test_without_levels_problems_are_divided_by_the_pool_or_by_the_cheapest_arm():
    pooled = read(render(study(items=60, levels=False)))
    assert "pool's samples" in pooled.one(id="figure-3").one("figcaption").text
    given = study(items=60, levels=False, pool=0, seeds=4)
    text = read(render(given)).one(id="figure-3").one("figcaption").text
    assert "divided by the accuracy of direct @ 256" in text
    assert "divided by luck too" in text
    (head, *row), *_ = rows(read(render(given)), "Figure 3")
    shares = [float(value(cell)) for cell in row]
    assert head == "direct @ 256"
    assert shares == sorted(shares, reverse=True)


def test_depth_and_samples(root):
    for name, spent, depth, samples, accuracy in rows(root, "Figure 5"):
        outcomes = by_arm()[name]
        assert spent == shown(per_item(outcomes, tokens))
        assert depth == shown(per_item(outcomes, lambda o: o.depth))
        assert samples == shown(per_item(outcomes, lambda o: o.usage.completion / o.length))
        assert value(accuracy) == share(per_item(outcomes, right))


def test_equal_tokens_at_different_depths(root):
    """Four times a length in one chain, or in four."""
    spent = {n: per_item(os, tokens) for n, os in by_arm().items()}
    names = [r[0] for r in rows(root, "Table 1")]
    assert "self-consistency:n=4 @ 4k" in names
    assert "budget-forcing:waits=4 @ 4k" in names
    assert max(spent["self-consistency:n=4 @ 4k"], spent["budget-forcing:waits=4 @ 4k"]) < 1.1 * min(
        spent["self-consistency:n=4 @ 4k"], spent["budget-forcing:waits=4 @ 4k"]
    )


def test_votes_and_pass_at_k():
    """Against every subset and, for ties, every order of who came first."""
    given = study(items=25, pool=5)

    def vote(subset):
        counts = defaultdict(int)
        for key, _, _ in subset:
            counts[key] += 1
        most = max(counts.values())
        leaders = [k for k, c in counts.items() if c == most]
        return sum(k == "right" for k in leaders) / len(leaders)

    drawn = rows(read(render(given)), "Figure 6")
    assert [int(r[0]) for r in drawn] == [1, 2, 4, 5]
    for k, _, maj, best in drawn:
        votes, passes = [], []
        for samples in given.samples.values():
            subsets = list(combinations(samples, int(k)))
            votes.append(mean(map(vote, subsets)))
            passes.append(mean(any(ok for _, _, ok in s) for s in subsets))
        assert float(value(maj)) == pytest.approx(100 * mean(votes), abs=0.0501)
        assert float(value(best)) == pytest.approx(100 * mean(passes), abs=0.0501)


def test_lengths(root):
    found = [(t, ok) for s in GIVEN.samples.values() for _, t, ok in s]
    for name, n, middle, _, half, _ in rows(root, "Figure 7"):
        group = [t for t, ok in found if ok == (name == "right")]
        assert n == f"{len(group):,}"
        assert middle == shown(mean(group))
        assert half == shown(median(group))
    parts = rows(root, "Figure 8")
    assert sum(int(n.replace(",", "")) for _, n, _, _ in parts) == len(found)
    for ends, n, middle, accuracy in parts:
        low, high = (float(e.replace(",", "")) for e in ends.split(" to "))
        part = [(i, t, ok) for i, s in GIVEN.samples.items() for _, t, ok in s if low <= t <= high]
        assert int(n) == len(part)
        assert middle == shown(mean(t for _, t, _ in part))
        items = {i: mean(ok for j, _, ok in part if j == i) for i, _, _ in part}
        assert value(accuracy) == share(mean(items.values()))


def test_switches_and_loops():
    rng = random.Random(3)
    outcomes = [
        replace(o, switches=None if o.error else rng.choice((0, 0, 1, 3, 40)), looped=rng.random() < 0.05)
        for o in GIVEN.outcomes
    ]
    drawn = read(render(replace(GIVEN, outcomes=outcomes)))
    cells = rows(drawn, "Figure 9")
    for arm, name, n, middle, half, _, most, looped in cells:
        found = [
            o
            for o in outcomes
            if f"{o.arm}" in arm and o.switches is not None and o.correct is (name == "right")
        ]
        assert (n, middle, half) == (
            f"{len(found):,}",
            shown(mean(o.switches for o in found)),
            shown(median(o.switches for o in found)),
        )
        assert (most, looped) == (f"{max(o.switches for o in found)}", f"{sum(o.looped for o in found)}")
    assert len(cells) == 2 * sum(not arm.oracle for arm in {o.arm for o in outcomes})
    assert "Figure 9 is left out" in render(GIVEN)


def test_the_cost_table(root):
    drawn = {r[0]: r[1:] for r in rows(root, "Table 3")}
    assert set(drawn) == set(by_arm())
    for name, cells in drawn.items():
        outcomes = by_arm()[name]
        whole = [o for o in outcomes if not o.error]
        wanted = [
            f"{len({o.item for o in outcomes}):,}",
            f"{len(outcomes):,}",
            f"{sum(bool(o.error) for o in outcomes):,}",
            share(per_item(outcomes, right)),
            share(per_item(whole, right)),
            *(
                shown(per_item(outcomes, of))
                for of in (
                    lambda o: o.usage.prompt,
                    lambda o: o.usage.cached,
                    lambda o: o.usage.completion,
                    lambda o: o.usage.scorer,
                    lambda o: o.usage.calls,
                )
            ),
            f"{sum(o.failed for o in outcomes):,}",
            shown(per_item(outcomes, lambda o: o.seconds)),
        ]
        assert [value(c) for c in cells] == wanted
    assert "pass-at-k:k=16 @ 16k (oracle)" in list(drawn)[-1]
    (table,) = [t for t in root.all("table") if t.one("caption").text.startswith("Table 3. ")]
    assert f"{GIVEN.generated:,} were really generated" in table.one("caption").text
    assert (
        f"charged {sum(o.usage.completion for o in GIVEN.outcomes):,} completion" in table.one("caption").text
    )
    assert "Oracles." in table.one("th", class_="set").text


def holm(ps):
    ranked = sorted(ps.items(), key=lambda pair: pair[1])
    return {
        name: min(1.0, max((len(ps) - j) * q for j, (_, q) in enumerate(ranked[: i + 1])))
        for i, (name, _) in enumerate(ranked)
    }


def test_comparisons_are_paired_exact_and_corrected():
    """With one seed: McNemar by counting, and Holm over the pairs of both tables together."""
    given = study(items=80, seeds=1, chance=3)
    arm = {n: {o.item: right(o) for o in os} for n, os in by_arm(given).items() if "oracle" not in n}
    spent = {n: per_item(os, tokens) for n, os in by_arm(given).items()}
    page = read(render(given))
    gains = [(r[0], "direct @ 256", r[1:]) for r in rows(page, "Table 4")]
    equals = [(r[0], r[1], r[2:]) for r in rows(page, "Table 5")]
    assert {name for name, _, _ in gains} == set(arm) - {"direct @ 256"}
    assert {name for name, _, _ in equals} == {n for n in arm if "self-consistency" not in n}
    ps = {}
    for name, other, _ in gains + equals:
        wins = sum(arm[name][i] and not arm[other][i] for i in arm[name])
        losses = sum(arm[other][i] and not arm[name][i] for i in arm[name])
        n, few = wins + losses, min(wins, losses)
        ps[name, other] = min(1.0, 2 * sum(math.comb(n, i) for i in range(few + 1)) / 2**n)
    corrected = holm(ps)
    for name, other, (ratio, difference, wins, losses, p, fixed, verdict) in gains + equals:
        gap = per_item(by_arm(given)[name], right) - per_item(by_arm(given)[other], right)
        assert float(value(difference).replace("−", "-")) == pytest.approx(100 * gap, abs=0.0501)
        assert int(wins) - int(losses) == round(80 * gap)
        for cell, wanted in ((p, ps[name, other]), (fixed, corrected[name, other])):
            assert wanted < 0.0001 if cell == "< 0.0001" else float(cell) == pytest.approx(wanted, abs=0.0051)
        assert verdict == (
            "not told apart" if corrected[name, other] >= 0.05 else "better" if gap > 0 else "worse"
        )
        alike = max(spent[name], spent[other]) <= 1.1 * min(spent[name], spent[other])
        assert ratio.startswith("≠") != alike
        if (name, other) in {(n, o) for n, o, _ in equals}:
            votes = [n for n in arm if "self-consistency" in n]
            assert other == min(votes, key=lambda v: abs(math.log(spent[v] / spent[name])))


def test_s1_s_figures_of_a_method(root):
    runs = [n for n in by_arm() if "self-consistency" in n]
    points = [(per_item(by_arm()[n], tokens), per_item(by_arm()[n], right)) for n in runs]
    slopes = [100_000 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2)]
    limits = {n: 1000 * int(n.split(" @ ")[1].rstrip("k")) for n in runs}
    kept = mean(o.usage.completion <= limits[n] for n in runs for o in by_arm()[n])
    (row,) = [r for r in rows(root, "Table 2") if r[0] == "self-consistency"]
    assert row[1] == "4"
    assert value(row[2]) == share(kept)
    assert float(value(row[3]).replace("−", "-")) == pytest.approx(mean(slopes), abs=0.0501)
    assert value(row[4]) == share(max(a for _, a in points))


# -- the headline -------------------------------------------------------------------------------------------------


def two_arms(before, after, items=200, ratio=4):
    """Two arms, right on the first so many items."""
    cheap, dear = Arm("direct", "1k"), Arm("self-consistency:n=4", "4k")
    made = {f"p{i:03d}": Item(Problem.of(f"Question {i}", id=f"p{i:03d}"), "1") for i in range(items)}
    outcomes = [
        Outcome(arm, item, 0, "1", i < n, Usage(completion=100 * times), seconds=1.0, depth=100, length=100.0)
        for arm, n, times in ((cheap, before, 1), (dear, after, ratio))
        for i, item in enumerate(made)
    ]
    return bare(items=made, outcomes=outcomes, seeds=[0])


def test_a_gain_is_stated_with_its_price_and_its_interval():
    root = read(render(two_arms(60, 120)))
    assert root.one("h1").text == "4 times the tokens bought 30.0 points of accuracy"
    text = root.one("header").text
    assert "is right on 30.0\u202f% (24.1 to 36.7) of the problems, for 100 tokens a problem" in text
    assert "spends 4× as many, 400" in text
    assert "a difference of +30.0 points (+" in text
    assert "p < 0.0001" in text


def test_what_chance_explains_is_no_gain():
    root = read(render(two_arms(60, 63)))
    assert root.one("h1").text == "More tokens bought nothing that 200 problems can show"


def test_a_loss_is_no_gain():
    root = read(render(two_arms(120, 60)))
    assert root.one("h1").text == "More tokens bought nothing that 200 problems can show"
    assert "No arm is more accurate than the cheapest" in root.one("header").text
    assert "−30.0 points" in root.one("header").text


def test_what_did_not_help_is_named(root):
    text = root.one("header").text
    assert "What did not help, as far as this study can tell" in text
    assert "picked as the best of 11 arms after the fact" in text
    for family in ("arithmetic", "algebra", "planning"):
        assert family in text  # never averaged over families without showing them


def test_errors_are_counted_both_ways_and_told(root):
    broke = sum(bool(o.error) for o in GIVEN.outcomes)
    assert broke > 5
    assert f"{broke} attempts of {len(GIVEN.outcomes):,}" in root.one("header").text
    assert f"{broke} attempts that broke with an error" in root.one(id="provenance").text


def test_an_oracle_is_never_the_best(root):
    assert "pass-at-k" not in root.one("header").text
    assert "pass-at-k" not in " ".join(
        str(r) for t in ("Table 1", "Table 2", "Table 4", "Table 5") for r in rows(root, t)
    )
    marks = [p for p in root.one(id="figure-1").all("path") if "oracle" in p.classes]
    assert marks


# -- the rest -----------------------------------------------------------------------------------------------------


def test_the_worst_and_the_best_problems_with_answers_and_traces(root):
    section = root.one(id="problems")
    heads = [n.text for n in section.all("h3")]
    assert heads == ["Worst", "Where compute helped most", "Where compute hurt most", "Best"]
    problems = list(section.all("details", class_="problem"))
    assert len(problems) >= 10
    plain = [os for n, os in by_arm().items() if "oracle" not in n]
    shares = {i: mean(mean(right(o) for o in os if o.item == i) for os in plain) for i in GIVEN.items}
    first = next(problems[0].all("summary"))
    assert first.text.startswith(share(min(shares.values())))
    for problem in problems:
        assert any("Right: " in p.text for p in problem.all("p"))
        assert problem.one("ul").text
        assert TREE in [t.text for t in problem.all("pre", class_="trace said")]


def test_it_can_be_measured_again(root):
    text = root.one(id="provenance").text
    assert "ponder eval sums -m simulated -s 'self-consistency:n=4 x'" in text
    assert "2026-11-24 03:12 UTC" in text
    assert "python 3.11.2" in text
    assert "0 and 1" in text


def test_what_was_dropped_is_told():
    given = study(items=10, seeds=2)
    items = {
        **given.items,
        "p0003": replace(given.items["p0003"], gold=None),
        "new": replace(given.items["p0001"]),
    }
    outcomes = [
        replace(o, correct=None) if o.item == "p0003" else o
        for o in given.outcomes
        if (o.item, o.seed) != ("p0005", 1)
    ]
    text = read(render(replace(given, items=items, outcomes=outcomes))).one(id="provenance").text
    assert "1 problem without a right answer: run, charged, and not graded." in text
    assert "1 problem that no arm has tried." in text
    assert f"{2 * len(arms())} attempts that nobody could grade" in text
    assert f"{3 * len(arms())} attempts that the plan has and the study has not" in text


def test_nothing_is_dropped_from_a_whole_run():
    given = two_arms(10, 20)
    assert (
        "Nothing: every planned attempt was made and graded." in read(render(given)).one(id="provenance").text
    )


HOSTILE = [
    "</pre></details><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=alert(1) x='",
    "<!-- ",
    "]]>",
    "</style><style>*{display:none}",
    "&lt;script&gt;",
    "&#x202e;",
    "\u202eevil\u202c \u2066iso\u2069 \u200f \u061c",
    "nul\x00 bell\x07 esc\x1b[31m del\x7f c1\x9b \r\n tab\t",
    "lone \ud800 surrogate",
    "\ufffe\uffff",
    "Z" + "\u0301" * 500,
    "x" * 100_000,
    "\U000e0041\U000e0042 tags",
    "\u2028\u2029",
]


def hostile():
    """Every text that a study can hold, hostile."""
    rng = random.Random(5)
    pick = lambda: rng.choice(HOSTILE)  # noqa: E731
    given = study(items=30, seeds=1)
    items = {
        n: replace(item, problem=Problem.of(pick() + "?", id=n), gold=pick(), task=pick(), family=pick())
        for n, item in given.items.items()
    }
    names = {
        str(arm): Arm(arm.strategy + pick()[:300], arm.budget + pick()[:50], arm.oracle) for arm, *_ in arms()
    }
    outcomes = [
        replace(o, arm=names[str(o.arm)], answer=pick(), error=pick() if o.error else "")
        for o in given.outcomes
    ]
    outcomes += [replace(outcomes[0], item=text) for text in HOSTILE[:4]]
    made = replace(
        given,
        name=pick(),
        command=["ponder", *HOSTILE],
        model=pick(),
        versions={"date": pick(), pick(): pick()},
        items=items,
        outcomes=outcomes,
        samples={n: tuple((pick(), t, ok) for _, t, ok in s) for n, s in given.samples.items()},
    )
    return made, {o.attempt: pick() for o in outcomes}


def test_hostile_text_stays_text():
    page = render(*hostile())
    page.encode("utf-8")  # no lone surrogates
    root = read(page)
    known = {n.name for n in read(render(GIVEN, {o.attempt: TREE for o in GIVEN.outcomes})).all()}
    assert {n.name for n in root.all()} <= known
    for node in root.all():
        assert not any(name.startswith("on") or name in ("src", "style") for name in node.attributes)
        assert node.name != "style" or "display:none}</" not in node.text
    assert len(list(root.all("style"))) == 1
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", page
    )
    assert "\u0301" * 5 not in page
    assert "⟨U+202E⟩" in page
    assert "␛[31m" in page
    assert "&lt;script&gt;alert(1)" in page
    assert len(page.encode()) <= LARGEST


def test_a_large_study_with_hostile_traces_fits():
    """20 arms, 500 items, 4 seeds, and traces that swell when they are escaped."""
    given = study(items=500, seeds=4, pool=16)
    rng = random.Random(9)
    more = [(Arm(f"weighted-vote:n={n},answer={'w' * 40}", f"{n}k"), n, 0.01, 150) for n in range(2, 9)]
    extra = [
        outcome(rng, item, seed, 0.5, *spec)
        for item in given.items.values()
        for seed in range(4)
        for spec in more
    ]
    given = replace(given, outcomes=[*given.outcomes, *extra])
    assert len({o.arm for o in given.outcomes}) == 20
    trace = "\U0001f600&<\u202e" * 5000
    page = render(given, dict.fromkeys((o.attempt for o in given.outcomes), trace))
    assert len(page.encode()) <= 1_500_000
    root = read(page)
    assert "traces left out to keep this file small" in root.text or "trace left out" in root.text
    assert list(root.all("pre", class_="trace said"))
    assert len(rows(root, "Table 3")) == 20


def test_a_budget_that_all_arms_have_is_said_once():
    chosen = [(Arm("direct", "4k"), 1, 0.0, 9), (Arm("self-consistency:n=4", "4k"), 4, 0.3, 90)]
    page = render(study(items=30, chosen=chosen))
    assert "2 arms of 4k" in page
    assert "@ 4k" not in page
    page = render(study(items=30, chosen=[chosen[0], (Arm("self-consistency:n=4", "8k"), 4, 0.3, 90)]))
    assert "direct @ 4k" in page
    assert "self-consistency:n=4 @ 8k" in page
