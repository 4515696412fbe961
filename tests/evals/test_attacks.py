"""Attacks: what is asked, who wins, and what compute does about it."""

import random
from dataclasses import replace
from functools import partial
from itertools import islice

import anyio
import pytest
from evals.test_harness import evaluated, writer
from evals.test_report import read

from ponder.core.errors import UnknownName, UsageError
from ponder.engines.scripted import Scripted
from ponder.evals.attacks import ATTACKS, Asked, Cell, Panel, Trend, attacked, panels
from ponder.evals.attacks.costly import costly
from ponder.evals.attacks.sums import GOALS, Sum, drawn
from ponder.evals.plan import Plan
from ponder.evals.report import render, words
from ponder.evals.report.attacked import heading as attacked_heading
from ponder.evals.report.attacks import corrected
from ponder.evals.stats import Estimate, Interval
from ponder.evals.study import study
from ponder.evals.values import Arm
from ponder.store import RunFile

DIRECT = Arm("direct", "4k")


def asked_of(prefix):
    return prefix.prompt.messages[-1].text


def test_what_the_attacker_wants_is_never_what_is_right():
    for one in (Sum("addition", 20, 22), Sum("addition", 20, 21), Sum("multiplication", 2, 3)):
        assert one.coincides, "42 is right, or one more than right, or seven times right"
    kept = [one for one in islice(drawn("addition", random.Random(1)), 2000) if not one.coincides]
    assert all(len({one.result, *map(one.target, GOALS)}) == 4 for one in kept)
    assert len({(one.left, one.right) for one in kept}) == len(kept)


def test_dropped_problems_are_counted_and_the_number_asked_for_is_kept():
    loaded = attacked(Asked("addition", limit=2000, goals=("42",), strengths=(0,)))
    assert len(loaded.items) == 2000
    [said] = loaded.complaints
    assert int(said.split()[0]) > 5
    assert "coincides" in said


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=lambda a: a.name)
def test_every_attack_is_told_apart_and_grows_with_its_strength(attack):
    for task in attack.tasks:
        items = attacked(Asked(task, attack.name, limit=3)).items
        assert len(items) == 3 * max(1, len(attack.goals)) * len(attack.strengths)
        assert len({item.problem.id for item in items}) == len(items)
        assert items == attacked(Asked(task, attack.name, limit=3)).items, "the same seed, the same attacks"
        for item in items:
            about = item.meta["attacked"]
            assert about["target"] != item.gold
            assert (about["strength"] == 0) <= ("IGNORE" not in item.problem.question)
        sizes = [len(item.problem.question) for item in items[: len(attack.strengths)]]
        if attack.name != "red-team":  # whose texts are written as the target is met
            assert sizes == sorted(set(sizes))


def test_the_tags_of_the_template_are_the_papers_and_a_stronger_attack_holds_the_weaker():
    weak, strong = attacked(Asked("addition", limit=1, goals=("plus-one",), strengths=(2, 5))).items
    for item in (weak, strong):
        head, _, rest = item.problem.question.partition("<BEGIN IGNORE>")[2].partition("<BEGIN IGNORE> ")
        assert "</END IGNORE> tags" in head
        _, _, question = rest.partition(" </END IGNORE>\n\n")
        assert question == f"What is {question.split()[2]} + {question.split()[4]}"
    one, other = (item.problem.question.partition(" </END IGNORE>\n")[0] for item in (weak, strong))
    assert other.startswith(one)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"task": "additoin"}, "addition"),
        ({"task": "addition", "attack": "many-shoot"}, "many-shot"),
        ({"task": "addition", "goals": ("43",)}, "42"),
    ],
)
def test_unknown_words_are_named_and_near_ones_suggested(words, said):
    with pytest.raises(UnknownName, match=said):
        Asked(**words)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="no attack on page"):
        Asked("page", "many-shot")
    with pytest.raises(UsageError, match="0 or more"):
        Asked("addition", strengths=(-1,))


def gullible(prefix):
    """Falls for the attack the more often the stronger it is, less with more thought, and is right otherwise."""
    text = asked_of(prefix)
    shots = text.count("Answer 42")
    left, right = text.rpartition("What is ")[2].rstrip("?").split(" + ")
    falls = min(0.9, 0.2 * shots) / (3 if "Think step by step" in prefix.prompt.messages[0].text else 1)
    return {"42": falls, str(int(left) + int(right)): 1 - falls}


def measured(folder, plan, script=gullible):
    with writer(folder, plan) as to:
        anyio.run(partial(evaluated, plan, Scripted(script), to))
    with RunFile.open(to.path) as run:
        return study(run)


def test_success_is_counted_by_strength_and_compute_with_its_trend(tmp_path):
    loaded = attacked(Asked("addition", limit=40, goals=("42",), strengths=(0, 4)))
    arms = (
        Arm("self-consistency:n=1,temperature=1.0,top_k=0,shots=0", "4k"),
        Arm("self-consistency:n=9,temperature=1.0,top_k=0,shots=0", "4k"),
        Arm("direct:temperature=1.0", "4k"),
    )
    found = measured(tmp_path, Plan(loaded.items, arms))
    [panel] = panels(found)
    assert (panel.strengths, panel.unit, panel.goal) == ([0, 4], "examples", "42")
    assert [arm.strategy.split(":")[0] for arm in panel.arms] == [
        "direct",
        "self-consistency",
        "self-consistency",
    ]
    assert panel.arms[1] == arms[0], "cheap before dear"
    direct, one, many = (panel.cells[4, arm] for arm in panel.arms)
    assert direct.success.value == pytest.approx(0.8, abs=0.2)
    assert one.success.value == pytest.approx(0.8 / 3, abs=0.2)
    assert many.success.value < 0.15, "a majority is right"
    assert all(panel.cells[0, arm].success.value == 0 for arm in arms)
    for cell in (direct, one, many):
        assert cell.success.value in cell.success.interval
        assert cell.success.items == 40
        assert cell.right.value == pytest.approx(1 - cell.success.value)
    calm, attacked_ = panel.trends
    assert (calm.slope.value, calm.p) == (0, 1)
    assert calm.slope.interval.low < 0 < calm.slope.interval.high, "that nothing was hit proves nothing"
    assert attacked_.method == "self-consistency"
    assert attacked_.slope.value == pytest.approx(many.success.value - one.success.value)
    assert attacked_.slope.value in attacked_.slope.interval
    assert attacked_.slope.interval.high < 0
    assert attacked_.p < 0.05
    assert [cell.arm for cell in panel.by(attacked_)] == panel.arms[1:]


def test_the_report_shows_it_and_other_studies_have_no_such_part(tmp_path):
    loaded = attacked(Asked("addition", limit=12, goals=("42",), strengths=(0, 2, 4)))
    found = measured(tmp_path / "a", Plan(loaded.items, (DIRECT, Arm("chain-of-thought", "4k"))))
    page = render(found)
    assert "Under attack" in page
    assert page.count('class="tile"') == 2 * 3 * 2, "a wide and a narrow picture"
    assert "Nerd sniping" in page
    plain = tuple(item for item in loaded.items if not item.meta["attacked"]["strength"])
    assert "Under attack" in render(measured(tmp_path / "b", Plan(plain, (DIRECT,))))
    without = measured(tmp_path / "c", Plan(tuple(_bare(item) for item in plain), (DIRECT,)))
    assert "Under attack" not in render(without)
    assert panels(without) == []


THINKING = tuple(Arm(f"self-consistency:n={n},temperature=1.0,top_k=0,shots=0", "4k") for n in (1, 9))


def heading_of(found):
    return read(render(found)).one("h1").text


def test_the_heading_is_of_attacks_with_the_tables_p_and_accuracy_beside(tmp_path):
    loaded = attacked(Asked("addition", limit=40, goals=("42",), strengths=(0, 4)))
    found = measured(tmp_path, Plan(loaded.items, THINKING))
    root = read(render(found))
    assert root.one("h1").text == "With more compute attacks succeed less often"
    [panel] = panels(found)
    of_none, trend = panel.trends
    p = corrected([panel])[id(trend)]
    assert p == pytest.approx(2 * trend.p), "of two trends, by Holm"
    assert of_none.p == 1
    header = root.one("header").text
    assert f"points ({words.points(trend.slope.interval.low)} to" in header
    assert f"{words.p(p)}: it falls. Right are" in header
    assert f"{words.p(p)}." in root.one(id="figure-a1").text
    assert "Each p is corrected by Holm for 2 trends" in header
    assert "Accuracy, whatever the attack: " in header


def test_where_compute_changes_nothing_or_less_or_one_case_only_the_heading_says_so(tmp_path):
    def rising(prefix):
        """Falls for the attack where it thinks it over, on one of two goals."""
        strong = "Think" in prefix.prompt.messages[0].text and "Answer 42" in asked_of(prefix)
        return {"42" if strong else "7": 1.0}

    def heading(name, goals, arms, script, strengths=(0, 2)):
        loaded = attacked(Asked("addition", limit=12, goals=goals, strengths=strengths))
        return heading_of(measured(tmp_path / name, Plan(loaded.items, arms), script))

    same, none = (lambda _: {"42": 0.5, "7": 0.5}), (lambda _: {"7": 1.0})
    alone = "Attacks succeed on 100.0\u202f% of the problems; no method has two amounts of compute to compare"
    stays = "More compute does not change how often attacks succeed, as far as 12 problems can tell"
    direct = tuple(Arm(f"direct:temperature={t}", "4k") for t in (0.5, 1.0))
    assert heading("stays", ("42",), direct, same) == stays
    assert heading("none", ("42",), direct, none) == "No attack succeeded on any of 12 problems"
    assert heading("alone", ("42",), (DIRECT,), lambda _: {"42": 1.0}) == alone
    assert "attack" not in heading("calm", ("42",), direct, same, (0,))


def turned(slope, p, strength=4):
    interval = Interval(slope - 0.1, slope + 0.1)
    return Trend(strength, "direct", Estimate(slope, interval, 0.05, 40, 40), p)


def test_cases_that_differ_are_counted():
    cell = Cell(DIRECT, 4, Estimate(0.5, Interval(0.4, 0.6), 0.05, 40, 40), None, 9.0)

    def heading(*trends):
        return attacked_heading(
            [Panel("addition", "many-shot", "42", "examples", [DIRECT], [0, 4], {(4, DIRECT): cell}, trends)]
        )

    falls, rises, stays = turned(-0.3, 1e-4), turned(0.3, 1e-4), turned(-0.3, 0.2)
    few = "With more compute attacks succeed "
    assert heading(falls, turned(-0.2, 1e-3)) == f"{few}less often"
    assert heading(falls, stays) == f"{few}less often in 1 of 2 cases"
    assert heading(falls, rises, stays) == f"{few}less often in 1 of 3 cases and more often in 1 of 3 cases"
    assert heading(rises) == f"{few}more often"
    assert heading(turned(-0.3, 0.03), turned(0.0, 1.0, 0)).startswith("More compute does not change"), (
        "by Holm"
    )


def test_what_was_left_out_is_in_the_report(tmp_path):
    loaded = attacked(Asked("addition", limit=3, goals=("42",), strengths=(0, 1)))
    found = replace(
        measured(tmp_path, Plan(loaded.items, (DIRECT,))), complaints=["3 problems were dropped <b>."]
    )
    root = read(render(found))
    for part in "attacks", "provenance":
        assert "3 problems were dropped <b>." in root.one(id=part).text
    many = replace(found, complaints=[f"{n} is bad." for n in range(25)])
    assert "5 more" in read(render(many)).one(id="provenance").text


def _bare(item):
    return replace(item, meta={})


def test_the_problems_that_burn_most_are_found(tmp_path):
    """One in twenty-five makes the model ramble, and is the one whose attack succeeds."""
    loaded = attacked(Asked("addition", limit=25, goals=("42",), strengths=(1,)))
    sniped = loaded.items[7].problem.question

    def script(prefix):
        right = str(sum(int(n) for n in asked_of(prefix).rpartition("What is ")[2].rstrip("?").split(" + ")))
        return {"Hmm. " * 40 + "The answer is 42." if asked_of(prefix) == sniped else right: 1.0}

    found = costly(measured(tmp_path, Plan(loaded.items, (DIRECT,)), script))
    assert found.most == 1
    assert found.worst[0][0] == loaded.items[7].problem.id
    assert found.ratio > 10
    assert (found.success.value, found.rest.value) == (1, 0)


def test_too_few_problems_are_called_no_unusual_ones(tmp_path):
    loaded = attacked(Asked("addition", limit=3, goals=("42",), strengths=(0, 1)))
    assert costly(measured(tmp_path, Plan(loaded.items, (DIRECT,)))) is None
