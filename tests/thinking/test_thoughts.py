import pytest

from ponder.thinking.thoughts import SWITCHES, switches, thoughts, underthinking


def test_the_underthinking_score_s_vectors():
    assert underthinking([(7681, 411)]) == pytest.approx(0.946, abs=5e-4)
    assert underthinking([(100, None)]) == 0, "without a right thought nothing was left too early"
    assert underthinking([(100, 100), (100, 50), (200, None)]) == pytest.approx(0.5 / 3)
    with pytest.raises(ValueError, match="wrong responses"):
        underthinking([])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("So 42.", ["So 42."]),
        ("", []),
        ("First 6 * 7. Alternatively, add. Alternatively add.", ["First 6 * 7. ", "Alternatively, add. ", "Alternatively add."]),
        ("It is 41.Wait, no: 42.", ["It is 41.", "Wait, no: 42."]),
        ("It is 41.\n\nHmm, let us see.\nLet me try another way: 42.", ["It is 41.\n\n", "Hmm, let us see.\n", "Let me try another way: 42."]),
        ("Alternatively, at once.", ["Alternatively, at once."]),
        ("We wait alternatively here and there, and another approach is none.", ["We wait alternatively here and there, and another approach is none."]),
        ("(a) But another approach is to add.", ["(a) ", "But another approach is to add."]),
    ],
)  # fmt: skip
def test_thoughts_begin_where_a_sentence_says_so(text, parts):
    assert thoughts(text) == parts
    assert "".join(thoughts(text)) == text


def test_a_first_piece_that_ordinary_words_share_is_left_out_and_named():
    pieces = ["alternatively", " altern", "Altern", " An", "\n"]

    def encode(text):
        for n, piece in enumerate(pieces):
            if text.startswith(piece):
                return (n, *((99,) if text != piece else ()))
        return tuple(100 + ord(c) for c in text)

    found = switches(encode, [*SWITCHES, ""])
    assert found.tokens == (0, 1, 2)
    assert found.forms == ("alternatively", " alternatively", "Alternatively")
    assert set(found.left_out) == {
        " Alternatively",
        "\nAlternatively",
        " Another approach",
        "Another approach",
    }
