"""A run's trees as a page: every call, nothing that acts, and what there is of a run without calls."""

import json
import re

from ponder import Usage
from ponder.cli.tree_page import drawn, tree_page
from ponder.core import events as e
from ponder.runtime.tree import Tree, grow
from ponder.store import RunFile

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> שלום \u202e 👩‍👩‍👧 " + "long " * 100


def chain(*calls):
    """Events of calls (place, parent, text), each finished."""
    for place, parent, text in calls:
        yield e.Extending(place, parent, "", "solver", {})
        yield e.Extended(
            place, parent, "", "solver", text, None, "stop", "\n\n", Usage(completion=3, calls=1), None
        )


def test_branches_are_lists_and_a_path_is_none():
    page = drawn(
        grow(chain(("0", "", "one"), ("1.0", "0", "two"), ("1.1", "0", "three"), ("2", "1.1", "four"))), 100
    )
    assert page.count("<details") == 4
    assert page.count("<ol>") == 2, "the roots, and the two that follow the first"
    assert page.count("<li>") == 3
    assert "Σ 3 calls 9 tokens" in page


def test_a_path_of_a_thousand_steps_is_no_depth():
    steps = [(str(i), str(i - 1) if i else "", f"step {i}") for i in range(1000)]
    page = drawn(grow(chain(*steps)), 100)
    assert page.count("<details") == 1000
    assert page.count("<ol>") == 1


def test_texts_are_cut_unless_they_are_asked_for_whole():
    tree = grow(chain(("0", "", "x" * 500)))
    assert "(400 more characters)" in drawn(tree, 100)
    assert "x" * 500 in drawn(tree, 1000)


def test_nothing_was_called():
    assert "No call was made." in drawn(Tree(), 100)


def test_a_run_of_a_hostile_question(ponder, tmp_path):
    ponder("solve", HOSTILE, "-m", "simulated", "-q")
    done = ponder("view", "--html", str(tmp_path / "tree.html"))
    assert done.stdout.strip().endswith("tree.html")
    page = (tmp_path / "tree.html").read_text("utf-8")
    assert not re.search(r"<(script|img)", page)
    assert "\u202e" not in page
    assert "Content-Security-Policy" in page
    assert page.count("<details") == 17, "sixteen samples and the whole question"
    assert page.count('<details class="call chosen" open') == 1
    refused = ponder("view", "--html", str(tmp_path))
    assert refused.returncode == 3
    assert "is a folder" in refused.stderr


def test_the_attempts_of_an_evaluation(ponder):
    made = ponder("eval", "simulated", "-m", "simulated", "--limit", "2", "-s", "direct", "-q")
    assert made.returncode == 0
    newest = json.loads(ponder("runs", "--json").stdout)[0]["run"]
    with RunFile.open(next(ponder.home.glob(f"**/{newest}.sqlite"))) as file:
        page = tree_page(file, lambda _: "it ended")
        assert page.count("it ended") == 2
    assert "budget 4k" in page
