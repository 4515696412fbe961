"""Made-up studies, all of them marked as simulated, and a page read back; that every kind of study gives a report."""

import random
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ponder.core.calls import Usage
from ponder.core.problem import Problem
from ponder.evals.report import render
from ponder.evals.values import Arm, Item, Outcome, Study

FAMILIES = ("arithmetic", "algebra", "planning")
VOID = {"meta", "br", "hr", "col"}


def arms():
    """(arm, samples, gain of each sample, length): some help, one hurts, one is an oracle."""
    plain = [
        (Arm("direct", "256"), 1, -0.25, 12),
        (Arm("chain-of-thought", "1k"), 1, 0.0, 160),
        (Arm("zero-shot-cot", "1k"), 1, -0.05, 190),
        (Arm("chain-of-draft", "1k"), 1, -0.08, 60),
    ]
    votes = [(Arm(f"self-consistency:n={n}", f"{n}k"), n, 0.0, 160) for n in (2, 4, 8, 16)]
    best = [(Arm(f"best-of-n:n={n}", f"{n}k"), n, 0.02, 160) for n in (4, 16)]
    forced = [(Arm(f"budget-forcing:waits={w}", f"{w}k"), 1, 0.02 * w, 160 * w) for w in (2, 4)]
    return [*plain, *votes, *best, *forced, (Arm("pass-at-k:k=16", "16k", oracle=True), 16, 0.0, 160)]


def study(
    items=60,
    seeds=2,
    chosen=None,
    *,
    errors=0.01,
    levels=True,
    pool=8,
    families=FAMILIES,
    chance=0,
    gold=True,
):
    """A study with votes that help on easy problems, as votes do."""
    rng = random.Random(chance)
    chosen = arms() if chosen is None else chosen
    made, outcomes, samples = {}, [], {}
    for i in range(items):
        level = i % 5 + 1
        name = f"p{i:04d}"
        problem = Problem.of(f"Problem {i}: what is {i} + {level * 17} - {i % 7}?", "math", id=name)
        made[name] = Item(
            problem,
            str(i + level * 17 - i % 7) if gold else None,
            "sums",
            families[i % len(families)] if families else "",
            float(level) if levels else None,
        )
        skill = min(0.97, max(0.02, 1.05 - 0.19 * level + rng.gauss(0, 0.12)))
        samples[name] = tuple(
            (
                ("right" if ok else f"wrong {rng.randrange(3)}"),
                max(8, round(rng.gauss(150 if ok else 210, 45))),
                ok,
            )
            for ok in (rng.random() < skill for _ in range(pool))
        )
        for seed in range(seeds):
            outcomes += [outcome(rng, made[name], seed, skill, *spec) for spec in chosen]
    return Study(
        name="20261124-0312-k3f9",
        command=["ponder", "eval", "sums", "-m", "simulated", "-s", "self-consistency:n=4 x"],
        model="simulated-skill",
        simulated=True,
        versions={"ponder": "0.1.0", "python": "3.11.2"},
        seeds=list(range(seeds)),
        items=made,
        outcomes=outcomes,
        generated=sum(o.usage.completion for o in outcomes) // 3,
        samples=samples if pool and gold else {},
    )


def outcome(rng, item, seed, skill, arm, n, gain, length, errors=0.01):
    """One attempt: a vote of n samples, or any of them for an oracle."""
    p = min(0.99, max(0.01, skill + gain))
    lengths = [max(3, round(rng.gauss(length, length / 4))) for _ in range(n)]
    hits = sum(rng.random() < p for _ in range(n))
    right = hits > 0 if arm.oracle else hits > n / 2 or (hits == n / 2 and rng.random() < 0.5)
    usage = Usage(
        prompt=90 * n,
        cached=90 * (n - 1),
        completion=sum(lengths),
        scorer=40 * n if "best" in arm.strategy else 0,
        calls=n,
    )
    broke = rng.random() < errors
    gold = item.gold
    return Outcome(
        arm=arm,
        item=item.problem.id,
        seed=seed,
        answer=None if broke else gold if right else str(rng.randrange(100)),
        correct=None if broke or gold is None else right,
        usage=usage,
        seconds=0.02 * max(lengths) + 0.004 * sum(lengths),
        stop="failed" if broke else "finished",
        error="The server hung up." if broke else "",
        failed=int(broke),
        depth=max(lengths),
        length=sum(lengths) / n,
        attempt=f"{arm}|{item.problem.id}|{seed}",
    )


class Node:
    """An element of a page, with what is in it."""

    def __init__(self, name, attributes=(), parent=None):
        self.name, self.attributes, self.parent, self.children = name, dict(attributes), parent, []

    @property
    def text(self):
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    @property
    def classes(self):
        return (self.attributes.get("class") or "").split()

    def all(self, name=None, /, **attributes):
        """Every element below, in order, of this name and with these attributes."""
        for child in self.children:
            if isinstance(child, Node):
                wanted = {k.rstrip("_"): v for k, v in attributes.items()}
                if name in (None, child.name) and all(
                    child.attributes.get(k) == v for k, v in wanted.items()
                ):
                    yield child
                yield from child.all(name, **attributes)

    def one(self, name=None, /, **attributes):
        (found,) = self.all(name, **attributes)
        return found


class Reader(HTMLParser):
    """Builds the tree, and is not as lenient as a browser: what is opened must be closed, in order."""

    def __init__(self):
        super().__init__()
        self.root = self.at = Node("")

    def handle_starttag(self, tag, attrs):
        node = Node(tag, attrs, self.at)
        assert len(node.attributes) == len(attrs), f"an attribute of {tag} is given twice"
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_endtag(self, tag):
        assert self.at.name == tag, f"</{tag}> closes <{self.at.name}>"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)


def read(page):
    """The page as a tree."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.name}> is never closed"
    return reader.root


def rows(root, label):
    """A table's rows by its label, as lists of texts; the row headings lose their numbers."""
    (table,) = [t for t in root.all("table") if t.one("caption").text.startswith(f"{label}. ")]
    found = []
    for row in table.one("tbody").all("tr"):
        cells = [c for c in row.children if isinstance(c, Node)]
        if len(cells) > 1:
            numbered = list(cells[0].all(class_="num"))
            head = re.sub(r"^\d+", "", cells[0].text) if numbered else cells[0].text
            found.append([head.strip(), *(c.text for c in cells[1:])])
    return found


SECTIONS = ["compute", "difficulty", "depth", "lengths", "thoughts", "costs", "problems", "provenance"]


def broken(o):
    return Outcome(o.arm, o.item, o.seed, None, None, Usage(), stop="failed", error="It broke.")


def bare(**changes):
    base = {
        "name": "r",
        "command": [],
        "model": "",
        "simulated": True,
        "versions": {},
        "seeds": [],
        "items": {},
        "outcomes": [],
    }
    return Study(**{**base, **changes})


one = study(items=1, seeds=1)
KINDS = {
    "nothing": bare(),
    "items without outcomes": bare(items=one.items, seeds=[0]),
    "one item": one,
    "one item, one arm": bare(items=one.items, outcomes=one.outcomes[:1], seeds=[0]),
    "two items": study(items=2, seeds=1),
    "outcomes without items": bare(outcomes=one.outcomes),
    "no gold": study(items=5, gold=False),
    "all broke": bare(items=one.items, outcomes=[broken(o) for o in one.outcomes], seeds=[0]),
    "one arm broke": bare(items=one.items, outcomes=[broken(one.outcomes[0]), *one.outcomes[1:]], seeds=[0]),
    "oracles only": study(items=6, chosen=[arms()[-1]]),
    "one arm": study(items=30, chosen=[arms()[1]]),
    "no pool, no levels": study(items=40, levels=False, pool=0, families=()),
    "four seeds": study(items=30, seeds=4),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_study_gives_a_whole_report(name):
    """Also with traces, and with every figure either drawn or left out in a sentence."""
    given = KINDS[name]
    root = read(render(given, {o.attempt: "└─ 0  = 1" for o in given.outcomes}))
    assert [s.attributes["id"] for s in root.all("section")] == SECTIONS
    assert root.one("h1").text
    drawn = [f.attributes["id"] for f in root.all("figure")]
    said = " ".join(p.text for p in root.all("p", class_="none"))
    for n in range(1, 9):
        assert f"figure-{n}" in drawn or re.search(rf"Figures? (\d and )?{n}|Left out", said), n
    assert "nan" not in root.text.lower().replace("domina", "")
    assert "inf" not in re.findall(r"[a-z]+", root.text.lower())
    assert "None" not in root.text.replace("None that", "")


def test_the_same_study_gives_the_same_report():
    assert render(study(items=12)) == render(study(items=12))


def test_outcomes_may_come_in_any_order():
    given = study(items=12)
    turned = replace(given, outcomes=given.outcomes[::-1])
    tables = [f"Figure {n}" for n in (1, 2, 3, 4, 5)] + ["Table 2", "Table 3"]
    one, other = read(render(given)), read(render(turned))
    assert [rows(one, t) for t in tables] == [rows(other, t) for t in tables]


def test_control_counts_thinking_where_a_method_asks_for_it():
    from ponder.evals.report.depth import _limit
    from ponder.evals.values import Arm

    assert _limit(Arm("budget-forcing:max_thinking=100", "4k")) == (True, 100)
    assert _limit(Arm("rejection-sampling:limit=64", "4k")) == (True, 64)
    assert _limit(Arm("conditional-control:condition=steps,n=300", "4k")) == (True, 300)
    assert _limit(Arm("conditional-control:condition=short", "4k")) == (False, 4000)
    assert _limit(Arm("chain-of-thought", "calls=3")) == (False, None)
    assert _limit(Arm("no-such-thing", "4k")) == (False, None)
