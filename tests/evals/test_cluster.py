"""An evaluation on a Ray cluster comes out as one in a single process, whoever dies on the way."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest
from sandbox.boxes import needed

from ponder import config
from ponder.cli.app import _with_address
from ponder.core.errors import EngineError, ModelFileError, UsageError
from ponder.evals.cluster import Cluster, joining
from ponder.evals.graders import Graders
from ponder.evals.harness import Evaluation
from ponder.evals.plan import Plan
from ponder.evals.replay import replay
from ponder.evals.replay import told as said_of
from ponder.evals.simulated import Simulated
from ponder.evals.study import finished, item_body, study
from ponder.evals.tasks import load
from ponder.evals.values import Arm
from ponder.runtime.equality import Equality
from ponder.store import RunFile, RunWriter, Samples

pytest.importorskip("ray", reason="pip install 'ponder[ray]'")

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of Ray's own
]

MODEL = "simulated:skill=0.4"
ARMS = (
    Arm("self-consistency:n=4,temperature=0.8,top_k=0", "4k"),
    Arm("self-consistency:n=8,temperature=0.8,top_k=0", "4k"),
    Arm("beam-search:n=4,width=2,scorer=simulated:auc=0.75", "4k"),
)
PLAN = Plan(tuple(Simulated.named(MODEL).world.items(10)), ARMS, (0,))


@contextlib.contextmanager
def started():
    """A cluster with three processors, which this machine need not have: its address, or None, and what it said."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    ray = str(Path(sys.executable).with_name("ray"))
    words = ["start", "--head", "--block", f"--port={port}", "--num-cpus=3", "--include-dashboard=false"]
    alone = ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"]
    open_to_all = os.environ | {"RAY_AUTH_MODE": "disabled"}  # else it takes a token where one lies about
    with subprocess.Popen(
        [ray, *words, *alone], env=open_to_all, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            said = ""
            for line in process.stdout:
                said += line.decode(errors="replace")
                if "Ray runtime started" in said:
                    yield f"127.0.0.1:{port}", said
                    break
            else:
                yield None, said
        finally:
            process.terminate()
            process.communicate(timeout=300)


@pytest.fixture(scope="module")
def head():
    """The address of a cluster."""
    for _ in range(5):  # Ray gives its own processes half a minute, which is too little on a busy machine
        with started() as (address, said), pytest.MonkeyPatch.context() as patch:
            if address:
                patch.setattr(joining, "HEALTHY_WITHIN", 300.0)
                yield address
                return
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Ray did not start: {said[-500:]}")


def made(folder, plan=PLAN):
    about = {"seeds": list(plan.seeds), **said_of({"solver": Simulated.named(MODEL)})}
    writer = RunWriter.create(folder, meta={"evaluation": about})
    for item in plan.items:
        writer.item(item.problem.id, item_body(item))
    return writer


def cluster(head, writer, plan=PLAN, **more):
    settings = config.Settings(writer.path.parent)
    outfit = partial(config.outfit, {"solver": MODEL}, settings, {}, None)
    how = {"address": head, "workers": 2, "versions": config.code} | more
    return Cluster(plan, how.pop("outfit", partial(partial, outfit)), writer=writer, **how)


async def alone(plan, writer, engines=None, **more):
    equality = Equality()
    graders = Graders(equality)
    engines = engines or {"solver": Simulated.named(MODEL)}
    how = {"grader": graders, "equality": equality, "scorers": config.scorers()}
    try:
        await Evaluation(plan, engines, writer=writer, **how, **more).run()
    finally:
        await graders.aclose()
        await equality.aclose()


def told(path):
    """Every attempt's outcome, and every sample, without what depends on the clock."""
    with RunFile.open(path) as file:
        outcomes = {
            (str(o.arm), o.item, o.seed): (
                o.answer,
                o.correct,
                o.usage.completion,
                o.usage.prompt,
                o.stop,
                o.votes,
            )
            for o in study(file).outcomes
        }
        return outcomes, {name: segment.text for name, segment in file.samples().items()}


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    writer = made(tmp_path_factory.mktemp("single"))
    anyio.run(alone, PLAN, writer)
    writer.close()
    return told(writer.path)


def test_a_killed_worker_loses_nothing(head, single, tmp_path, capsys):
    writer, said, killed = made(tmp_path), [], []

    def tell(tally):
        if tally.done >= 6 and not killed:
            killed.append(running._hands[0].process)
            os.kill(killed[0], signal.SIGKILL)

    running = cluster(head, writer, tell=tell, say=said.append)
    anyio.run(running.run)
    writer.close()
    assert said == [
        f"A worker on {socket.gethostname()} (process {killed[0]}) died. What it had is given out again."
    ]
    assert running.tally.failed == 0
    assert told(writer.path) == single
    assert capsys.readouterr().out == "", "what Ray says of it is not the answer"
    with RunFile.open(writer.path) as file:
        status = [attempt.status for attempt in file.attempts()]
    assert status.count("finished") == len(PLAN)
    assert set(status) <= {"finished", "interrupted"}


def test_what_a_cluster_began_a_laptop_ends_reports_and_scores_again(head, single, tmp_path):
    writer = made(tmp_path)
    running = cluster(head, writer, tell=lambda tally: tally.done >= 6 and running.end())
    anyio.run(running.run)
    writer.close()
    with RunFile.open(writer.path) as file:
        known, done = file.samples(), finished(file)
    assert 6 <= len(done) < len(PLAN)
    assert len(done) == running.tally.done, "those that ran came to their end"
    writer = RunWriter.resume(writer.path)
    anyio.run(partial(alone, PLAN, writer, known=known, finished=done))
    writer.close()
    assert told(writer.path) == single


def test_what_a_laptop_began_a_cluster_ends(head, single, tmp_path):
    writer = made(tmp_path)
    few = Plan(PLAN.items[:3], PLAN.arms, PLAN.seeds)
    anyio.run(alone, few, writer)
    writer.flush()
    with RunFile.open(writer.path) as file:
        known, done = file.samples(), finished(file)
    assert len(done) == len(few)
    running = cluster(head, writer, known=known, finished=done)
    anyio.run(running.run)
    writer.close()
    assert running.tally.done == len(PLAN)
    assert told(writer.path) == single


def test_samples_of_an_earlier_part_stay_with_the_driver_until_a_worker_misses_one(head, single, tmp_path):
    writer = made(tmp_path)
    began = Plan(PLAN.items, PLAN.arms[1:2], PLAN.seeds)
    anyio.run(alone, began, writer)
    writer.flush()
    with RunFile.open(writer.path) as file:
        asked = Asked(file)
        drawn, done = file.drawn(), finished(file)
        running = cluster(head, writer, known=asked, finished=done)
        anyio.run(running.run)
    writer.close()
    assert told(writer.path) == single
    assert set(drawn) & set(asked.asked), "what was kept was asked for"
    tokens = {name: segment.usage.completion for name, segment in _samples(writer.path).items()}
    assert running.tally.generated == sum(n for name, n in tokens.items() if name not in set(drawn))


class Asked(Samples):
    """Samples of a run, and what was asked of them."""

    def __init__(self, run):
        super().__init__(run)
        self.asked = []

    def __getitem__(self, name):
        self.asked.append(name)
        return super().__getitem__(name)

    def __iter__(self):
        raise AssertionError("all of them at once")


def _samples(path):
    with RunFile.open(path) as file:
        return file.samples()


def test_workers_of_another_ponder_are_refused(head, tmp_path):
    def each_its_own():
        return {"ponder": "0.1.0", "source": str(os.getpid())}

    with made(tmp_path) as writer, pytest.raises(ExceptionGroup) as refused:
        anyio.run(cluster(head, writer, versions=each_its_own).run)
    assert refused.group_contains(UsageError, match="runs ponder 0.1.0, source .*, and this is ponder 0.1.0")


def test_a_model_that_cannot_be_opened_there_is_said_once(head, tmp_path):
    def outfit(_workers):
        def broken():
            raise ModelFileError("There is no file x.gguf.")

        return broken

    said = []
    with made(tmp_path) as writer, pytest.raises(EngineError, match=r"No worker is left.*no file x\.gguf"):
        anyio.run(cluster(head, writer, outfit=outfit, say=said.append).run)
    assert len(said) == 2
    assert all("no file x.gguf" in line for line in said)


def test_a_problem_that_kills_its_workers_is_left_out_and_named(head, tmp_path):
    deadly = PLAN.items[1].problem

    def outfit(workers):
        def made_to_die():
            made_with = config.outfit({"solver": MODEL}, config.Settings(Path()), {}, None, workers)
            engine = made_with.engines["solver"]

            class Deadly:
                capabilities = engine.capabilities

                def __getattr__(self, name):
                    return getattr(engine, name)

                async def extend(self, prefix, sampling, watch=None):
                    if deadly.question in str(prefix.prompt):
                        os.kill(os.getpid(), signal.SIGKILL)
                    return await engine.extend(prefix, sampling, watch)

            return made_with._replace(engines={"solver": Deadly()})

        return made_to_die

    plan = Plan(PLAN.items[:5], ARMS[:1])
    writer = made(tmp_path, plan)
    with pytest.raises(EngineError, match=f"they were left out: {deadly.id}. Everything else is kept"):
        anyio.run(cluster(head, writer, plan, outfit=outfit, workers=1).run)
    writer.close()
    with RunFile.open(writer.path) as file:
        assert {item for _, _, item, _ in finished(file)} == {item.problem.id for item in plan.items} - {
            deadly.id
        }


@needed
def test_tests_that_are_wrong_are_told_to_whoever_asked(head, tmp_path):
    def row(name, solution):
        asked = f'def {name}(n):\n    """Twice n.\n    >>> {name}(2)\n    4\n    """\n'
        test = "def check(candidate):\n    assert candidate(3) == 6\n"
        return {"prompt": asked, "entry_point": name, "test": test, "canonical_solution": solution}

    rows = [row("double", "    return n\n"), row("twice", "    return 2 * n\n")]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    plan = Plan(load(str(path)).items, (Arm("self-consistency:n=1,temperature=0.8,top_k=0", "4k"),), (0,))
    writer, wrong = made(tmp_path, plan), {}
    anyio.run(cluster(head, writer, plan, wrong=wrong).run)
    writer.close()
    assert list(wrong) == ["mine/1"]
    assert "solution fails" in wrong["mine/1"]
    with RunFile.open(writer.path) as file:
        assert {o.item: o.correct for o in study(file).outcomes} == {"mine/1": None, "mine/2": False}


def test_more_workers_than_processors_are_refused(head, tmp_path):
    with made(tmp_path) as writer, pytest.raises(UsageError, match="9 workers need a processor each"):
        anyio.run(cluster(head, writer, workers=9).run)


def test_an_address_that_does_not_answer_is_told_soon(monkeypatch):
    monkeypatch.setattr(joining, "HEALTHY_WITHIN", 3.0)
    for word in "chain_sum", "127.0.0.1:70000":
        with pytest.raises(UsageError, match="no address"):
            joining.joined(word)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with pytest.raises(UsageError, match=rf"listens at 127\.0\.0\.1:{port} did not show within 3 s"):
            joining.joined(f"127.0.0.1:{port}")
    with pytest.raises(UsageError, match=f"No Ray cluster answers at 127.0.0.1:{port}"):
        joining.joined(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("eval --ray", "eval --ray=auto"),
        ("eval --ray -q", "eval --ray=auto -q"),
        ("eval --ray chain_sum:terms=3", "eval --ray=auto chain_sum:terms=3"),
        ("eval --ray head:6379 chain_sum", "eval --ray head:6379 chain_sum"),
        ("eval --ray local", "eval --ray local"),
        ("eval chain_sum", "eval chain_sum"),
    ],
)
def test_an_address_may_be_left_out(words, meant):
    assert _with_address(words.split()) == meant.split()


def test_a_run_of_a_cluster_is_replayed_without_its_model(head, tmp_path):
    plan = Plan(PLAN.items[:4], ARMS[:2], PLAN.seeds)
    writer = made(tmp_path / "cluster", plan)
    anyio.run(cluster(head, writer, plan).run)
    writer.close()
    with RunFile.open(writer.path) as file:
        items, seeds, engines, known = replay(file)
        again = made(tmp_path / "laptop", plan)
        anyio.run(partial(alone, Plan(items, plan.arms, seeds), again, engines=engines, known=known))
    again.close()
    assert told(again.path)[0] == told(writer.path)[0]
