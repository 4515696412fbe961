"""The table of reliability says what was measured, the misses too."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import prove
from proofs import ROWS, Figure, Row


def test_the_page_is_that_of_the_figures():
    assert prove.PAGE.read_text("utf-8") == prove.page(prove.known()), "make prove writes both"


def test_every_row_has_a_number_a_promise_and_a_bound():
    assert len({row.order for row in ROWS.values()}) == len(ROWS) > 7
    assert all(row.promise and row.bound for row in ROWS.values())


@pytest.mark.parametrize("name", ["R5"])
def test_a_row_measures_itself(name, tmp_path):
    figure = ROWS[name].measure(tmp_path, "C")
    assert figure.held, figure.said


def test_a_figure_that_misses_its_bound_stays_visible(monkeypatch, tmp_path, capsys):
    def breaks(folder, tier):
        raise OSError("no disk")

    rows = {
        "R1": Row("R1", "a | b", "0", lambda folder, tier: Figure("3 lost", held=False)),
        "R2": Row("R2", "breaks", "0", breaks),
        "R3": Row("R3", "holds", "0", lambda folder, tier: Figure(f"tier {tier}", held=True)),
        "R4": Row("R4", "later", "0", breaks),
    }
    monkeypatch.setattr(prove, "ROWS", rows)
    monkeypatch.setattr(prove, "FIGURES", tmp_path / "figures.json")
    monkeypatch.setattr(prove, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(sys, "argv", ["prove", "R1", "R2", "R3"])
    assert prove.main() == 1
    told = prove.PAGE.read_text("utf-8")
    assert r"| R1 | a \| b | 0 | 3 lost | **NO** |" in told
    assert "broke: OSError: no disk | **NO**" in told
    assert "| tier C | yes | C |" in told
    assert "| R4 | later | 0 | not measured yet |" in told
    assert "MISSED" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["prove", "R3", "--tier", "N"])
    assert prove.main() == 0
    assert "| 3 lost | **NO** |" in prove.PAGE.read_text("utf-8"), "what is not run keeps its figure"
