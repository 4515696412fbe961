"""`pull` against a real server, real processes and a real pip; only clocks and disk sizes are made up."""

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ponder.core.errors import ModelFileError, PonderError
from ponder.models import (
    CATALOGUE,
    DEFAULT_ORDER,
    DiskFull,
    HubFile,
    ModelFile,
    ModelUnavailable,
    RegistryPackages,
    SourceFailed,
    StorageFailed,
    UnknownModel,
    WheelMember,
    find,
    models_dir,
    pull,
    registry,
    resolve,
    transfer,
)
from ponder.models.registry import Wheel, extract

DATA = b"GGUF" + random.Random(1).randbytes(3_000_000)
HUB_PATH = "/who/what/resolve/main/tiny.gguf"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 60.0)
    transfer.forget_unreachable()
    yield
    transfer.forget_unreachable()


def tiny(*sources, data=DATA):
    return ModelFile(
        name="tiny",
        title="Tiny",
        file="tiny.gguf",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        licence="none",
        parameters="0",
        sources=sources,
    )


def hub(shelf, repo="who/what"):
    return HubFile(repo, "tiny.gguf", host=shelf.url)


def files(directory):
    return sorted(p.name for p in directory.iterdir() if not p.name.endswith((".lock", ".verified")))


def reasons(caught):
    return [why for _, why in caught.value.reasons]


def until(true, seconds=300.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


# One download


def test_a_file_lands_verified_and_is_then_found_without_the_network(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA)
    model, seen = tiny(hub(shelf)), []
    assert find(model, into=tmp_path) is None
    path = pull(model, into=tmp_path, progress=lambda *step: seen.append(step))
    assert path.read_bytes() == DATA
    assert files(tmp_path) == ["tiny.gguf"]
    fetching = [(done, total) for done, total, what in seen if what.startswith("fetching")]
    assert fetching == sorted(fetching)
    assert fetching[-1] == (len(DATA), len(DATA))
    assert seen[-1] == (len(DATA), len(DATA), "verifying tiny")
    assert find(model, into=tmp_path) == pull(model, into=tmp_path) == path
    assert len(shelf.asked) == 1


def test_a_cut_connection_is_taken_up_where_it_broke(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, cuts=[1_000_000, 500_000])
    assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA
    assert shelf.starts(HUB_PATH) == [0, 1_000_000, 1_500_000]


def test_a_server_that_ignores_range_is_read_from_the_start(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, cuts=[1_000_000], ranges=False)
    assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA
    assert len(shelf.asked) == 2


def test_a_server_that_ignores_range_and_always_cuts_is_given_up(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, cuts=[1_000_000] * 99, ranges=False)
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path)
    assert "cut the connection (1.0 MB kept" in reasons(caught)[0]
    assert len(shelf.asked) == 1 + transfer.IDLE_TRIES


def test_server_errors_that_may_pass_are_tried_again_and_others_not(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, statuses=[503, 500])
    assert pull(tiny(hub(shelf)), into=tmp_path / "a")
    shelf.put(HUB_PATH, DATA, statuses=[403])
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path / "b")
    assert "answers 403 Forbidden" in reasons(caught)[0]
    assert len(shelf.asked) == 4


def test_a_slow_server_is_waited_for(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, pause=0.005)
    assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA


def test_a_stalled_connection_is_dropped_and_taken_up_again(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "STALL_SECONDS", 1.0)
    item = shelf.put(HUB_PATH, DATA, pause=30)

    def soon_quick(done, total, what):
        item.pause = 0  # the first answer already sleeps; the next will not
        monkeypatch.setattr(transfer, "STALL_SECONDS", 60.0)

    assert pull(tiny(hub(shelf)), into=tmp_path, progress=soon_quick).read_bytes() == DATA
    assert shelf.starts(HUB_PATH) == [0, 1 << 16]


# The hash decides


def test_wrong_bytes_are_refused_and_removed(shelf, tmp_path):
    shelf.put(HUB_PATH, bytes(len(DATA)))
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path)
    assert "not to the pinned" in reasons(caught)[0]
    assert files(tmp_path) == []


def test_another_size_is_refused_before_it_is_fetched(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA + b"more")
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path)
    assert "offers 3,000,008 bytes where 3,000,004 are expected" in reasons(caught)[0]
    assert files(tmp_path) == []


def test_a_server_that_tells_no_length_is_read_and_stopped_at_the_size(shelf, tmp_path):
    item = shelf.put(HUB_PATH, DATA, tells_length=False)
    assert pull(tiny(hub(shelf)), into=tmp_path / "a").read_bytes() == DATA
    item.data = DATA + bytes(1_000_000)
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path / "b")
    assert "sends more than the 3,000,004 bytes" in reasons(caught)[0]
    assert transfer.held(tmp_path / "b" / "tiny.gguf.part") <= len(DATA)


def test_a_bad_partial_costs_one_fresh_start_and_not_the_source(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA)
    (tmp_path / "tiny.gguf.part").write_bytes(b"x" * 1000)
    assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA
    assert shelf.starts(HUB_PATH) == [1000, 0]


@pytest.mark.parametrize("size", [len(DATA), len(DATA) + 9])
def test_a_partial_that_is_whole_or_too_long_but_wrong(shelf, tmp_path, size):
    shelf.put(HUB_PATH, DATA)
    (tmp_path / "tiny.gguf.part").write_bytes(bytes(size))
    assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA


def test_a_changed_file_is_noticed_and_replaced(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA)
    model = tiny(hub(shelf))
    path = pull(model, into=tmp_path)
    path.write_bytes(bytes(len(DATA)))
    assert find(model, into=tmp_path) is None
    assert pull(model, into=tmp_path).read_bytes() == DATA


def test_a_file_put_there_by_hand_is_hashed_once(tmp_path, monkeypatch):
    (tmp_path / "tiny.gguf").write_bytes(DATA)
    model = tiny()
    assert find(model, into=tmp_path)
    monkeypatch.setattr("ponder.models.landing.sha256", None)
    assert find(model, into=tmp_path)


# Sources


def test_sources_are_tried_in_order_and_each_says_why_it_failed(shelf, tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        packages = RegistryPackages(
            (WheelMember("gone", "1.0", "gone/x.bin", len(DATA)),), note="a stranger's"
        )
        model = tiny(HubFile("a/b", "tiny.gguf", host=dead), hub(shelf), packages)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        with pytest.raises(ModelUnavailable) as caught:
            pull(model, into=tmp_path)
        why = reasons(caught)
        assert "Connection refused" in why[0]
        assert "answers 404" in why[1]
        assert why[2].startswith("pip: No matching distribution found for gone==1.0")
        assert all(w in str(caught.value) for w in why)
        assert "a stranger's" in str(caught.value)
        assert "-m path/to/file.gguf" in str(caught.value)
        shelf.put(HUB_PATH, DATA)
        assert pull(model, into=tmp_path).read_bytes() == DATA


def test_a_silent_host_is_skipped_quickly_and_not_asked_again(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 0.3)
    item = shelf.put(HUB_PATH, DATA)
    item.speaks.clear()
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path)
    assert "did not answer within 0.3 s" in reasons(caught)[0]
    with pytest.raises(ModelUnavailable) as caught:
        pull(tiny(hub(shelf)), into=tmp_path)
    assert reasons(caught)[0].endswith("(not asked again)")
    item.speaks.set()
    until(lambda: not any(t.name.startswith("ponder opening") for t in transfer.threading.enumerate()))
    assert len(shelf.asked) == 1


def test_a_second_source_goes_on_where_the_first_stopped(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, cuts=[1_000_000, 0, 0, 0])
    shelf.put("/b/b/resolve/main/tiny.gguf", DATA)
    assert pull(tiny(hub(shelf), hub(shelf, "b/b")), into=tmp_path).read_bytes() == DATA
    assert shelf.starts("/b/b/resolve/main/tiny.gguf") == [1_000_000]


# Processes


PULL = """
    import signal, sys
    from ponder.models import HubFile, ModelFile, pull
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
    url, size, sha, into = sys.argv[1:]
    hub = HubFile("who/what", "tiny.gguf", host=url)
    model = ModelFile("tiny", "Tiny", "tiny.gguf", int(size), sha, "none", "0", (hub,))
    print(pull(model, into=into, progress=lambda d, t, w: print(w, file=sys.stderr)))
"""


def child(shelf, into):
    model = tiny()
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(PULL),
        shelf.url,
        str(model.bytes),
        model.sha256,
        str(into),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_pull_leaves_no_file_and_is_resumed(shelf, tmp_path, how):
    item = shelf.put(HUB_PATH, DATA, pause=0.02)
    process, part = child(shelf, tmp_path), tmp_path / "tiny.gguf.part"
    until(lambda: transfer.held(part) > 300_000)
    process.send_signal(how)
    process.communicate()
    kept = part.stat().st_size
    assert files(tmp_path) == ["tiny.gguf.part"]
    item.pause = 0
    assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA
    assert shelf.starts(HUB_PATH) == [0, kept]
    assert files(tmp_path) == ["tiny.gguf"]


def test_two_pulls_at_once_fetch_one_file_once(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA, pause=0.015)
    both = [child(shelf, tmp_path), child(shelf, tmp_path)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert {out.strip() for out, _ in said} == {str(tmp_path / "tiny.gguf")}
    waits = [err for _, err in said if f"waiting for process {both[0].pid}" in err]
    waits += [err for _, err in said if f"waiting for process {both[1].pid}" in err]
    assert len(waits) == 1
    assert shelf.starts(HUB_PATH) == [0]
    assert (tmp_path / "tiny.gguf").read_bytes() == DATA


def test_the_lock_of_a_dead_process_holds_nobody_up(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA)
    (tmp_path / "tiny.gguf.lock").write_text("999999\n")
    assert pull(tiny(hub(shelf)), into=tmp_path)


# Disks


def test_a_full_disk_is_seen_before_a_byte_is_asked_for(shelf, tmp_path, monkeypatch):
    shelf.put(HUB_PATH, DATA)
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match="2 MB free and 3 MB are needed"):
        pull(tiny(hub(shelf)), into=tmp_path)
    assert shelf.asked == []
    (tmp_path / "tiny.gguf.part").write_bytes(DATA[:1_500_000])  # what is here already needs no room
    assert pull(tiny(hub(shelf)), into=tmp_path)


def test_wheels_count_as_needed_room(shelf, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=len(DATA) + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    source = on_shelf(shelf, tmp_path, monkeypatch, [DATA])
    with pytest.raises(DiskFull):
        pull(tiny(source), into=tmp_path / "here")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_fills_up_on_the_way(shelf, tmp_path):
    shelf.put(HUB_PATH, DATA)
    (tmp_path / "tiny.gguf.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="or use a file of your own"):
        pull(tiny(hub(shelf)), into=tmp_path)
    assert not (tmp_path / "tiny.gguf").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_pull_goes_on_after_room_was_made(shelf, tmp_path, monkeypatch):
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(mounted, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        shelf.put(HUB_PATH, DATA)
        with monkeypatch.context() as lying:
            usage = shutil.disk_usage("/")._replace(free=1 << 40)
            lying.setattr(shutil, "disk_usage", lambda _: usage)
            with pytest.raises(DiskFull):
                pull(tiny(hub(shelf)), into=tmp_path)
        kept = transfer.held(tmp_path / "tiny.gguf.part")
        assert 1_000_000 < kept <= 2 << 20
        subprocess.run(["mount", "-o", "remount,size=16m", str(tmp_path)], check=True)
        assert pull(tiny(hub(shelf)), into=tmp_path).read_bytes() == DATA
        assert shelf.starts(HUB_PATH) == [0, kept]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_directory_that_cannot_be_one_is_said_so(shelf, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="Name another directory"):
        pull(tiny(hub(shelf)), into=tmp_path / "file" / "models")


# Wheels


def make_wheel(path, name, members):
    """A wheel at `path`/<name>-1.0-py3-none-any.whl, enough of one for pip."""
    wheel = path / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def split(data, n):
    size = -(-len(data) // n)
    return [data[i : i + size] for i in range(0, len(data), size)]


def build(directory, chunks):
    """A wheel for each chunk in `directory`, and the source that names them."""
    directory.mkdir(exist_ok=True)
    for i, chunk in enumerate(chunks):
        make_wheel(directory, f"tinypart{i}", {f"tinypart{i}/data.bin": chunk})
    return RegistryPackages(
        tuple(
            WheelMember(f"tinypart{i}", "1.0", f"tinypart{i}/data.bin", len(c)) for i, c in enumerate(chunks)
        )
    )


def on_shelf(shelf, tmp_path, monkeypatch, chunks):
    """The same served over HTTP, with a `locate` that does not need pip."""
    source = build(tmp_path / "house", chunks)
    wheels = {}
    for i, wheel in enumerate(sorted((tmp_path / "house").iterdir())):
        shelf.put(f"/{wheel.name}", wheel.read_bytes())
        sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
        wheels[f"tinypart{i}"] = Wheel(f"{shelf.url}/{wheel.name}", sha)
    monkeypatch.setattr(registry, "locate", lambda package, version: wheels[package])
    return source


def test_real_pip_finds_wheels_on_a_server_and_parts_are_joined_in_order(shelf, tmp_path, monkeypatch):
    source = build(tmp_path / "house", split(DATA, 2))
    page = ""
    for wheel in (tmp_path / "house").iterdir():
        shelf.put(f"/{wheel.name}", wheel.read_bytes())
        sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
        page += f'<a href="/{wheel.name}#sha256={sha}">{wheel.name}</a>\n'
    shelf.put("/links.html", f"<!DOCTYPE html><html><body>{page}</body></html>".encode(), type="text/html")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{shelf.url}/links.html")
    located = registry.locate("tinypart0", "1.0")
    assert located.url.startswith(shelf.url)
    assert located.sha256
    into = tmp_path / "here"
    seen = []
    assert pull(tiny(source), into=into, progress=lambda d, t, w: seen.append(w)).read_bytes() == DATA
    assert files(into) == ["tiny.gguf"]
    assert list(dict.fromkeys(seen)) == [
        "using registry packages tinypart0 .. tinypart1 1.0",
        "fetching tinypart0 (1 of 2)",
        "unpacking tinypart0 (1 of 2)",
        "fetching tinypart1 (2 of 2)",
        "unpacking tinypart1 (2 of 2)",
        "verifying tiny",
    ]


def test_a_local_wheelhouse_is_read_in_place_and_left_alone(tmp_path, monkeypatch):
    source = build(tmp_path / "house", [DATA])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "house"))
    assert registry.locate("tinypart0", "1.0").local
    assert pull(tiny(source), into=tmp_path / "here").read_bytes() == DATA
    assert files(tmp_path / "house") == ["tinypart0-1.0-py3-none-any.whl"]
    assert files(tmp_path / "here") == ["tiny.gguf"]


def test_a_missing_pip_is_said_so(tmp_path, monkeypatch):
    without = tmp_path / "python"
    base = Path(sys.base_prefix) / "bin" / "python3"
    without.write_text(f'#!/bin/sh\nexec "{base}" -I -S "$@"\n')
    without.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(without))
    with pytest.raises(SourceFailed, match="pip is missing"):
        registry.locate("tinypart0", "1.0")


def test_parts_already_joined_are_not_fetched_again(shelf, tmp_path, monkeypatch):
    chunks = split(DATA, 4)
    source = on_shelf(shelf, tmp_path, monkeypatch, chunks)
    third = "/tinypart2-1.0-py3-none-any.whl"
    shelf.items[third].cuts = [300_000, 0, 0, 0]
    into = tmp_path / "here"
    with pytest.raises(ModelUnavailable):
        pull(tiny(source), into=into)
    assert files(into) == ["tiny.gguf.part", "tiny.gguf.part.tinypart2-1.0.whl"]
    with (into / "tiny.gguf.part").open("ab") as part:
        part.write(b"half of a part, cut while unpacking")
    shelf.asked.clear()
    assert pull(tiny(source), into=into).read_bytes() == DATA
    assert shelf.asked == [(third, 300_000), ("/tinypart3-1.0-py3-none-any.whl", 0)]
    assert files(into) == ["tiny.gguf"]


def test_parts_in_the_wrong_order_do_not_pass(shelf, tmp_path, monkeypatch):
    source = on_shelf(shelf, tmp_path, monkeypatch, split(DATA, 2))
    with pytest.raises(ModelUnavailable, match="not to the pinned"):
        pull(tiny(replace(source, members=source.members[::-1])), into=tmp_path / "here")
    assert files(tmp_path / "here") == []


def test_a_wheel_without_the_registry_s_hash_is_refused(shelf, tmp_path, monkeypatch):
    source = on_shelf(shelf, tmp_path, monkeypatch, [DATA])
    item = shelf.items["/tinypart0-1.0-py3-none-any.whl"]
    item.data = item.data[:-1] + b"x"
    with pytest.raises(ModelUnavailable, match="does not have the hash its index gives"):
        pull(tiny(source), into=tmp_path / "here")
    assert files(tmp_path / "here") == []


def test_a_killed_wheel_download_that_was_already_whole(shelf, tmp_path, monkeypatch):
    source = on_shelf(shelf, tmp_path, monkeypatch, [DATA])
    into = tmp_path / "here"
    into.mkdir()
    shutil.copy(
        tmp_path / "house" / "tinypart0-1.0-py3-none-any.whl", into / "tiny.gguf.part.tinypart0-1.0.whl"
    )
    assert pull(tiny(source), into=into).read_bytes() == DATA
    assert files(into) == ["tiny.gguf"]


@pytest.mark.parametrize(
    "name", ["/etc/evil", "../evil", "a/../../evil", "..\\evil", "C:\\evil", "\\\\host\\evil"]
)
def test_hostile_names_are_refused(tmp_path, name):
    wheel = make_wheel(tmp_path, "bad", {"bad/data.bin": b"fine", name: b"evil"})
    with pytest.raises(SourceFailed, match="hostile name"):
        extract(wheel, WheelMember("bad", "1.0", "bad/data.bin", 4), bytearray().extend)


def refused(wheel, size, match):
    out = bytearray()
    with pytest.raises(SourceFailed, match=match):
        extract(wheel, WheelMember("bad", "1.0", "bad/data.bin", size), out.extend)
    assert len(out) <= size


def test_sizes_are_counted_and_not_believed(tmp_path):
    refused(make_wheel(tmp_path, "bad", {"bad/data.bin": bytes(1000)}), 999, "claims 1,000 bytes")
    refused(make_wheel(tmp_path, "bad", {"bad/other.bin": b""}), 4, "0 times, not once")
    wheel = make_wheel(tmp_path, "bad", {"bad/data.bin": bytes(100_000)})
    whole = wheel.read_bytes()
    lying = whole.replace((100_000).to_bytes(4, "little"), (50_000).to_bytes(4, "little"))
    wheel.write_bytes(lying)
    refused(wheel, 50_000, "damaged|longer")
    wheel.write_bytes(whole.replace((100_000).to_bytes(4, "little"), (200_000).to_bytes(4, "little")))
    refused(wheel, 200_000, "damaged|are expected")


def test_a_damaged_wheel_is_said_so(tmp_path):
    wheel = make_wheel(tmp_path, "bad", {"bad/data.bin": DATA})
    whole = bytearray(wheel.read_bytes())
    whole[5000:5100] = bytes(100)
    wheel.write_bytes(whole)
    refused(wheel, len(DATA), "damaged")
    wheel.write_bytes(b"<html>log in</html>")
    refused(wheel, len(DATA), "damaged")


# Names


@pytest.mark.parametrize(("name", "model"), [("smollm2", 1), ("SmolLM2-135M", 1), ("qwen-0.5b", 0)])
def test_names_and_aliases(name, model):
    assert resolve(name) is DEFAULT_ORDER[model]


def test_an_unknown_name_gets_near_ones_and_all_that_exist():
    with pytest.raises(UnknownModel) as caught:
        resolve("smolm2")
    assert "Did you mean smollm2" in str(caught.value)
    assert all(name in str(caught.value) for name in CATALOGUE)
    assert "-m path/to/file.gguf" in str(caught.value)
    with pytest.raises(UnknownModel):
        pull("zzz")


def test_paths(tmp_path):
    own = tmp_path / "own.gguf"
    own.write_bytes(DATA[:100])
    assert resolve(own) == resolve(str(own)) == own
    with pytest.raises(ModelFileError, match="No such file"):
        resolve(str(tmp_path / "none.gguf"))
    own.write_bytes(b"<html>")
    with pytest.raises(ModelFileError, match="not a GGUF file"):
        resolve(own)


def test_the_catalogue_is_consistent():
    for model in CATALOGUE.values():
        assert len(model.sha256) == 64
        for source in model.sources:
            if isinstance(source, RegistryPackages):
                assert sum(m.bytes for m in source.members) == model.bytes
    assert "anonymous" in DEFAULT_ORDER[0].notes[0]
    assert DEFAULT_ORDER[1].notes == ()


def test_errors_are_ponder_s():
    for error in (ModelUnavailable, DiskFull, StorageFailed, SourceFailed, UnknownModel):
        assert issubclass(error, PonderError)


def test_models_dir(tmp_path):
    assert models_dir(tmp_path) == tmp_path
    assert models_dir().name == "models"
