"""What was committed survives, whatever happens; and no file, however odd, crashes a reader."""

import errno
import functools
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from ponder.core import events as e
from ponder.core.calls import Usage
from ponder.core.errors import StoreError, UnknownName, UsageError
from ponder.store import RunFile, RunWriter, coding, list_runs, locate, names, schema
from ponder.store import writer as writing

CHILD = Path(__file__).with_name("writing.py")
USAGE = Usage(prompt=3, completion=5, calls=2, seconds=0.25)
EVENTS = [
    e.Started("", "q-1", "What is 17 + 48 - 29?", "best-of-n:n=2", {"solver": "m"}, "4k", 7),
    e.Extending("0.0", "", "Wait", "solver", {"max_tokens": 9, "temperature": 0.8}),
    e.Extended("0.0", "", "Wait", "solver", "36", (1, 2, 3), "eos", None, USAGE, -0.5),
    e.Extending("0.1", "", "", "solver", {"max_tokens": 9}),
    e.Failed("0.1", "", "solver", "connection reset", Usage(calls=1)),
    e.Scored("1", "prm", ("0.0",), (float("-inf"),)),
    e.Thought("0.0", "0.0", 64, 71, obeyed=False),
    e.Recalled("1.0", "bm25", "what", ("this", "that")),
    e.Executed(
        "1.1", "def f(): return 1", (("{}", "1", None), ("{}", None, "E: no")), Usage(calls=1, seconds=0.5)
    ),
    e.Visited("1", ("", "0"), (0.5, 0.25), (2, 1)),
    e.Delegated("2", "first-of:n=1", "1k"),
    e.Answered("", (("0.0", "36", "36"), ("0.1", None, None))),
    e.Proposed("", "0.0", "36"),
    e.Finished("", "degraded", "0.0", "36", (("36", 1.0),), USAGE, 1),
]


def record(writer, events=EVENTS, **labels):
    watch = writer.attempt(**labels)
    for event in events:
        watch(event)
    return watch.id


def sound(path):
    """The events kept, after SQLite's own check of the whole file."""
    run = sqlite3.connect(path)
    try:
        assert run.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return run.execute("SELECT count(*) FROM events").fetchone()[0]
    finally:
        run.close()


# -- what is written is read -----------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was(tmp_path):
    with RunWriter.create(
        tmp_path / "a" / "runs", command=["ponder", "solve"], versions={"ponder": "0.1.0"}, meta={"task": "t"}
    ) as writer:
        one = record(writer, epoch=3)
        two = record(writer, EVENTS[:4])
        writer.flush()
        with RunFile.open(writer.path) as run:
            assert run.events(one) == EVENTS
            assert [a.status for a in run.attempts()] == ["finished", "running"]
    with RunFile.open(writer.path) as run:
        assert run.events(one) == EVENTS
        assert run.events(two) == EVENTS[:4]
        first, second = run.attempts()
        assert (first.problem, first.strategy, first.budget, first.seed) == ("q-1", "best-of-n:n=2", "4k", 7)
        assert (first.status, first.stop, first.answer, first.failed) == ("finished", "degraded", "36", 1)
        assert (first.usage, first.labels, first.models) == (USAGE, {"epoch": 3}, {"solver": "m"})
        assert first.started <= first.ended <= time.time()
        assert (second.status, second.stop, second.usage) == ("interrupted", None, None)
        assert run.attempts(problem="q-1", strategy="other") == []
        assert len(run.attempts(problem="q-1")) == 2
        meta = run.meta()
        assert (meta["id"], meta["command"], meta["task"]) == (writer.id, ["ponder", "solve"], "t")
        with pytest.raises(UsageError, match="holds 2 attempts"):
            run.events()
        with pytest.raises(UnknownName, match="attempt"):
            run.events(9)


def test_one_file_is_left_and_only_its_owner_reads_it(tmp_path):
    old = os.umask(0)
    try:
        writer = RunWriter.create(tmp_path / "x" / "runs")
        record(writer)
        writer.flush()
        held = list((tmp_path / "x" / "runs").iterdir())
        assert len(held) == 4, "the file, its log, the log's index and the lock"
        assert all(p.stat().st_mode & 0o777 == 0o600 for p in held)
        writer.close()
        writer.close()
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "x" / "runs").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "x" / "runs").iterdir()) == [writer.path]
    assert writer.path.stem == writer.id
    record(writer)  # an engine's thread that ends late: not recorded, not raised


def test_tokens_as_they_come_are_not_stored(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        watch = writer.attempt()
        for event in (EVENTS[0], e.Wrote("0.0", "3", 1), EVENTS[-1]):
            watch(event)
    with RunFile.open(writer.path) as run:
        assert run.events() == [EVENTS[0], EVENTS[-1]]


@pytest.mark.parametrize(
    "text",
    ["", "日本語 🧮", "\ud800 alone", "a\x00b", "\x1b[31m", "\u2028'); DROP TABLE events; --", '{"a": 1}'],
)
def test_any_text_comes_back(tmp_path, text):
    events = [
        e.Started("", text, text, text, {text: text}, text, 1 << 80),
        e.Extended("0", "", text, text, text, None, "stop", text, Usage(), None),
        e.Finished("", "finished", "0", text, ((text, 1.0),), Usage(), 0),
    ]
    with RunWriter.create(tmp_path, command=[text]) as writer:
        record(writer, events, label=text)
    with RunFile.open(writer.path) as run:
        assert run.events() == events
        (row,) = run.attempts(problem=text)
        assert (row.problem, row.question, row.strategy, row.answer) == (text,) * 4
        assert (row.seed, row.labels) == (1 << 80, {"label": text})
        assert run.meta()["command"] == [text]
    assert list_runs(tmp_path)[0].question == text
    assert sound(writer.path) == 3


def test_every_field_of_every_event_can_be_read():
    assert set(coding.KINDS) == {c.kind for c in map(type, EVENTS)} | {"wrote"}
    for cls in (*coding.KINDS.values(), Usage):
        for field in fields(cls):
            assert str(field.type) in coding.READERS, (cls, field.name)
    for event in EVENTS:
        assert coding.decode(event.kind, event.place, coding.encode(event)) == event


def test_events_of_some_kinds(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        record(writer, EVENTS)
    with RunFile.open(writer.path) as run:
        assert run.events(kinds=(e.Answered, e.Extended)) == [
            event for event in EVENTS if isinstance(event, e.Answered | e.Extended)
        ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("nonsense", "{}"),
        ("wrote", "[]"),
        ("wrote", "{}"),
        ("wrote", '{"text": 3, "tokens": 1}'),
        ("wrote", '{"text": "", "tokens": true}'),
        ("proposed", '{"path": null, "answer": null}'),
        ("scored", '{"scorer": "s", "paths": ["0"], "values": ["x"]}'),
        ("scored", '{"scorer": "s", "paths": "0", "values": [1]}'),
        ("scored", '{"scorer": "s", "paths": [], "values": [1' + "0" * 400 + "]}"),
        ("answered", '{"answers": [["0", "36"]]}'),
        ("failed", '{"parent": "", "role": "", "error": "", "usage": 3}'),
        ("extending", '{"parent": "", "written": "", "role": "", "sampling": ' + "[" * 99_999),
        ("wrote", "\x00"),
    ],
)
def test_what_is_no_event_is_refused(kind, body):
    with pytest.raises(StoreError, match="cannot be read"):
        coding.decode(kind, "0", body)


def test_fields_of_later_versions_are_left_out():
    body = '{"path": "0", "answer": null, "mood": "good"}'
    assert coding.decode("proposed", "", body) == e.Proposed("", "0", None)


def test_many_threads_write_many_attempts(tmp_path):
    with RunWriter.create(tmp_path) as writer, ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: record(writer), range(200)))
    assert sorted(ids) == list(range(1, 201))
    with RunFile.open(writer.path) as run:
        assert all(run.events(i) == EVENTS for i in ids[::20])
        assert {a.status for a in run.attempts()} == {"finished"}
    assert sound(writer.path) == 200 * len(EVENTS)


# -- what is lost, and what is not -----------------------------------------------------------------------------


def killed(directory, after):
    """Let a child write and kill it; what it had said, and when it died."""
    child = subprocess.Popen([sys.executable, CHILD, directory], stdout=subprocess.PIPE, text=True)
    path = Path(child.stdout.readline().strip())
    time.sleep(after)
    child.kill()
    died = time.monotonic()
    said = child.stdout.read().split("\n")[:-1]
    child.wait()
    child.stdout.close()
    return path, said, died


def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path, capsys):
    chance = random.Random(17)
    delays = [chance.uniform(0.0, 0.8) for _ in range(20)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda i: killed(tmp_path / str(i), delays[i]), range(20)))
    acknowledged, ages = 0, []
    for path, said, died in runs:
        kept = max([int(line.split()[1]) for line in said if line.startswith("kept")], default=0)
        acknowledged += kept
        with RunFile.open(path) as run:
            finished = [a for a in run.attempts() if a.status == "finished"]
            assert [a.labels["number"] for a in finished] == list(range(len(finished))), "a prefix, in order"
            assert len(finished) >= kept
            assert all(a.status == "interrupted" for a in run.attempts()[len(finished) :])
            for row in finished[-3:]:
                assert isinstance(run.events(row.id)[-1], e.Finished)
        put = [line.split() for line in said if line.startswith("put")]
        ages += [died - float(when) for _, number, when in put if int(number) > len(finished)]
        before = sound(path)
        with RunWriter.resume(path) as again:  # the lock of the dead is not in the way
            record(again)
        assert sound(path) == before + len(EVENTS)
        assert list_runs(path.parent)[0].damage is None
    assert acknowledged > 0
    with capsys.disabled():
        print(  # noqa: T201 - a figure for who reads the log; a busy machine makes no failure
            f"\n20 kills: {acknowledged} acknowledged attempts, 0 lost; the oldest attempt lost "
            f"unacknowledged had ended {max(ages, default=0) * 1e3:.0f} ms before the kill"
        )


def test_a_commit_does_not_wait_for_company(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        record(writer)
        with RunFile.open(writer.path) as run:
            end = time.monotonic() + 300
            while not run.attempts() and time.monotonic() < end:
                time.sleep(0.005)
            assert run.events() == EVENTS


class Faulty(sqlite3.Connection):
    """Fails for good after some statements."""

    left = 0
    code = "disk I/O error"

    def _may(self):
        Faulty.left -= 1
        if Faulty.left < 0:
            raise sqlite3.OperationalError(Faulty.code)

    def execute(self, *args):
        self._may()
        return super().execute(*args)

    def executemany(self, *args):
        self._may()
        return super().executemany(*args)


def write_until_it_fails(folder, n):
    """On a disk that fails after `n` statements: all that was kept is whole, and the rest is told."""
    kept, stopped = 0, False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Faulty), raising=True)
        Faulty.left = n
        try:
            writer = RunWriter.create(folder)
        except StoreError:
            writer = None
        if writer is not None:
            for _ in range(8):
                record(writer)
                try:
                    writer.flush()
                    kept += 1
                except StoreError:
                    stopped = True
            record(writer)  # never raises into the run
            if stopped:
                with pytest.raises(
                    StoreError, match=r"could not be written \(disk I/O error\).*Free some room"
                ):
                    writer.close()
            else:
                writer.close()
            writer.close()
    if writer is None:
        assert list_runs(folder) == [] or list_runs(folder)[0].damage is None
        return
    assert sound(writer.path) == kept * len(EVENTS) + (0 if stopped else len(EVENTS))
    with RunFile.open(writer.path) as run:
        assert len(run.attempts()) == kept + (not stopped)
    RunWriter.resume(writer.path).close()


@pytest.mark.parametrize("n", range(1, 41))
def test_the_run_goes_on_when_its_file_fails(tmp_path, n):
    write_until_it_fails(tmp_path, n)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no RLIMIT_FSIZE")
def test_writes_that_the_system_refuses(tmp_path):
    """Real failed writes: a child whose files may have only so many bytes."""

    def limited(size):
        out = subprocess.run(
            [sys.executable, CHILD, tmp_path / str(size), str(size)],
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert out.stderr == ""
        return out.stdout.split("\n")[:-1]

    sizes = [1, 4_096, 20_000, 40_000, 50_000, 90_000, 150_000, 400_000]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(limited, sizes))
    for said in outcomes[:2]:
        assert said[-1].startswith("refused")
        assert "cannot be written" in said[-1]
    for said in outcomes[2:]:
        if said[-1].startswith("refused"):
            continue
        assert said[-1].startswith("stopped The run file")
        kept = max([int(line.split()[1]) for line in said if line.startswith("kept")], default=0)
        path = Path(said[0])
        with RunFile.open(path) as run:
            assert sum(a.status == "finished" for a in run.attempts()) >= kept
        sound(path)
    assert outcomes[-1][-1].startswith("stopped")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a tiny file system")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True)
    if mount.returncode:
        pytest.skip(f"mounting is not allowed here: {mount.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(tiny_disk):
    writer = RunWriter.create(tiny_disk / "runs")
    kept, long = 0, [EVENTS[0], e.Failed("0", "", "", "x" * 4000, Usage()), EVENTS[-1]]
    with pytest.raises(StoreError, match="the disk is full") as full:  # noqa: PT012 - until it happens
        while True:
            record(writer, long)
            writer.flush()
            kept += 1
    assert "Free some room" in str(full.value)
    assert f"its first {kept * len(long)} events are kept" in str(full.value)
    with pytest.raises(StoreError, match="the disk is full"):
        writer.close()
    assert kept > 0
    with RunFile.open(writer.path) as run:
        assert sum(a.status == "finished" for a in run.attempts()) == kept
        run.check()
    with pytest.raises(StoreError, match="cannot be written"):  # noqa: PT012 - no room for one run more
        for _ in range(99):
            RunWriter.create(tiny_disk / "runs").close()


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written.*Choose another directory"):
        RunWriter.create(tmp_path / "file" / "runs")
    with pytest.raises(StoreError, match="There is no run file"):
        RunWriter.resume(tmp_path / "none.sqlite")


def test_an_error_of_the_run_is_not_hidden_by_one_of_the_store(tmp_path):
    with pytest.raises(KeyError) as error, RunWriter.create(tmp_path) as writer:  # noqa: PT012
        writer._error = OSError(errno.EIO, "Input/output error")
        raise KeyError("the run's")
    assert "could not be written (input/output error)" in error.value.__notes__[0]


def test_what_json_cannot_say_stops_the_record_not_the_run(tmp_path):
    writer = RunWriter.create(tmp_path)
    record(writer)
    writer.flush()
    circle = {}
    circle["self"] = circle
    record(writer, [e.Extending("0", "", "", "", circle)])
    record(writer)
    with pytest.raises(StoreError, match=f"first {len(EVENTS)} events"):
        writer.close()
    assert sound(writer.path) == len(EVENTS)


# -- two at once -----------------------------------------------------------------------------------------------


def test_the_second_writer_is_told_who_the_first_is(tmp_path):
    child = subprocess.Popen([sys.executable, CHILD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        path = Path(child.stdout.readline().strip())
        with pytest.raises(StoreError, match=rf"being written by process {child.pid} on \S+\. Wait"):
            RunWriter.resume(path)
        assert list_runs(tmp_path)[0].stop in ("running", None)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert names.lock_of(path).exists(), "a dead process's lock file stays, and means nothing"
    with RunWriter.resume(path) as writer, pytest.raises(StoreError, match=f"process {os.getpid()} on"):
        RunWriter.resume(writer.path)
    assert not names.lock_of(path).exists()


def test_only_one_of_many_gets_the_lock(tmp_path):
    RunWriter.create(tmp_path).close()
    (path,) = tmp_path.glob("*.sqlite")
    got, start = [], threading.Barrier(8)

    def one(_):
        start.wait()
        try:
            got.append(RunWriter.resume(path))
        except StoreError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        told = [x for x in pool.map(one, range(8)) if x]
    assert len(got) == 1
    assert len(told) == 7
    assert all("is being written by" in x for x in told)
    got[0].close()


def test_looking_does_not_make_a_writer_refuse(tmp_path):
    RunWriter.create(tmp_path).close()
    (path,) = tmp_path.glob("*.sqlite")
    done = threading.Event()

    def look():
        while not done.is_set():
            list_runs(tmp_path)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(10):
            with RunWriter.resume(path) as writer:
                record(writer)
    finally:
        done.set()
        thread.join()
    assert sound(path) == 10 * len(EVENTS)


def test_resuming_marks_what_was_cut_off(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        record(writer, EVENTS[:3])
    with RunWriter.resume(writer.path) as writer:
        assert record(writer, EVENTS[:2]) == 2
        writer.flush()
        with RunFile.open(writer.path) as run:
            assert [a.status for a in run.attempts()] == ["interrupted", "running"]


# -- other people's files --------------------------------------------------------------------------------------


def test_a_file_of_the_future(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        record(writer)
    run = sqlite3.connect(writer.path)
    run.execute("PRAGMA user_version = 99")
    run.close()
    for way in (RunFile.open, RunWriter.resume):
        with pytest.raises(StoreError, match=r"newer ponder .format 99; .* up to 2.*Upgrade ponder"):
            way(writer.path)
    assert not names.lock_of(writer.path).exists()
    assert "newer ponder" in list_runs(tmp_path)[0].damage


def test_a_file_of_the_past(tmp_path, monkeypatch):
    """Version 1 knew no evaluations."""
    monkeypatch.setattr(schema, "VERSION", 1)
    with RunWriter.create(tmp_path) as writer:
        record(writer)
    monkeypatch.undo()
    before = writer.path.read_bytes()
    with RunFile.open(writer.path) as run:
        assert run.events() == EVENTS
        assert run.attempts()[0].question == EVENTS[0].question
        assert (run.items(), run.samples(), run.grades()) == ({}, {}, {})
    assert writer.path.read_bytes() == before
    with pytest.raises(StoreError, match="older format 1"):
        RunWriter.resume(writer.path)


def test_damage_is_listed_and_never_crashes(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        for _ in range(20):
            record(writer)
    whole = writer.path.read_bytes()
    chance = random.Random(5)
    damaged = 0
    for i in range(150):
        data = bytearray(whole)
        if i % 3 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(chance.randrange(1, 200)):
                data[chance.randrange(100 if i % 3 == 1 else len(data))] = chance.randrange(256)
        path = tmp_path / f"20260101-0000-x{i:03d}.sqlite"
        path.write_bytes(data)
        try:
            with RunFile.open(path) as run:
                for attempt in run.attempts():
                    run.events(attempt.id)
                run.meta()
        except StoreError:
            damaged += 1
    assert damaged > 75
    runs = list_runs(tmp_path)
    assert len(runs) == 151
    assert sum(run.damage is None and run.finished == 20 for run in runs) >= 1
    assert all(run.damage.split(" ", 1)[0].startswith(str(tmp_path)) for run in runs if run.damage)


@pytest.mark.parametrize("use", [RunFile.open, RunWriter.resume])
def test_a_file_that_another_process_locks_is_not_called_damaged(tmp_path, monkeypatch, use):
    monkeypatch.setattr(schema, "PATIENCE", 0.01)
    with RunWriter.create(tmp_path) as writer:
        record(writer)
    other = sqlite3.connect(writer.path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"locked by another process.*try again\.$"):
        use(writer.path)
    other.close()
    use(writer.path).close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW w AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END",
        "CREATE TABLE more (x)",
        "DROP INDEX events_by_attempt",
        "ALTER TABLE events ADD COLUMN x DEFAULT 1",
    ],
)
def test_a_file_with_other_tables_is_not_read(tmp_path, statement):
    with RunWriter.create(tmp_path) as writer:
        record(writer)
    run = sqlite3.connect(writer.path)
    run.execute(statement)
    run.close()
    with pytest.raises(StoreError, match="its tables are not those"):
        RunFile.open(writer.path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET usage = '[1]'",
        "UPDATE attempts SET models = '{\"solver\": 3}'",
        "UPDATE attempts SET seed = 'x'",
        "UPDATE attempts SET status = 'happy'",
        "UPDATE attempts SET labels = '" + "[" * 20_000 + "'",
        "UPDATE events SET body = '{'",
        "UPDATE events SET kind = 'party'",
        "UPDATE events SET time = 'late'",
        "UPDATE events SET place = x'03'",
        "UPDATE attempts SET question = x'ff'",
        "UPDATE attempts SET started = 'long ago'",
        "UPDATE events SET body = x'00ff'",
        f"UPDATE events SET body = zeroblob({schema.LARGEST + 10}) WHERE seq = 1",  # noqa: S608
    ],
)
def test_rows_that_no_writer_wrote(tmp_path, statement):
    with RunWriter.create(tmp_path) as writer:
        record(writer)
    run = sqlite3.connect(writer.path, isolation_level=None)
    run.execute(statement)
    run.close()
    with pytest.raises(StoreError), RunFile.open(writer.path) as run:  # noqa: PT012 - one of them
        run.attempts()
        run.events()
    list_runs(tmp_path)


def test_other_files(tmp_path):
    (tmp_path / "empty.sqlite").write_bytes(b"")
    (tmp_path / "text.sqlite").write_text("not a database at all, " * 99)
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE t (x)")
    other.close()
    (tmp_path / "directory.sqlite").mkdir()
    (tmp_path / "gone.sqlite").symlink_to(tmp_path / "nowhere")
    assert [(r.id, r.damage is None) for r in sorted(list_runs(tmp_path), key=lambda r: r.id)] == [
        ("empty", False),
        ("other", False),
        ("text", False),
    ]
    with pytest.raises(StoreError, match="There is no run file"):
        RunFile.open(tmp_path / "none.sqlite")


def test_a_reader_changes_nothing(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        record(writer)
    with RunFile.open(writer.path) as run:
        with pytest.raises(sqlite3.OperationalError):
            run._connection.execute("DELETE FROM events")
        assert list(tmp_path.iterdir()) == [writer.path]


def test_the_list_is_newest_first(tmp_path):
    assert list_runs(tmp_path / "none") == []
    ids = []
    for i in range(4):
        with RunWriter.create(tmp_path) as writer:
            for _ in range(i):
                record(writer)
        ids.append(writer.id)
    runs = list_runs(tmp_path)
    assert [r.id for r in runs] == ids[::-1]
    assert list_runs(tmp_path, 2) == runs[:2]
    none, one, two = runs[3], runs[2], runs[1]
    assert (none.attempts, none.question, none.stop) == (0, "", None)
    assert (one.question, one.strategy, one.model) == ("What is 17 + 48 - 29?", "best-of-n:n=2", "m")
    assert (one.answer, one.stop, one.usage, one.finished) == ("36", "degraded", USAGE, 1)
    assert (two.answer, two.stop, two.usage, two.attempts) == (None, None, USAGE + USAGE, 2)


def test_runs_are_found_by_id(tmp_path):
    with RunWriter.create(tmp_path) as writer:
        pass
    assert locate(tmp_path, writer.id) == writer.path
    for bad in ("../" + tmp_path.name + "/" + writer.id, writer.id + "x", "", writer.id.upper()):
        with pytest.raises(UnknownName):
            locate(tmp_path, bad)
    with pytest.raises(UnknownName, match=f"Did you mean {writer.id}"):
        locate(tmp_path, writer.id[:-1] + "0")


# -- how fast ---------------------------------------------------------------------------------------------------


def test_throughput(tmp_path, capsys):
    event = e.Extended(
        "0.1.2", "0.1", "", "solver", "word " * 200, tuple(range(200)), "eos", None, USAGE, -9.5
    )
    n = 10_000
    writer = RunWriter.create(tmp_path)
    watch = writer.attempt()
    watch(EVENTS[0])
    began = time.perf_counter()
    for _ in range(n):
        watch(event)
    handed = time.perf_counter()
    writer.flush()
    kept = time.perf_counter()
    singles = []
    for _ in range(200):  # spaced out, as a run has them
        time.sleep(0.0005)
        at = time.perf_counter()
        watch(event)
        singles.append(time.perf_counter() - at)
    waits = []
    for _ in range(20):
        watch(event)
        at = time.perf_counter()
        writer.flush()
        waits.append(time.perf_counter() - at)
    writer.close()
    with RunFile.open(writer.path) as run:
        at = time.perf_counter()
        assert len(run.events()) == n + 221
        read = time.perf_counter() - at
    singles.sort()
    waits.sort()
    with capsys.disabled():
        print(  # noqa: T201 - a figure for who reads the log; a busy machine makes no failure
            f"\n{n} events of 200 tokens: handed over in {(handed - began) / n * 1e6:.1f} us each (burst), "
            f"{singles[100] * 1e6:.1f} us median and {singles[197] * 1e6:.0f} us p99 (spaced); "
            f"on disk {n / (kept - began):,.0f} a second; flush {waits[10] * 1e3:.1f} ms; "
            f"read back {(n + 221) / read:,.0f} a second; "
            f"{writer.path.stat().st_size / n:,.0f} bytes each"
        )
    assert writing.WINDOW < 0.05
