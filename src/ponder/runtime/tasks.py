"""The one place that opens task groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")


async def side_by_side(jobs: Sequence[Callable[[], Awaitable[T]]], *, patient: type[Exception]) -> list[T]:
    """Run all jobs at once; their results in order.

    The first error cancels the others and is raised as itself, never as a group. Errors of the `patient` type
    let the others finish first: who ran out of money must not take down who has been paid for.
    """
    results: dict[int, T] = {}
    errors: list[Exception] = []

    async def one(i: int, job: Callable[[], Awaitable[T]], scope: anyio.CancelScope) -> None:
        try:
            results[i] = await job()
        except patient as error:
            errors.append(error)
        except Exception as error:  # noqa: BLE001 - raised below, as itself
            errors.insert(0, error)
            scope.cancel()

    async with anyio.create_task_group() as group:
        for i, job in enumerate(jobs):
            group.start_soon(one, i, job, group.cancel_scope)
    if errors:
        raise errors[0]
    return [results[i] for i in range(len(jobs))]
