"""The one place that opens task groups, so that errors come out as themselves and never as groups."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

T = TypeVar("T")


async def side_by_side(
    jobs: Sequence[Callable[[], Awaitable[T]]], *, patient: tuple[type[Exception], ...] = ()
) -> list[T]:
    """Run all jobs at once; their results in order.

    The first error cancels the others and is raised as itself, never as a group. Errors of the `patient` types
    let the others finish first: who ran out of money must not take down who has been paid for.
    """
    if not jobs:
        return []
    results: dict[int, T] = {}
    errors: list[Exception] = []
    fatal: list[Exception] = []

    async def one(i: int, job: Callable[[], Awaitable[T]], scope: anyio.CancelScope) -> None:
        try:
            results[i] = await job()
        except patient as error:
            errors.append(error)
        except Exception as error:  # noqa: BLE001 - raised below, as itself
            fatal.append(error)
            scope.cancel()

    async with anyio.create_task_group() as group:
        for i, job in enumerate(jobs):
            group.start_soon(one, i, job, group.cancel_scope)
    if fatal or errors:
        raise (fatal or errors)[0]
    return [results[i] for i in range(len(jobs))]


async def before(time: float | None, job: Callable[[], Awaitable[T]], *, then: Callable[[], None]) -> T:
    """Run the job; call `then` if it still runs at `time`."""
    if time is None:
        return await job()

    async def clock() -> None:
        await anyio.sleep_until(time)
        then()

    return await beside(clock, job)


async def beside(watch: Callable[[], Coroutine[Any, Any, None]], job: Callable[[], Awaitable[T]]) -> T:
    """Run the job, and a watch beside it that ends with it.

    On asyncio the watch is a bare task: to cancel one in a group takes six times as long, and every request has two.
    """
    if (loop := _asyncio()) is not None:
        task = loop.create_task(watch())
        try:
            return await job()
        finally:
            task.cancel()
    result: T | None = None
    error: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            result = await job()
        except Exception as raised:  # noqa: BLE001 - raised below, as itself
            error = raised
        group.cancel_scope.cancel()
    if error is not None:
        raise error
    return cast("T", result)


def _asyncio() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # it is trio
        return None
