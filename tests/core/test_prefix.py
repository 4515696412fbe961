import math

from ponder import Prefix, Prompt, Segment, Usage
from ponder.core.problem import Message

PROMPT = Prefix(Prompt((Message("user", "q"),)))


def seg(tokens, finish="eos", stopped_by=None, **more):
    """A segment of the given token texts; end-of-text is a last token without text."""
    texts = [*tokens, ""] if finish == "eos" else list(tokens)
    ends, n = [], 0
    for text in texts:
        n += len(text)
        ends.append(n)
    ids = tuple(range(10, 10 + len(texts)))
    return Segment(
        "".join(texts), ids, tuple(ends), Usage(completion=len(ids)), True, finish, stopped_by, **more
    )


def test_adding_makes_a_longer_path_and_leaves_the_old_one():
    longer = PROMPT + "Wait" + seg(["a", "b"])
    assert PROMPT.segments == ()
    assert longer.text == "Waitab"
    assert longer.tokens == 3
    assert not longer.segments[0].sampled
    assert PROMPT + "" is PROMPT


def test_before_stop_drops_end_of_text():
    path = (PROMPT + seg(["a", "b"])).before_stop
    assert path.text == "ab"
    assert path.segments[-1].token_ids == (10, 11)
    assert not path.done


def test_before_stop_drops_a_stop_token():
    path = (PROMPT + seg(["a", "</think>"], "stop", "</think>")).before_stop
    assert path.text == "a"
    assert path.segments[-1].token_ids == (10,)


def test_before_stop_inside_a_token_keeps_whole_tokens_as_ids_and_the_rest_as_text():
    path = (PROMPT + seg(["one", ".\n\nTwo"], "stop", "\n\n")).before_stop
    assert path.text == "one."
    assert [s.token_ids for s in path.segments] == [(10,), None]
    assert [s.sampled for s in path.segments] == [True, False]


def test_before_stop_across_tokens():
    path = (PROMPT + seg(["one", ".\n", "\nTwo"], "stop", "\n\n")).before_stop
    assert path.text == "one."
    assert path.segments[0].token_ids == (10,)


def test_before_stop_finds_the_first_place_in_a_long_run_of_newlines():
    assert (PROMPT + seg(["one", "\n\n\n"], "stop", "\n\n")).before_stop.text == "one"


def test_before_stop_drops_a_stop_token_that_has_no_text():
    path = (PROMPT + seg(["a", ""], "stop", "")).before_stop
    assert path.segments[-1].token_ids == (10,)


def test_before_stop_of_end_of_text_without_ids_drops_nothing():
    path = (PROMPT + Segment("ab", finish="eos", logprobs=(-1.0, -2.0))).before_stop
    assert path.segments[-1].logprobs == (-1.0, -2.0)
    assert not path.done


def test_before_stop_of_a_cut_text_is_the_text():
    path = PROMPT + seg(["a"], "length")
    assert path.before_stop is path
    assert path.cut


def test_before_stop_without_ids():
    path = PROMPT + Segment("one\n\n", finish="stop", stopped_by="\n\n")
    assert path.before_stop.text == "one"


def test_rewind_drops_sampled_segments_with_what_was_written_after_them():
    path = PROMPT + seg(["a"]) + "x" + seg(["b"]) + "y"
    assert path.rewind(1).text == "ax"
    assert path.rewind(2).text == ""
    assert path.rewind(9).text == ""


def test_mean_logprob_counts_sampled_tokens_only():
    path = PROMPT + "x" + seg(["a"], logprobs=(-1.0, -2.0)) + seg(["b"], logprobs=(-3.0, -4.0))
    assert path.mean_logprob == -2.5
    assert math.isnan(PROMPT.mean_logprob)


def test_upto_keeps_whole_tokens_as_ids_wherever_it_cuts():
    path = PROMPT + seg(["ab", "c\n"], "length", logprobs=(-1.0, -2.0)) + "Wait" + seg(["d", "ef"])
    texts = [(n, path.upto(n)) for n in range(len(path.text) + 3)]
    assert all(cut.text == path.text[:n] for n, cut in texts)
    assert path.upto(0).segments == ()
    assert path.upto(3).segments[0].token_ids == (10,)
    assert path.upto(3).segments[1] == Segment("c", sampled=False)
    assert path.upto(3).mean_logprob == -1.0
    assert path.upto(4).segments == path.segments[:1]
    assert path.upto(6).segments[1] == Segment("Wa", sampled=False)
    assert path.upto(9).segments[2].token_ids == (10,)
    assert not path.upto(9).done
    assert path.upto(11) == path


def test_upto_without_ids_cuts_the_text():
    cut = (PROMPT + Segment("one\ntwo", finish="stop", stopped_by="two")).upto(4)
    assert (cut.text, cut.stopped_by, cut.cut) == ("one\n", None, True)
