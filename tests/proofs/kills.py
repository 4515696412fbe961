"""Processes that are killed: nothing that was acknowledged is lost, nothing is made twice, no file is half written."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from evals import test_harness as harness

from ponder.core.errors import StoreError
from ponder.engines.scripted import Scripted
from ponder.evals.harness import BEHIND, CROWD
from ponder.evals.plan import Plan
from ponder.evals.study import finished
from ponder.store import RunFile
from proofs import Figure, row

if TYPE_CHECKING:
    from proofs import Tier

HERE = str(Path(__file__).parent.parent)
PONDER = str(Path(sys.executable).with_name("ponder"))
SIMULATED = (
    "simulated",
    "-m",
    "simulated",
    "-s",
    "direct",
    "-s",
    "cot",
    "-s",
    "self-consistency:n=8",
    "-b",
    "4k",
)


def _kept(path: Path) -> tuple[set[object], set[object]]:
    """The samples and the complete attempts that a reader finds in a run file."""
    with RunFile.open(path) as run:
        return set(run.samples()), set(finished(run))


def _kept_by(child: subprocess.Popen[str], place: Path) -> tuple[set[object], set[object]]:
    """What a reader finds while the writer stands still, for reading may take longer than the rest of its work.

    It may have been stopped in a moment in which it locks the file; then it goes on, out of that moment.
    """
    while True:
        child.send_signal(signal.SIGSTOP)
        try:
            return _kept(next(place.glob("*.sqlite")))
        except StoreError as error:
            if "locked" not in str(error):
                raise
            child.send_signal(signal.SIGCONT)
            time.sleep(0.002)


@row(
    "R1",
    "SIGKILL at random points of an evaluation (1,000 problems, 4 to 8 samples each, resumed by the same call) loses nothing "
    "that was on disk and makes nothing twice",
    "0 samples and 0 attempts lost, 0 duplicates, the final table equal to an uninterrupted run's; spent again at each kill: "
    "no more than what was in flight or behind the disk",
)
def evaluation(folder: Path, tier: Tier) -> Figure:
    items, kills = (1000, 100) if tier == "N" else (250, 10)
    return killed(folder, items=items, kills=kills)


@row(
    "R2",
    "SIGKILL in the middle of searches (beam search with 8 beams, MCTS; resumed by the same call) costs the steps that were "
    "being written, and no step that was on disk is written again",
    "0 samples and 0 attempts lost, 0 duplicates, the final table equal to an uninterrupted run's; written again at each kill: at "
    f"most one step of each of the {CROWD * harness.AT_ONCE} searches' live beams (the calls in flight) and the {BEHIND} rows behind the disk",
)
def searches(folder: Path, tier: Tier) -> Figure:
    items, kills = (300, 50) if tier == "N" else (60, 8)
    return killed(folder, items=items, kills=kills, what="searches")


def killed(
    folder: Path, *, items: int, kills: int, what: Literal["votes", "searches"] = "votes", seed: int = 11
) -> Figure:
    """Evaluate so many items, killed so often."""
    arms, script = (
        (harness.SEARCHES, harness.steps) if what == "searches" else (harness.ARMS[:4], harness.script)
    )
    plan = Plan(harness.items(items), arms, (0,))
    with harness.writer(folder / "whole", plan) as whole:
        anyio.run(harness.evaluated, plan, Scripted(script), whole)
    with RunFile.open(whole.path) as run:
        stretch = 0.8 * len(run.samples()) / kills  # so that all kills come before the end
    place = folder / "killed"
    place.mkdir()
    chance, done, lost, resumed = random.Random(seed), 0, 0, 0
    samples: set[object] = set()
    attempts: set[object] = set()
    while True:
        calls = 1 + int(chance.random() * 2 * stretch) if done < kills else 0
        child = subprocess.Popen(
            [sys.executable, "-c", harness.CHILD, str(place), HERE, str(items), what, str(calls)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        if done < kills:
            # It stops by itself, however late we look; ended or stopped, it is still there to be asked.
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            before = _kept_by(child, place)  # what a reader was told a moment before
            samples, attempts = samples | before[0], attempts | before[1]
            resumed += child.poll() is None
            child.send_signal(signal.SIGKILL)
            done += 1
        said = child.stdout.read()
        child.wait()
        child.stdout.close()
        [path] = place.glob("*.sqlite")
        now = _kept(path)
        lost += len(samples - now[0]) + len(attempts - now[1])
        samples, attempts = now
        if "done" in said:
            break
    with RunFile.open(path) as run:
        names = [(r.strategy, r.budget, r.problem, r.seed) for r in run.attempts() if r.status == "finished"]
    twice = len(names) - len(set(names))
    same = harness.told(path) == harness.told(folder / "whole" / whole.path.name)
    again = len((place / "calls").read_text()) - len(samples)
    most = done * (BEHIND + CROWD * harness.AT_ONCE)
    return Figure(
        f"{resumed} kills of {len(plan):,} attempts, {len(samples):,} samples: {lost} lost, {twice} made twice, the table "
        f"{'is' if same else 'is NOT'} that of an uninterrupted run; {again:,} samples generated again, {again / max(done, 1):.0f} a kill",
        held=not (lost or twice)
        and same
        and len(names) == len(plan)
        and resumed >= 0.9 * kills
        and 0 <= again <= most,
    )


@row(
    "R3",
    "SIGKILL while a report or a table is written leaves a whole file or none, and the next command writes it",
    "0 half-written files",
)
def reports(folder: Path, tier: Tier) -> Figure:
    kills = 50 if tier == "N" else 10
    # One thread each, and nothing of this user's: a home of its own.
    env = {"PATH": str(Path(sys.executable).parent), "PONDER_HOME": str(folder / "home"), "COLUMNS": "100"}

    def ponder(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PONDER, *words], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    ponder("eval", *SIMULATED, "--limit", "60").communicate()
    half = bad = 0
    for words, name in ((("report", "-o"), "page.html"), (("export", "-o"), "table.jsonl")):
        began = time.monotonic()
        ponder(*words, name).communicate()
        span = time.monotonic() - began
        path = folder / name
        whole, chance = path.read_bytes(), random.Random(name)
        for _ in range(kills // 2):
            path.unlink(missing_ok=True)
            process = ponder(*words, name)
            time.sleep(chance.random() * span)
            process.kill()
            process.communicate()
            half += path.exists() and path.read_bytes() != whole
        ponder(*words, name).communicate()
        bad += path.read_bytes() != whole
    return Figure(
        f"{kills} kills: {half} half-written files, {bad} that could not be written afterwards",
        held=not half and not bad,
    )
