"""The samples that arms share: one generation for each (prefix, sampling, index), charged to each in full."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from ponder.core.errors import EngineError
from ponder.engines._layer import Layer, key_of, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from anyio.abc import TaskGroup

    from ponder.core.calls import Sampling
    from ponder.core.prefix import Prefix, Segment
    from ponder.core.protocols import Delta, Engine


@dataclass(eq=False, slots=True)
class _Drawing:
    """A sample while it is generated."""

    done: anyio.Event = field(default_factory=anyio.Event)
    outcome: Segment | Exception | None = None


class Pool:
    """Generates each sample once, however many arms ask for it, and hands each to `keep` as it comes.

    A sample is named by what it continues, how, the seed of the run and its index among the equal ones that an
    attempt asks for. So arms that draw the same thing are compared on the same draws: small n replays from the
    widest arm, and adaptive stopping from both. Each engine has its own samples; roles with one engine share them.
    What was generated is whole: an arm that stops early, or whose budget ends, is shown and charged a part of it; so
    generation goes on where an arm has left.

    Args:
        engines: which generate, by role.
        tasks: where it does; their end ends what is in flight.
        keep: takes each sample with its name, for a later run.
        known: samples in memory; those that come are added, and those that are forgotten are taken out.
        kept: those of an earlier part of this run, which are read where they are asked for.
        look_up: the same, where they lie with somebody who has to be asked; None is none.

    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        tasks: TaskGroup,
        *,
        keep: Callable[[str, int, Segment], Awaitable[None]],
        known: dict[tuple[str, int], Segment] | None = None,
        kept: Mapping[tuple[str, int], Segment] | None = None,
        look_up: Callable[[str, int], Awaitable[Segment | None]] | None = None,
    ) -> None:
        self.engines = engines
        self.generated = 0  # completion tokens
        self.in_flight = 0  # calls
        self._tasks = tasks
        self._keep = keep
        self._known = {} if known is None else known
        self._kept = {} if kept is None else kept
        self._look_up = look_up
        self._drawing: dict[tuple[str, int], _Drawing] = {}
        self._fewer = anyio.Event()

    def attempt(self, seed: int, began: anyio.Event) -> dict[str, Drawn]:
        """The engines as one attempt with this seed has them; `began` is set when one is first asked."""
        shared: dict[int, Drawn] = {}
        return {
            role: shared.setdefault(id(engine), Drawn(self, engine, role, seed, began))
            for role, engine in self.engines.items()
        }

    def forget(self, names: Iterable[tuple[str, int]]) -> None:
        """Samples that nobody will ask for again; `keep` had them. If somebody does, they are generated again."""
        for name in names:
            self._known.pop(name, None)

    async def draw(self, engine: Engine, key: str, nth: int, prefix: Prefix, sampling: Sampling) -> Segment:
        """The `nth` sample of what `key` names, which is of this engine."""
        name = key, nth
        segment = self._known.get(name)
        if segment is None and (segment := self._kept.get(name)) is not None:
            self._known[name] = segment
        if segment is not None:
            await anyio.lowlevel.checkpoint()
            return segment
        drawing = self._drawing.get(name)
        if drawing is None:
            drawing = self._drawing[name] = _Drawing()
            self.in_flight += 1
            self._tasks.start_soon(self._generate, engine, name, drawing, prefix, sampling)
        await drawing.done.wait()
        if isinstance(drawing.outcome, Exception):
            raise drawing.outcome
        if drawing.outcome is None:
            raise EngineError(
                "The evaluation was ended while this sample was generated. Run it again to go on."
            )
        return drawing.outcome

    async def _generate(
        self, engine: Engine, name: tuple[str, int], drawing: _Drawing, prefix: Prefix, sampling: Sampling
    ) -> None:
        try:
            segment = None if self._look_up is None else await self._look_up(*name)
            if generated := segment is None:
                segment = await engine.extend(prefix, sampling)
        except Exception as error:  # noqa: BLE001 - it is for whoever waits; who asks again tries again
            drawing.outcome = error
        else:
            drawing.outcome = self._known[name] = segment
            if generated:
                self.generated += segment.usage.completion
                await self._keep(*name, segment)
        finally:
            self.in_flight -= 1
            del self._drawing[name]
            drawing.done.set()
            self._fewer.set()
            self._fewer = anyio.Event()

    async def room(self, most: int) -> None:
        """Wait until fewer than `most` calls are in flight."""
        while self.in_flight >= most:
            await self._fewer.wait()


class Drawn(Layer):
    """An engine whose samples come from a pool. `began` is set when it is asked.

    Its samples are named after the first role that it plays; the solver's have no role in their names, so that run
    files of before there were several go on.
    """

    def __init__(self, pool: Pool, engine: Engine, role: str, seed: int, began: anyio.Event) -> None:
        super().__init__(engine)
        self._began = began
        self._pool = pool
        self._of = () if role == "solver" else (role,)
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self._named: dict[tuple[int, str], tuple[str, Prefix]] = {}

    @property
    def names(self) -> Iterator[tuple[str, int]]:
        """Of the samples that were asked for."""
        return ((key, nth) for key, n in self._asked.items() for nth in range(n))

    async def extend(
        self, prefix: Prefix, sampling: Sampling, watch: Callable[[Delta], bool | None] | None = None
    ) -> Segment:
        can = self.capabilities.can
        how = replace(sampling, seed=None)
        if how.logprobs is None and "logprobs" in can:
            how = replace(how, logprobs=0)  # so that arms which score samples draw the same ones
        greedy = how.temperature == 0
        key = self._name(prefix, how)
        nth = 0 if greedy else self._asked[key]
        self._asked[key] += 1
        self._began.set()
        if "seed" in can:
            # What else is recorded makes it another sample to keep, but must not make it another draw.
            plain = replace(how, logprobs=0 if "logprobs" in can else None, certainty=False)
            how = replace(how, seed=_seed(self._name(prefix, plain), nth))
        segment = await self._pool.draw(self.engine, key, nth, prefix, how)
        return shown(segment, watch if "streams" in can else None)

    def _name(self, prefix: Prefix, how: Sampling) -> str:
        """Found once for many samples of the very same prefix, which stays alive here so that its id stays its own."""
        of = id(prefix), repr(how)  # not `how` itself: 1 and 1.0 are equal, and have different names
        if of not in self._named:
            seed = None if how.temperature == 0 else self._seed
            self._named[of] = key_of(*self._of, seed, prefix, how), prefix
        return self._named[of][0]


def _seed(*what: Any) -> int:
    """A seed from a name, the same in every process: 63 bits."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8]) >> 1
