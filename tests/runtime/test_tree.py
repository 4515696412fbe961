"""The tree is a function of the events, whatever their order, and can always be drawn."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.runtime.draw import _cells, lines
from ponder.runtime.tree import Tree, grow, identity, order, spent_below


def extending(place, parent="", written="", role="solver"):
    return e.Extending(place, parent, written, role, {"max_tokens": 9})


def extended(place, parent="", text="a b", written="", role="solver", tokens=2, logprob=-1.0):
    usage = Usage(completion=tokens, calls=1)
    return e.Extended(place, parent, written, role, text, (1, 2), "eos", None, usage, logprob)


def failed(place, parent="", error="connection reset", cancelled=False):
    return e.Failed(place, parent, "solver", error, Usage(calls=1), cancelled)


def both(place, parent="", **more):
    written = more.get("written", "")
    return [extending(place, parent, written), extended(place, parent, **more)]


BEAMS = [
    e.Started("", "q", "What is 17 + 48 - 29?", "beam-search:n=2", {"solver": "m"}, "4k", 0),
    *both("0.0", text="17+48=65\n\n"),
    *both("0.1", text="17+48=64\n\n"),
    extending("0.2"),
    failed("0.2"),
    extending("0.3"),
    failed("0.3", error="cancelled", cancelled=True),
    extending("0.10"),
    e.Scored("1", "prm", ("0.0", "0.1"), (0.9, 0.2)),
    *both("2.0", "0.0", text="65-29=36"),
    *both("2.1", "0.0", text="65-29=35", written="So "),
    e.Scored("3", "prm", ("2.0", "2.1"), (0.8, 0.1)),
    e.Scored("4", "prm", ("2.0",), (0.7,)),
    e.Visited("4", ("0.0", ""), (0.9, 0.9), (1, 1)),
    e.Visited("4", ("2.0", "0.0", ""), (0.7, 0.8, 0.6), (1, 2, 2)),
    e.Delegated("5", "best-of-n:n=1", "1k"),
    *both("5.0", text="x"),
    e.Answered("", (("2.0", "36", "36"), ("2.1", "35", "35"))),
    e.Answered("", (("2.0", None, None),)),
    e.Proposed("", "0.0", None),
    e.Proposed("", "2.0", "36"),
    e.Finished("", "finished", "2.0", "36", (("35", 1.0), ("36", 2.0)), Usage(completion=10), 1),
]


def test_a_beam_search():
    tree = grow(BEAMS)
    assert tree.roots == ("0.0", "0.1", "0.2", "0.3", "0.10", "5.0")
    node = tree.nodes["0.0"]
    assert node.children == ("2.0", "2.1")
    assert (node.chosen, node.scores, node.status, node.finish) == (True, (("prm", 0.9),), "ok", "eos")
    assert tree.nodes["2.0"].scores == (("prm", 0.7),), "a scorer's last word"
    assert (tree.nodes["2.0"].answer, tree.nodes["2.0"].key) == ("36", "36")
    assert (tree.nodes["0.0"].value, tree.nodes["0.0"].visits) == (0.8, 2), "as the search last had it"
    assert (tree.nodes["0.1"].value, tree.nodes["0.1"].visits) == (None, 0)
    assert "prm 0.9  V 0.8  N 2" in lines(tree)[0]
    assert tree.nodes["2.1"].written == "So "
    assert not tree.nodes["2.1"].chosen
    assert (tree.nodes["0.2"].status, tree.nodes["0.2"].error) == ("failed", "connection reset")
    assert (tree.nodes["0.3"].status, tree.nodes["0.3"].error) == ("cancelled", None)
    assert tree.nodes["0.10"].status == "running"
    assert (tree.nodes["5.0"].within, tree.nodes["0.0"].within) == ("5", "")
    assert tree.nodes["0.0"].mean_logprob == -0.5
    assert [(d, n.place) for d, n in tree.walk()][:4] == [(0, "0.0"), (1, "2.0"), (1, "2.1"), (0, "0.1")]
    assert tree.started.seed == 0
    assert tree.finished.answer == "36"


def test_identity_names_the_parent_too():
    tree = grow(BEAMS)
    assert ("2.0", "0.0", "65-29=36") in identity(tree)
    assert {place for place, _, _ in identity(tree)} == {"0.0", "0.1", "2.0", "2.1", "5.0"}
    moved = [replace(x, parent="0.1") if x.place == "2.0" else x for x in BEAMS]
    assert identity(grow(moved)) != identity(tree)


@given(st.permutations(BEAMS))
def test_any_order_gives_the_same_tree(events):
    tree = grow(events)
    assert tree == grow(BEAMS)
    assert dict(tree.nodes) == dict(grow(BEAMS).nodes)
    assert list(tree.nodes) == list(grow(BEAMS).nodes)


PLACES = st.sampled_from(["", "0", "1", "0.0", "0.1", "1.0", "0.10", "0.1.2", "x", "1.x", "²"])
ANY = st.lists(
    st.one_of(
        st.builds(extending, PLACES, PLACES),
        st.builds(extended, PLACES, PLACES, st.text(max_size=3), tokens=st.integers(0, 3)),
        st.builds(failed, PLACES, PLACES, st.sampled_from(["", "Cancelled", "boom"])),
        st.builds(lambda p, q, v: e.Scored(p, "prm", (q,), (v,)), PLACES, PLACES, st.floats(0, 1)),
        st.builds(
            lambda p, q, a: e.Answered(p, ((q, a, a),)), PLACES, PLACES, st.none() | st.text(max_size=2)
        ),
        st.builds(
            lambda p, q, v, n: e.Visited(p, (q,), (v,), (n,)),
            PLACES,
            PLACES,
            st.floats(0, 1),
            st.integers(0, 3),
        ),
        st.builds(e.Proposed, PLACES, PLACES, st.none() | st.text(max_size=2)),
        st.builds(e.Delegated, PLACES, st.just("s"), st.just("")),
        st.builds(e.Wrote, PLACES, st.text(max_size=2), st.just(1)),
        st.builds(lambda p: e.Finished("", "finished", p, None, (), Usage(), 0), PLACES),
    ),
    max_size=14,
)


@given(ANY, st.randoms(use_true_random=False), st.integers(0, 40))
def test_no_events_are_too_strange(events, chance, width):
    """Circles, doubles, ends without beginnings: every node hangs somewhere once, in every order alike."""
    tree = grow(events)
    walked = [node.place for _, node in tree.walk()]
    assert sorted(walked) == sorted(tree.nodes)
    calls = {x.place for x in events if isinstance(x, e.Extending | e.Extended | e.Failed)}
    assert set(tree.nodes) == calls
    mixed = list(events)
    chance.shuffle(mixed)
    again = grow(mixed)
    assert again == tree
    assert dict(again.nodes) == dict(tree.nodes)
    assert all(_cells(line) <= width for line in lines(tree, width, 10))


@pytest.mark.parametrize("kept", range(len(BEAMS)))
def test_a_killed_run_has_a_tree(kept):
    tree = grow(BEAMS[:kept])
    assert tree.finished is None
    assert not any(node.chosen for node in tree.nodes.values())
    for place, node in grow(BEAMS).nodes.items():
        if place in tree.nodes and node.status == "ok" and tree.nodes[place].status != "ok":
            assert tree.nodes[place].status == "running"
    assert len(lines(tree)) == len(tree.nodes)


def test_nothing_happened():
    assert grow([]) == Tree()
    assert lines(grow([])) == []


def test_places_are_ordered_by_number():
    places = ["0", "0.2", "0.9", "0.10", "1", "10", "10.0"]
    assert sorted(random.Random(0).sample(places, len(places)), key=order) == places


def test_a_drawing():
    assert lines(grow(BEAMS), 80, 20) == [
        "├─ ★ 0.0  2 tokens  prm 0.9  V 0.8  N 2  ■  Σ 2 calls 4 tokens  17+48=65",
        "│  ├─ ★ 2.0  = 36  2 tokens  prm 0.7  V 0.7  N 1  ■  65-29=36",
        "│  └─   2.1  = 35  2 tokens  prm 0.1  ■  So 65-29=35",
        "├─   0.1  2 tokens  prm 0.2  ■  17+48=64",
        "├─   0.2  ✗ failed: connection reset",
        "├─   0.3  ⊖ cancelled",
        "├─   0.10  ⋯ running",
        "└─   5.0  2 tokens  logprob -0.50  ■  x",
        "votes  36: 2   35: 1",
    ]


def test_a_chain_keeps_its_column():
    chain = [*both("0"), *both("1", "0"), *both("2", "1"), *both("3.0", "2"), *both("3.1", "2")]
    assert [line.split("  2 tok")[0] for line in lines(grow(chain))] == [
        "└─   0",
        "   ↳   1",
        "   ↳   2",
        "   ├─   3.0",
        "   └─   3.1",
    ]


def test_a_model_cannot_write_to_the_terminal():
    nasty = "a\x1b[31mred\x1b]0;title\x07\r\n\u202eback\ud800 \x9b2J"
    (line,) = lines(grow(both("0", text=nasty)))
    assert line.endswith("a[31mred]0;title back\ufffd 2J")
    line.encode()


def test_wide_characters_take_two_cells():
    (line,) = lines(grow(both("0", text="总共是三十六" * 9)), 200, 11)
    assert line.endswith("总共是三十…")
    assert all(_cells(x) <= 30 for x in lines(grow(both("0", text="总共是三十六" * 9)), 30, 99))


def test_a_deep_tree_is_no_recursion():
    deep = [x for i in range(3000) for x in both(str(i + 1), str(i) if i else "")]
    assert len(lines(grow(deep))) == 3000
    twins = [
        x
        for i in range(200)
        for x in both(f"{i}.0", f"{i - 1}.0" if i else "") + both(f"{i}.1", f"{i - 1}.0" if i else "")
    ]
    assert all(len(line) <= 60 for line in lines(grow(twins), 60, 20))


def searched(steps=6, width=40):
    """A search of hundreds of nodes: each step is drawn `width` times, judged three times, and one is gone on with."""
    parent, events = "", [e.Started("", "q", "?", "mcts", {"solver": "m"}, "4k", 0)]
    for step in range(steps):
        places = [f"{2 * step}.{i}" for i in range(width)]
        for place in places:
            usage = Usage(completion=10, calls=1)
            events.append(
                e.Extended(place, parent, "", "solver", f"Step {place}", None, "stop", "\n\n", usage, None)
            )
        for i in range(3):
            usage = Usage(completion=2, calls=1)
            at = f"{2 * step + 1}.{i}"
            events.append(e.Extended(at, places[0], "", "judge", "sure", None, "eos", None, usage, None))
        values = tuple(1 - i / width for i in range(width))
        events.append(e.Scored(f"{2 * step + 1}", "judge", tuple(places), values))
        parent = places[0]
    return [*events, e.Finished("", "finished", parent, "36", (), Usage(), 0)]


def test_hundreds_of_nodes_are_readable_at_100_columns():
    tree = grow(searched())
    assert len(tree.nodes) == 6 * 43
    drawn = lines(tree, 100, fold=True)
    assert len(drawn) <= 6 * 6
    assert all(_cells(line) <= 100 for line in drawn)
    assert sum("more ends" in line for line in drawn) == 6
    assert any("36 more ends  360 tokens  best 0.9" in line for line in drawn)
    assert sum("3 calls of the judge  6 tokens" in line for line in drawn) == 6
    assert len([line for line in drawn if "★" in line]) == 6, "the chosen path is never folded"
    assert len([line for line in drawn if "×" in line]) == 6 * 3
    assert len(lines(tree, 100)) == len(tree.nodes), "nothing is folded unless it is asked for"


def test_what_was_spent_below_a_node():
    tree = grow(searched(2, 3))
    below = spent_below(tree)
    assert below["0.0"] == (9, 3 * 10 + 6 * 2)
    assert below["0.1"] == (0, 0)
    assert any("Σ 9 calls 42 tokens" in line for line in lines(tree))
