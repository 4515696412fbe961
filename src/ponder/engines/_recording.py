"""Layers that remember whole runs: `Recorded` writes down every call, `Replayed` gives them again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
import anyio.lowlevel

from ponder.core.errors import EngineError, UsageError
from ponder.core.protocols import Tokenizes
from ponder.engines._layer import Layer, key_of, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Capabilities, Delta, Engine

T = TypeVar("T")

_PURE = ("encode", "count")
_ASKED = ("logprobs", "embed", "extend_many", "tokens")


@dataclass(frozen=True, slots=True)
class Record:
    """One call: what was asked, the how manyth of its kind it was, and what came of it.

    `outcome` is what was returned, the exception that was raised, or None for a call that was cancelled. The
    first record of an engine has `what` "capabilities" and, in `key`, the names of its further methods.
    """

    what: str
    key: str
    nth: int
    outcome: Any


class Recorded(Layer):
    """Hands `sink` a record of every call as it ends."""

    def __init__(self, engine: Engine, sink: Callable[[Record], None]) -> None:
        super().__init__(engine)
        self._sink = sink
        self._asked: Counter[tuple[str, str]] = Counter()
        offers = vars(self)
        has = [name for name in (*_PURE, *_ASKED) if hasattr(self, name)]
        sink(Record("capabilities", " ".join(has), 0, engine.capabilities))
        if isinstance(engine, Tokenizes):
            offers["encode"] = partial(self._pure, "encode", engine.encode)
            offers["count"] = partial(self._pure, "count", engine.count)

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        call = partial(self.engine.extend, watch=watch)
        return await self.aside("extend", call, prefix, sampling)

    async def aside(self, name: str, call: Callable[..., Awaitable[T]], *asked: Any) -> T:
        key = key_of(*asked)
        nth = self._asked[name, key]
        self._asked[name, key] += 1
        outcome: object = None
        try:
            outcome = value = await call(*asked)
        except Exception as error:
            outcome = error
            raise
        finally:
            self._sink(Record(name, key, nth, outcome))
        return value

    def _pure(self, name: str, call: Callable[[Any], T], asked: Any) -> T:
        value, key = call(asked), key_of(asked)
        if not self._asked[name, key]:
            self._asked[name, key] = 1
            self._sink(Record(name, key, 0, value))
        return value


class Replayed:
    """An engine of records: no model is called, and whoever asks as before gets what there was before.

    Calls of the same prefix and sampling get their records in the order in which they are asked. A segment is
    shown token by token to a watch, which may end it earlier, but not later, than it ended then. A call that
    was cancelled waits to be cancelled.

    Raises:
        EngineError: at a call that was not recorded.

    """

    def __init__(self, records: Iterable[Record]) -> None:
        first, *others = records
        if first.what != "capabilities":
            raise UsageError(
                "The first record names the engine. Replay all that Recorded handed out, in order."
            )
        inner = cast("Capabilities", first.outcome)
        lost = {"stoppable"} if "token_ids" not in inner.can else set()  # shown as a whole, see `shown`
        self._capabilities = replace(inner, can=inner.can - lost)
        self._outcomes = {(r.what, r.key, r.nth): r.outcome for r in others}
        self._asked: Counter[tuple[str, str]] = Counter()
        offers = vars(self)
        for name in first.key.split():
            offers[name] = partial(self._pure if name in _PURE else self._again, name)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        segment = cast("Segment", await self._again("extend", prefix, sampling))
        return shown(segment, watch if "streams" in self.capabilities.can else None)

    async def _again(self, name: str, *asked: Any) -> Any:
        key = key_of(*asked)
        nth = self._asked[name, key]
        self._asked[name, key] += 1
        outcome = self._find(name, key, nth)
        if outcome is None:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _pure(self, name: str, asked: Any) -> Any:
        return self._find(name, key_of(asked), 0)

    def _find(self, name: str, key: str, nth: int) -> Any:
        try:
            return self._outcomes[name, key, nth]
        except KeyError:
            raise EngineError(f"There is no record of this call of {name}. Record the run again.") from None
