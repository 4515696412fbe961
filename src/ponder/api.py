"""The library's front door: `solve`, `asolve` and `load`."""

from __future__ import annotations

import asyncio
import atexit
import threading
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

import anyio

from ponder.core.calls import Budget
from ponder.core.errors import NoSandbox, UsageError
from ponder.core.problem import Problem
from ponder.runtime.equality import Equality
from ponder.runtime.preflight import check_memory, check_roles, executes, misfits
from ponder.runtime.schemas import Schemas
from ponder.runtime.solve import solve as run_once
from ponder.strategies import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ponder.core.events import Watcher
    from ponder.core.executions import Executes
    from ponder.core.problem import Kind
    from ponder.core.protocols import Engine, Memory, Result, Strategy
    from ponder.runtime.run import Run

    Model: TypeAlias = "str | Path | Engine | None"

_loaded: dict[Any, Any] = {}  # by path, or by what the settings say of a server
_loading = threading.Lock()  # who asks for the same model at the same time gets the same one


def load(model: str | Path | None = None) -> Engine:
    """The engine of a model: a catalogue name, the path of a GGUF file, the address of a server
    (http://127.0.0.1:8000/v1#model) or a name of ponder.toml; None is the default model.

    A file is fetched if need be, opened once per process (again if it was closed) and closed at exit.

    Raises:
        PonderError: the model cannot be had or opened; the message says what to do.

    """
    from ponder import config

    settings = config.settings()
    name = None if model is None else str(model)
    upstream = config.remote(name or settings.model, settings)
    key = upstream or config.model_path(name, settings).resolve()
    with _loading:
        if key not in _loaded or getattr(_loaded[key], "closed", False):
            if upstream:
                _loaded[key] = config.open_remote(upstream, settings)
            else:
                _loaded[key] = config.open_engine(Path(str(key)), settings)
                atexit.register(_loaded[key].close)
        opened: Engine = _loaded[key]
    return opened


async def asolve(
    question: str | Problem,
    strategy: str | Strategy = "self-consistency",
    *,
    model: Model | Mapping[str, Model] = None,
    budget: str | int | Budget | None = None,
    seed: int = 0,
    kind: Kind = "auto",
    memory: str | Path | Memory | None = None,
    sandbox: Executes | None = None,
    watchers: Sequence[Watcher] = (),
    live: Sequence[Watcher] = (),
    trace: str = "",
    started: Callable[[Run], None] | None = None,
) -> Result:
    """Answer a question with a strategy, within a budget.

    Args:
        question: text, or a `Problem` with a whole conversation.
        strategy: as `ponder strategies` writes it, "self-consistency:n=16", or a strategy object.
        model: a name or path (see `load`), an engine, or any of these by role: {"solver": ..., "judge": ...}.
            Roles that are not named are played by the solver, and the solver is the default model if it is not.
        budget: "4k" or 4000 completion tokens, "4k,30s", "calls=20", or a `Budget`; None is without limit.
        seed: the same seed draws the same samples on a deterministic engine.
        kind: how answers are read and compared; "auto" finds out, and is "code" where the strategy runs programs.
        memory: what the strategy recalls from: a text file or a folder of them, searched by words, or by meaning as
            "embeddings:FOLDER"; or any object with a `name` and `recall`.
        sandbox: where programs are run, if the strategy or the kind "code" asks for that; None is bubblewrap's, whose
            limits are the usual ones. Without bubblewrap votes among programs count those that are written alike.
        watchers: called with every event; `live` also with every token.
        trace: the id under which the watchers store the run.
        started: called with the run before its first call; `run.end("cancelled")` ends it early.

    Returns:
        The answer, the candidates and votes, the exact usage, and why it stopped. A budget that ends before any
        answer is no error: `answer` is None and `stop` says "budget".

    Raises:
        PonderError: see `ponder.core.errors`.

    """
    from ponder import config

    problem = question if isinstance(question, Problem) else Problem.of(question, kind)
    chosen = parse(strategy) if isinstance(strategy, str) else strategy
    if problem.kind == "auto" and executes(chosen):  # what it runs are the answers
        problem = replace(problem, kind="code")
    if isinstance(budget, int):
        budget = Budget(tokens=budget)
    limit = Budget.parse(budget) if isinstance(budget, str) else budget
    by_role = model if isinstance(model, Mapping) else {"solver": model}
    check_memory(memory, chosen)
    check_roles(by_role, [chosen], config.scorers())  # before a model is opened in vain
    if isinstance(memory, str | Path):
        memory = await anyio.to_thread.run_sync(config.memory, memory)
    ours = config.sandbox() if sandbox is None and (executes(chosen) or problem.kind == "code") else None
    if ours is not None:
        try:
            await ours.check()
        except NoSandbox as error:
            if executes(chosen):
                raise
            warnings.warn(f"Votes count programs that are written alike. {error}", stacklevel=2)
            ours = None
    engines = {role: await _engine(one) for role, one in ({"solver": None} | dict(by_role)).items()}
    policies = config.policies(config.settings())
    for told in misfits([chosen], engines, policies):
        warnings.warn(told, stacklevel=2)
    equality = Equality()
    forms = None if problem.schema is None else Schemas()
    try:
        return await run_once(
            problem,
            chosen,
            engines,
            equality=equality,
            scorers=config.scorers(),
            policies=policies,
            budget=limit,
            seed=seed,
            memory=memory,
            sandbox=sandbox or ours,
            watchers=watchers,
            live=live,
            trace=trace,
            started=started,
            forms=forms,
        )
    finally:
        with anyio.CancelScope(shield=True):
            await equality.aclose()
            if forms is not None:
                await forms.aclose()
            if ours is not None:
                await ours.aclose()


async def _engine(model: Model) -> Engine:
    if model is None or isinstance(model, str | Path):
        return await anyio.to_thread.run_sync(load, model)
    return model


class Options(TypedDict, total=False):
    """What `solve` takes by name; see `asolve`."""

    model: Model | Mapping[str, Model]
    budget: str | int | Budget | None
    seed: int
    kind: Kind
    memory: str | Path | Memory | None
    sandbox: Executes | None
    watchers: Sequence[Watcher]
    live: Sequence[Watcher]
    trace: str
    started: Callable[[Run], None] | None


def solve(
    question: str | Problem, strategy: str | Strategy = "self-consistency", **options: Unpack[Options]
) -> Result:
    """`asolve` for programs that do not await; takes the same arguments.

    Raises:
        UsageError: an event loop runs here already, as in a notebook: await `asolve` instead.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(partial(asolve, question, strategy, **options))
    raise UsageError(
        "An event loop runs here already: write `await ponder.asolve(...)` instead of ponder.solve."
    )
