"""Files as people have them: the usual names of fields, choices, solutions; and files that are not what they seem."""

from __future__ import annotations

import json
from dataclasses import fields as fields_of

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.core.errors import UnknownName, UsageError
from ponder.core.problem import Problem
from ponder.evals.tasks import load

GSM8K = [
    {
        "question": "Tom has 3 bags of 4 pens. How many pens?",
        "answer": "3 bags of 4 pens are <<3*4=12>>12 pens.\n#### 12",
    },
    {"question": "A car costs $1,200 and a bike $34. Both?", "answer": "Added up.\n#### 1,234"},
]
MATH = [
    {
        "problem": "What is $\\sqrt{16}$?",
        "solution": "We see that $\\sqrt{16}=\\boxed{4}$.",
        "level": "Level 2",
        "subject": "Algebra",
        "unique_id": "test/algebra/1.json",
    },
    {
        "problem": "Half?",
        "solution": "It is \\boxed{\\frac{1}{2}}.",
        "level": "Level 5",
        "subject": "Algebra",
        "unique_id": "2",
    },
]


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_gsm8k_takes_what_follows_the_hashes(tmp_path):
    tasks = load(str(lines(tmp_path / "gsm.jsonl", GSM8K)))
    assert [i.gold for i in tasks.items] == ["12", "1,234"]
    assert {i.problem.kind for i in tasks.items} == {"math"}
    assert {i.grader for i in tasks.items} == {"math"}
    assert [i.problem.id for i in tasks.items] == ["gsm/1", "gsm/2"]
    assert tasks.items[0].problem.question == GSM8K[0]["question"]
    assert tasks.complaints == ()


def test_math_takes_what_is_in_the_box_and_the_level(tmp_path):
    tasks = load(str(lines(tmp_path / "m.jsonl", MATH)))
    assert [i.gold for i in tasks.items] == ["4", "\\frac{1}{2}"]
    assert [(i.level, i.family) for i in tasks.items] == [(2.0, "Algebra"), (5.0, "Algebra")]
    assert tasks.items[0].problem.id == "m/test/algebra/1.json"


def test_an_answer_beside_a_solution_is_the_answer(tmp_path):
    path = lines(tmp_path / "m.jsonl", [{"question": "?", "solution": "12 \\boxed{13}", "answer": "13"}])
    assert load(str(path)).items[0].gold == "13"


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({"choices": ["4", "8", "15"], "answer": 2}, "C"),
        ({"choices": ["4", "8", "15"], "answer": "8"}, "B"),
        ({"choices": ["red", "blue"], "answer": "b"}, "B"),
        ({"choices": ["red", "blue"], "answer": "(A)"}, "A"),
        ({"choices": ["red", "blue"], "answer": "1"}, "B"),
        ({"options": ["A) 21", "B) 22", "C) 23"], "correct": "C"}, "C"),
        ({"choices": {"label": ["1", "2", "3"], "text": ["x", "y", "z"]}, "answerKey": "2"}, "B"),
        ({"choices": {"A": "x", "B": "y"}, "label": "B"}, "B"),
    ],
)
def test_choices_with_a_letter_an_index_a_label_or_a_text(tmp_path, row, gold):
    item = load(str(lines(tmp_path / "c.jsonl", [{"question": "Which?", **row}]))).items[0]
    assert item.gold == gold
    assert (item.problem.kind, item.grader) == ("choice", "choice")
    assert item.problem.choices in (2, 3)
    assert "\nA) " in item.problem.question
    assert "A) A)" not in item.problem.question


def test_choices_that_stand_in_the_question_are_not_said_twice(tmp_path):
    row = {"question": "Which?\nA) x\nB) y", "choices": ["x", "y"], "answer": "A"}
    assert load(str(lines(tmp_path / "c.jsonl", [row]))).items[0].problem.question == row["question"]


@pytest.mark.parametrize(
    ("answers", "kind", "grader"),
    [
        ([True, False], "yesno", "exact"),
        (["Yes", "no"], "yesno", "exact"),
        ([3, "4.5"], "math", "math"),
        ([{"a": 1}, {"a": 2}], "json", "json"),
        (["Paris", "the Nile"], "auto", "exact"),
    ],
)
def test_the_kind_of_answer_is_seen_from_all_answers(tmp_path, answers, kind, grader):
    rows = [{"prompt": f"q{n}", "target": answer} for n, answer in enumerate(answers)]
    items = load(str(lines(tmp_path / "k.jsonl", rows)), limit=1).items
    assert [(i.problem.kind, i.grader) for i in items] == [(kind, grader)]


def test_fields_can_be_named_and_the_kind_given(tmp_path):
    rows = [{"ask": "x", "question": "not this", "right": "Paris", "nr": 7, "hard": 3}]
    spec = f"{lines(tmp_path / 'x.jsonl', rows)}:question=ask,answer=right,kind=open,id=nr,level=hard"
    item = load(spec).items[0]
    assert (item.problem.question, item.gold, item.problem.kind) == ("x", "Paris", "open")
    assert (item.problem.id, item.level) == ("x/7", 3.0)


def test_decimals_are_not_rounded_on_the_way(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text('{"question": "?", "answer": 3.10000000000000000001}\n')
    assert load(str(path)).items[0].gold == "3.10000000000000000001"


def test_a_malformed_line_is_named_and_the_rest_runs(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"question": "1+1", "answer": "2"}\n'
        '{"question": "1+2", "answer": \n'
        "\n"
        "[1, 2]\n"
        '{"question": "", "answer": "3"}\n'
        '{"question": "1+3"}\n'
        '{"question": "1+4", "answer": "5"}\n' + "[" * 100_000 + "\n"
    )
    tasks = load(str(path))
    assert [i.gold for i in tasks.items] == ["2", None, "5"]
    told = "\n".join(tasks.complaints)
    for number in (2, 4, 5, 6, 8):
        assert f"{path}, line {number}: " in told
    assert len(tasks.complaints) == 5
    assert "run and not graded" in told


def test_choices_that_make_no_sense_are_left_out_and_named(tmp_path):
    rows = [
        {"question": "a", "choices": ["x", "y"], "answer": 5},
        {"question": "b", "choices": ["x"], "answer": 0},
        {"question": "c", "choices": "xy", "answer": 0},
        {"question": "d", "choices": ["x", "y"], "answer": "z"},
        {"question": "e", "choices": ["x", "y"], "answer": 1},
    ]
    tasks = load(str(lines(tmp_path / "c.jsonl", rows)))
    assert [i.problem.question[:1] for i in tasks.items] == ["e"]
    assert [c.partition(":")[0][-6:] for c in tasks.complaints] == ["line 1", "line 2", "line 3", "line 4"]


def test_a_file_without_answers_is_run_and_not_graded(tmp_path):
    tasks = load(str(lines(tmp_path / "n.jsonl", [{"question": "a"}, {"question": "b"}])))
    assert [i.gold for i in tasks.items] == [None, None]
    assert len(tasks.complaints) == 1
    assert "answer" in tasks.complaints[0]


def test_ids_are_unique_even_where_the_file_repeats_them(tmp_path):
    rows = [{"id": i, "question": "?", "answer": 1} for i in ("a", "a", "2", None, "b-5", "b")]
    tasks = load(str(lines(tmp_path / "i.jsonl", rows)))
    assert len({i.problem.id for i in tasks.items}) == len(rows)
    assert len(tasks.complaints) == 1


def test_limit_and_offset(tmp_path):
    path = str(lines(tmp_path / "p.jsonl", [{"question": f"q{n}", "answer": n} for n in range(10)]))
    assert [i.gold for i in load(path, limit=2, offset=3).items] == ["3", "4"]
    assert len(load(path, offset=8, limit=50).items) == 2
    assert [i.problem.id for i in load(path, offset=8).items] == ["p/9", "p/10"]
    for bad in ({"offset": 10}, {"limit": 0}, {"offset": -1}):
        with pytest.raises(UsageError, match="offset"):
            load(path, **bad)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("e.jsonl", b"", "is empty"),
        ("e.jsonl", b" \n\n ", "is empty"),
        ("b.jsonl", b"\x00\x01\x02\xff" * 100, "is no text"),
        ("b.jsonl", b"PAR1\x15\x04", "is a Parquet file"),
        (
            "l.jsonl",
            b'{"question": "a", "answer": "b"}\n{"question": "caf\xe9"}\n',
            "line 2 has the byte 0xe9",
        ),
        ("j.jsonl", b"what\never\n", "no row that can be read"),
        ("q.jsonl", b'{"foo": 1, "bar": 2}\n', "foo, bar"),
        ("q.json", b'{"question": 1}', "an object"),
        ("q.json", b'[{"question": ', "no JSON"),
        ("p.parquet", b"PAR1 this is not", "no Parquet file"),
    ],
)
def test_files_that_cannot_be_read_say_what_to_do(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as raised:
        load(str(path))
    assert str(path) in str(raised.value)


def test_paths_that_lead_nowhere(tmp_path):
    for spec in (tmp_path / "none.jsonl", tmp_path / "folder.jsonl", tmp_path / "none.parquet"):
        if spec.name.startswith("folder"):
            spec.mkdir()
        with pytest.raises(UsageError, match="cannot be read"):
            load(str(spec))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match=r"\.jsonl"):
        load(str(tmp_path / "notes.txt"))


def test_options_that_nobody_reads_are_refused(tmp_path):
    path = lines(tmp_path / "o.jsonl", [{"question": "a", "answer": "b"}])
    with pytest.raises(UnknownName, match="answer"):
        load(f"{path}:answr=b")
    with pytest.raises(UsageError, match="no field 'gold'"):
        load(f"{path}:answer=gold")
    with pytest.raises(UnknownName, match="math"):
        load(f"{path}:kind=maths")
    with pytest.raises(UsageError, match="twice"):
        load(f"{path}:answer=answer,answer=question")


def test_a_list_and_windows_line_ends_and_a_mark_at_the_start(tmp_path):
    (tmp_path / "l.json").write_text(
        json.dumps([{"question": "a", "answer": 1}, 5, {"question": "b", "answer": 2}])
    )
    tasks = load(str(tmp_path / "l.json"))
    assert [i.gold for i in tasks.items] == ["1", "2"]
    assert "item 2" in tasks.complaints[0]
    (tmp_path / "w.jsonl").write_bytes('\ufeff{"question": "é", "answer": 1}\r\n'.encode())
    assert load(str(tmp_path / "w.jsonl")).items[0].problem.question == "é"


def test_parquet_is_read_like_lines(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"question": "1+1", "answer": "so\n#### 2", "level": 3},
        {"question": "2.5?", "answer": "2.5", "level": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    items = load(str(tmp_path / "t.parquet")).items
    assert [(i.gold, i.level, i.problem.id) for i in items] == [("2", 3.0, "t/1"), ("2.5", None, "t/2")]


def test_a_strategy_sees_nothing_of_what_is_right(tmp_path):
    item = load(str(lines(tmp_path / "m.jsonl", MATH))).items[1]
    assert item.gold == "\\frac{1}{2}"
    assert "frac" not in repr(item.problem)
    assert {f.name for f in fields_of(Problem)} & {"gold", "answer", "solution"} == set()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail_in_another_way(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        load(f"{path}:question=no such field")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"question": JSON | st.just("ok?")},
            optional={"answer": JSON, "choices": JSON, "id": JSON, "level": JSON},
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_fields_hold_each_row_is_an_item_or_a_complaint(tmp_path_factory, rows):
    path = lines(tmp_path_factory.mktemp("any") / "any.jsonl", rows)
    try:
        tasks = load(str(path))
    except UsageError:
        asks = [row for row in rows if isinstance(row["question"], str) and row["question"].strip()]
        assert all("choices" in row for row in asks)
        return
    assert len({i.problem.id for i in tasks.items}) == len(tasks.items)
    assert len(tasks.items) + len(tasks.complaints) >= len(rows)
