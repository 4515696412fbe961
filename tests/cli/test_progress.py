"""The pictures of a run, from events alone."""

import io

import pytest
from rich.console import Console

from ponder import Budget, Usage
from ponder.cli.progress import Painted, Plain, Quiet, watching
from ponder.core import events as e


def console(*, terminal, width=80, height=24):
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=height, color_system=None)


def extending(place):
    return e.Extending(place, "", "", "solver", {})


def extended(place, text, tokens, finish="eos"):
    return e.Extended(
        place, "", "", "solver", text, None, finish, None, Usage(completion=tokens, calls=1), None
    )


def failed(place, error, tokens, *, cancelled):
    return e.Failed(place, "", "solver", error, Usage(completion=tokens, calls=1), cancelled)


def answered(*answers):
    return e.Answered("", tuple((place, answer, answer) for place, answer in answers))


def finished(votes=()):
    return e.Finished("", "finished", "0.0", "36", votes, Usage(), 0)


RUN = [
    extending("0.0"),
    extending("0.1"),
    extending("0.2"),
    extending("0.3"),
    extended("0.1", "It is\n[bold]36[/bold].", 9),
    failed("0.2", "The server hung up.", 2, cancelled=False),
    failed("0.3", "cancelled", 3, cancelled=True),
    extended("0.0", "Then 35", 12, "length"),
    answered(("0.0", "35"), ("0.1", "36"), ("0.2", None)),
    finished((("36", 1.0), ("35", 1.0))),
]


def test_plain_is_a_line_for_each_end():
    pipe = console(terminal=False)
    with Plain(pipe) as board:
        for event in RUN:
            board.event(event)
    assert pipe.file.getvalue().splitlines() == [
        "2: It is [bold]36[/bold]. (9 tokens)",
        "3: failed: The server hung up. (2 tokens)",
        "4: ended early (3 tokens)",
        "1: Then 35 (12 tokens)",
        "votes  36: 1   35: 1",
    ]


def test_plain_shows_how_a_long_text_ends_on_one_line():
    pipe = console(terminal=False, width=40)
    board = Plain(pipe)
    board.event(extended("0", "word " * 500 + "\x1b[2Jthe answer is 5.", 1))
    [line] = pipe.file.getvalue().splitlines()
    assert line.startswith("1: …")
    assert line.endswith("the answer is 5. (1 token)")
    assert "\x1b" not in line


def painted(events, *, height=24, wrote=(), budget="4k,30s"):
    terminal = console(terminal=True, height=height)
    board = Painted(Budget.parse(budget), terminal)
    for event in events:
        board.event(event)
    for event in wrote:
        board.wrote(event)
    page = console(terminal=False)
    page.print(board.picture())
    return board, page.file.getvalue().splitlines()


def test_painted_shows_every_sample_the_vote_and_the_cost():
    board, lines = painted([*RUN[:-1], extending("1"), extended("1", "36 again", 4), answered(("1", "36"))])
    rows = [line.split() for line in lines]
    assert rows[0][:2] == ["1", "✂"]
    assert rows[0][-3:] == ["35", "12", "tok"]
    assert rows[1][:5] == ["2", "✓", "It", "is", "[bold]36[/bold]."]
    assert rows[2][:3] == ["3", "✗", "The"]
    assert rows[3][:2] == ["4", "⊖"]
    assert rows[5] == ["36", "█" * 20, "2/3"]
    assert rows[6] == ["35", "█" * 10, "1/3"]
    assert lines[-1].startswith("30/4,000 tokens · ")
    assert "/30 s · " in lines[-1]
    assert board.tokens == 9 + 2 + 3 + 12 + 4


def test_tokens_are_counted_once_however_they_are_told():
    told = [e.Wrote("0", "The ", 1), e.Wrote("0", "end", 1)]
    board, lines = painted([extending("0")], wrote=told)
    assert board.tokens == 2
    assert "The end" in lines[0]
    assert "2 tok" in lines[0]
    board.event(extended("0", "The end.", 3))
    assert board.tokens == 3
    board.event(answered(("0", "5")))
    board.event(answered(("0", "5")))
    assert board.votes == {"5": ("5", 1)}


def test_what_is_being_written_shows_its_end():
    _, lines = painted([extending("0")], wrote=[e.Wrote("0", f"{i} ", 1) for i in range(200)])
    assert "199" in lines[0]


@pytest.mark.parametrize("height", [10, 24, 60])
def test_the_picture_is_no_higher_than_the_terminal(height):
    events = [extending(f"0.{i}") for i in range(100)]
    events += [extended(f"0.{i}", str(i), 1) for i in range(100)]
    events.append(answered(*((f"0.{i}", str(i % 7)) for i in range(100))))
    _, lines = painted(events, height=height)
    assert len(lines) <= height
    assert lines[-1].startswith("100/4,000 tokens"), "what was spent is never cut off"
    assert lines[-2].split()[1].startswith("█")
    assert any(line.split()[0] == "100" for line in lines), "the newest samples stay in sight"


def test_what_a_model_wrote_is_text_and_no_markup_and_no_command():
    answer = "[/red]\x1b[31m\u202e" + "x" * 50
    _, lines = painted(
        [extending("0"), extended("0", "[nonsense]\x07", 1), answered(("0", answer), ("1", answer))]
    )
    assert "[nonsense]" in lines[0]
    assert "[/red][31mxxx" in lines[0]
    assert not set("".join(lines)) & {"\x1b", "\x07", "\u202e"}


def test_a_live_run_leaves_its_last_picture():
    terminal = console(terminal=True)
    with watching(Budget.parse("4k"), terminal, quiet=False) as board:
        for event in RUN:
            board.event(event)
            board.wrote(e.Wrote("0.0", "", 0))
    said = terminal.file.getvalue()
    assert "Then 35" in said
    assert "█" in said
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h"), "the cursor is back"


def test_who_watches():
    budget = Budget.parse("4k")
    assert isinstance(watching(budget, console(terminal=True), quiet=False), Painted)
    assert isinstance(watching(budget, console(terminal=False), quiet=False), Plain)
    pipe = console(terminal=False)
    with watching(budget, pipe, quiet=True) as board:
        for event in RUN:
            board.event(event)
        board.wrote(e.Wrote("0", "x", 1))
    assert isinstance(board, Quiet)
    assert not pipe.file.getvalue()
