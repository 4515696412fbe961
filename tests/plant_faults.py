"""Plants faults in a copy of the package, one at a time, and shows which test catches each.

    python tests/plant_faults.py            all of them
    python tests/plant_faults.py ledger     those whose name holds the word

A test suite that stays green over broken money, order or chance would prove nothing. Exits 1 if a fault survives,
and 2 if one can no longer be planted because the code has changed, or a test fails without any.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

LEDGER = "tests/runtime/test_ledger.py"
VERBS = "tests/runtime/test_run.py"
LAWS = "tests/laws/test_strategies.py"
LAYERS = "tests/engines/test_layers.py"
WAITING = "tests/runtime/test_waiting.py"
VOTES = "tests/thinking/test_votes.py"
HALT = "tests/runtime/test_halt.py"
THINKING = "tests/runtime/test_thinking_budget.py"
DOLLARS = "tests/runtime/test_dollars.py"
ROLES = "tests/runtime/test_roles.py"


class Fault(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def ledger(name: str, old: str, new: str, *tests: str) -> Fault:
    return Fault(f"ledger: {name}", "runtime/ledger.py", old, new, tests or (LEDGER, WAITING, VERBS, LAWS))


def run(name: str, old: str, new: str, *tests: str) -> Fault:
    return Fault(name, "runtime/run.py", old, new, tests or (VERBS, WAITING, LAWS))


def calls(name: str, old: str, new: str, *tests: str) -> Fault:
    return Fault(name, "runtime/calls.py", old, new, tests or (VERBS, WAITING, LAWS))


def texts(name: str, old: str, new: str, *tests: str) -> Fault:
    return Fault(name, "runtime/texts.py", old, new, tests or (HALT, THINKING))


def tasks(name: str, old: str, new: str) -> Fault:
    return Fault(f"each: {name}", "runtime/tasks.py", old, new, (VERBS, LAWS))


def votes(name: str, old: str, new: str) -> Fault:
    return Fault(f"votes: {name}", "thinking/votes.py", old, new, (VOTES,))


def retrying(name: str, old: str, new: str) -> Fault:
    return Fault(f"retrying: {name}", "engines/layers.py", old, new, (LAYERS,))


FAULTS = [
    ledger(
        "forgets to settle",
        "            self._add([lease for lease, _ in paid], -1)\n",
        "",
    ),
    ledger("forgets to charge", "                scope.spent += total\n", ""),
    ledger(
        "renews without looking at the limit",
        "more = min(SLICE, lease.most - lease.granted, free)",
        "more = min(SLICE, lease.most - lease.granted)",
    ),
    ledger(
        "a lease overshoots by one",
        "        while self.used >= self.granted:\n",
        "        while self.used > self.granted:\n",
    ),
    ledger(
        "a renewal is not set aside",
        "            lease.granted += max(more, 0)\n            self._add([lease], +1)\n",
        "            self._add([lease], +1)\n            lease.granted += max(more, 0)\n",
    ),
    ledger(
        "gives back twice",
        "            self._add([lease for lease, _ in paid], -1)\n",
        "            self._add([lease for lease, _ in paid] * 2, -1)\n",
    ),
    ledger(
        "the scope around is not charged",
        "            for scope in self._scopes():\n                scope.spent += total\n",
        "            self.spent += total\n            for scope in self._scopes():\n",
    ),
    ledger(
        "the scope around is not asked",
        "free = min(scope._free(lease.prompt, lease.prices) for scope in self._scopes()) - lease.granted",
        "free = self._free(lease.prompt, lease.prices) - lease.granted",
    ),
    ledger(
        "calls in flight are not counted",
        "limit - scope.spent.calls - scope._calls < 1",
        "limit - scope.spent.calls < 1",
    ),
    ledger(
        "the prompt is not counted",
        "limit.total_tokens - self._read() - prompt",
        "limit.total_tokens - self._read()",
    ),
    ledger(
        "who came first goes first",
        "bisect.insort(self._root.waiting, waiter)",
        "self._root.waiting.append(waiter)",
    ),
    ledger("a later place overtakes", "                short.add(outcome)\n", ""),
    ledger(
        "lets in whoever asks",
        "            if ask.most and scope._live and free - scope._promised < expected:\n                return scope\n",
        "",
    ),
    ledger(
        "gives up while others may give back",
        "                if scope._live:\n                    return scope\n",
        "",
    ),
    ledger(
        "who is cancelled while waiting stays in the queue",
        "                self._root.waiting[:] = [other for other in self._root.waiting if other is not waiter]\n",
        "                pass\n",
    ),
    ledger("a closed scope still pays", "            self._closed = self._closed or why\n", ""),
    ledger(
        "what a scorer reads is not set aside",
        "sum([lease.prompt for lease in leases])",
        "sum([lease.prompt * lease.calls for lease in leases])",
    ),
    ledger(
        "a scorer reads without looking at the limit",
        "            if called or free < min(1, ask.most):\n",
        "            if called or (ask.most and free < 1):\n",
    ),
    run(
        "what a scorer reads is not paid for",
        'self._calls.pay(lease, "scorer", Usage(scorer=read,',
        'self._calls.pay(lease, "scorer", Usage(scorer=0,',
    ),
    tasks(
        "results in order of completion",
        "    return [results[i] for i in range(len(jobs))]",
        "    return list(results.values())",
    ),
    tasks(
        "drops failures silently",
        "    if fatal or errors:\n        raise (fatal or errors)[0]\n    return [results[i] for i in range(len(jobs))]",
        "    return [results[i] for i in range(len(jobs)) if i in results]",
    ),
    tasks("the first error leaves the others running", "            scope.cancel()\n", ""),
    tasks(
        "who is out of money takes down who has paid",
        "        except patient as error:\n            errors.append(error)\n",
        "",
    ),
    run(
        "each: branches share one place",
        "            with at((*place, i)):\n                return await f(item)",
        "            return await f(item)",
    ),
    run(
        "until: in order of time",
        "            while asked in drawn:\n                path = drawn[asked]\n                asked += 1\n",
        "            for path in [drawn[i]]:\n                asked += 1\n",
    ),
    run(
        "sample: in order of time",
        "outcomes = [drawn[i] for i in sorted(drawn)][: asked if until else None]",
        "outcomes = list(drawn.values())[: asked if until else None]",
    ),
    run(
        "sample: returns what until never saw",
        "[drawn[i] for i in sorted(drawn)][: asked if until else None]",
        "[drawn[i] for i in sorted(drawn)]",
    ),
    run(
        "sample: a failed sample is an answer",
        "                drawn[i] = error\n",
        '                drawn[i] = starts[i] + "The answer is 42."\n',
    ),
    run(
        "sample: all failed is no error",
        "raise AllFailed(failed) if failed else errors[0]",
        "raise OutOfBudget('nothing')",
    ),
    run(
        "given: to whichever branch comes first",
        "        if here().place != self._place:\n            return None\n",
        "",
        VERBS,
    ),
    texts(
        "money that ends between two chunks takes what was written",
        "            if not i or calls.over:\n                raise\n            break\n",
        "            raise\n",
    ),
    texts("money that ends before the answer takes the thinking", "path = said.cut_off()", "raise"),
    calls("a price is not paid", "lease.prices.priced(usage) if lease.prices else usage", "usage", DOLLARS),
    Fault(
        "who writes what is scored is not asked",
        "runtime/preflight.py",
        'getattr(scorer, "roles", scored(strategy))',
        'getattr(scorer, "roles", ("solver",))',
        (ROLES,),
    ),
    calls(
        "a failure is not counted",
        "            attempt.failed += not (cancelled or isinstance(error, Refused))\n",
        "",
    ),
    calls(
        "a failed call is not paid for",
        "            usage = self.pay(lease, role, usage)\n            attempt.failed",
        "            self.ledger.settle(lease, Usage())\n            attempt.failed",
    ),
    calls(
        "what a rule halts is taken for the budget's end",
        'if segment.finish == "cancelled" and why is not None:',
        'if segment.finish == "none" and why is not None:',
        HALT,
    ),
    texts(
        "samples share one rule",
        "rule = call.halt() if call.halt else None",
        "rule = calls.__dict__.setdefault('_rule', call.halt()) if call.halt else None",
        HALT,
    ),
    run(
        "every sample of several roles is the first's",
        "calls[i % len(calls)]",
        "calls[0]",
        "tests/theory/test_critique.py",
    ),
    calls(
        "what a cancelled call wrote is not paid for",
        "else lease.used,\n                calls=1,",
        "else 0,\n                calls=1,",
    ),
    calls(
        "an engine that cannot be stopped is not clamped",
        "            sampling = replace(sampling, max_tokens=lease.granted)",
        "            pass",
        VERBS,
        LAWS,
    ),
    calls(
        "the end of a run leaves calls in flight",
        "        for call in tuple(self._in_flight):\n            call.cancel()\n",
        "",
    ),
    run(
        "propose: no answer replaces one",
        "        if new.answer is None and self.proposal is not None and self.proposal.answer is not None:\n            return\n",
        "",
        VERBS,
        LAWS,
        "tests/time",
    ),
    Fault(
        "a text cut off has its last number as its answer",
        "runtime/attempt.py",
        "(path.cut and (not found.declared or text.endswith(found.text)))",
        "False",
        (VERBS, WAITING, LAWS),
    ),
    Fault(
        "seeds: from order in time",
        "runtime/place.py",
        '    text = f"{seed}|{problem}|{name(place)}"\n',
        '    global _asked\n    _asked = globals().get("_asked", 0) + 1\n    text = f"{seed}|{problem}|{_asked}"\n',
        (VERBS, LAWS),
    ),
    Fault(
        "seeds: the same for all",
        "runtime/place.py",
        "{seed}|{problem}|{name(place)}",
        "{seed}|{problem}",
        (VERBS, LAWS),
    ),
    Fault(
        "seeds: the run's own is ignored",
        "runtime/place.py",
        "{seed}|{problem}|{name(place)}",
        "{problem}|{name(place)}",
        (VERBS, LAWS),
    ),
    Fault(
        "seeds: the same for every sample of a group",
        "runtime/calls.py",
        "seed=derive(attempt.seed, attempt.problem.id, place)",
        "seed=derive(attempt.seed, attempt.problem.id, place[:-1])",
        (VERBS, LAWS),
    ),
    votes(
        "a tie goes to the last seen",
        "first[max(totals, key=totals.__getitem__)]",
        "first[max(reversed(totals), key=totals.__getitem__)]",
    ),
    votes(
        "the silent are counted",
        "        if candidate.key is not None:\n            totals[candidate.key]",
        "        if True:\n            totals[candidate.key]",
    ),
    votes(
        "by text and not by key",
        "totals[candidate.key] = totals.get(candidate.key, 0.0) + candidate.weight",
        "totals[candidate.key] = candidate.weight",
    ),
    votes(
        "the best may be silent",
        "able = [c for c in candidates if c.key is not None] or candidates",
        "able = candidates",
    ),
    votes("unanimous although someone is silent", " and candidates[0].key is not None", ""),
    retrying(
        "every error",
        "            except TransientError as error:\n",
        "            except Exception as error:\n",
    ),
    retrying("for ever", "or tried >= self._attempts or", "or"),
    retrying("after tokens were shown", "if not again(error) or", "if"),
    retrying("without regard to the time named", "(error.retry_after or 0.0) + ", "0.0 + "),
]


def package(folder: Path) -> Path:
    copy = folder / "ponder"
    shutil.copytree(ROOT / "src" / "ponder", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def suite(folder: Path, tests: tuple[str, ...]) -> tuple[str | None, bool]:
    """The first test that fails against the package in `folder`, and whether anything could be said at all."""
    known = [test for test in tests if any((ROOT / test).rglob("*.py")) or (ROOT / test).is_file()]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-rfE",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            "-o",
            "timeout=40",
            *known,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None, True
    found = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", done.stdout, re.MULTILINE)
    return (found[1] if found else f"pytest ended with {done.returncode}"), done.returncode == 1


def stands(fault: Fault) -> int:
    """How often the text that a fault replaces stands in its file: once, or it can no longer be planted."""
    return (ROOT / "src" / "ponder" / fault.file).read_text("utf-8").count(fault.old)


def tried(fault: Fault | None) -> tuple[Fault | None, str | None, bool, float]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = package(folder)
        tests: tuple[str, ...] = tuple(dict.fromkeys(t for f in FAULTS for t in f.tests))
        if fault is not None:
            file, tests = copy / fault.file, fault.tests
            if (times := stands(fault)) != 1:
                return fault, f"cannot be planted: its text stands {times} times in {fault.file}", False, 0.0
            file.write_text(file.read_text("utf-8").replace(fault.old, fault.new), "utf-8")
        caught, clear = suite(folder, tests)
        return fault, caught, clear, time.monotonic() - started


def main() -> int:
    chosen = [f for f in FAULTS if not sys.argv[1:] or any(word in f.name for word in sys.argv[1:])]
    survived, unclear = 0, 0
    width = max(len(f.name) for f in chosen)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for fault, caught, clear, seconds in pool.map(tried, [None, *chosen]):
            name = fault.name if fault else "(no fault)"
            if fault is None:
                unclear += caught is not None
                verdict = "all pass" if caught is None else f"FAILS: {caught}"
            elif clear:
                survived += caught is None
                verdict = caught or "SURVIVED"
            else:
                unclear += 1
                verdict = f"UNCLEAR: {caught}"
            print(f"{name:<{width}}  {seconds:5.1f} s  {verdict}", flush=True)
    print(
        f"{len(chosen)} faults: {len(chosen) - survived - unclear} caught, {survived} survived, {unclear} unclear."
    )
    return 2 if unclear else 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
