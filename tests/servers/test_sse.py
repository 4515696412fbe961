"""R22: the same events for every way in which a stream can be cut."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.engines.servers.sse import MOST, Event, Parser, TooLong

STREAMS = {
    "plain": (b'data: {"a":1}\n\ndata: [DONE]\n\n', ['{"a":1}', "[DONE]"]),
    "crlf": (b"data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"]),
    "cr": (b"data: one\r\rdata: two\r\r", ["one", "two"]),
    "mixed ends": (b"data: one\r\n\ndata: two\r\r\n", ["one", "two"]),
    "bom": (b"\xef\xbb\xbfdata: one\n\n", ["one"]),
    "a second bom is text": (b"\xef\xbb\xbf\xef\xbb\xbfdata: one\n\ndata: two\n\n", ["two"]),
    "comments": (b": ping\n\n: \ndata: one\n: within\n\n:\n\n", ["one"]),
    "several lines": (b"data: one\ndata:\ndata:  two\n\n", ["one\n\n two"]),
    "no space, no colon": (b"data:one\n\ndata\n\n", ["one", ""]),
    "other fields": (b"id: 7\nretry: 10\nfoo: bar\ndata: one\n\nid: 8\n\n", ["one"]),
    "utf-8": ("data: é 你好 👩‍🔬\n\n".encode(), ["é 你好 👩‍🔬"]),
    "no utf-8": (b"data: \xff\xe4\xbd\n\n", ["\ufffd\ufffd"]),
    "cut off": (b"data: one\n\ndata: two\n", ["one"]),
    "nothing": (b"\n\n\r\n", []),
    "a null and a line separator": ("data: a\x00b\u2028c\x0bd\n\n".encode(), ["a\x00b\u2028c\x0bd"]),
}


def read(pieces):
    parser = Parser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_in_every_two_pieces_and_byte_by_byte(name):
    stream, expected = STREAMS[name]
    assert [event.data for event in read([stream])] == expected
    for i in range(len(stream) + 1):
        assert [event.data for event in read([stream[:i], stream[i:]])] == expected, i
    assert [event.data for event in read([bytes([b]) for b in stream])] == expected
    for i, j in itertools.combinations(range(len(stream)), 2):
        assert [event.data for event in read([stream[:i], stream[i:j], stream[j:]])] == expected, (i, j)


def test_an_event_has_the_name_it_was_given_and_no_later_one_has():
    events = read([b"event: error\ndata: no\n\ndata: yes\n\nevent: x\n\ndata: z\n\n"])
    assert events == [Event("no", "error"), Event("yes"), Event("z")]


@given(st.lists(st.text()), st.sampled_from(["\n", "\r", "\r\n"]), st.randoms(use_true_random=False))
def test_what_is_written_is_read_however_it_is_cut(texts, end, rng):
    told = [json.dumps(text, ensure_ascii=False) for text in texts]
    stream = "".join(f": ping{end}data: {one}{end}{end}" for one in told).encode("utf-8", "replace")
    expected = read([stream])
    assert len(expected) == len(texts)
    at = sorted(rng.randrange(len(stream) + 1) for _ in range(5))
    cuts = [stream[i:j] for i, j in itertools.pairwise([0, *at, len(stream)])]
    assert read(cuts) == expected


@pytest.mark.parametrize("line", [b"data: ", b": ", b"x"])
def test_who_floods_is_cut_off(line):
    parser = Parser()
    parser.feed(line + b"y" * (MOST - len(line)))
    with pytest.raises(TooLong):
        parser.feed(b"y")
    parser = Parser()
    for _ in range(9):
        parser.feed(b": " + b"y" * (MOST // 4) + b"\n")  # comments take no room once they are over
