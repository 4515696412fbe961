"""The verbs that strategies are written in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from ponder.core.calls import Bill, Budget, Usage
    from ponder.core.executions import Execution, Input
    from ponder.core.markers import Markers
    from ponder.core.policy import Policy
    from ponder.core.prefix import Prefix
    from ponder.core.protocols.choice import Candidate, Choice
    from ponder.core.protocols.engine import Ability, Halt
    from ponder.core.protocols.scorer import Aggregation, Scorer
    from ponder.core.protocols.strategy import Strategy

T = TypeVar("T")

R = TypeVar("R")


class Left(Protocol):
    """What a strategy may know of its budget."""

    @property
    def left(self) -> Budget:
        """What is neither spent nor set aside."""
        ...

    @property
    def spent(self) -> Usage: ...


class Run(Protocol):
    """One attempt at one problem: the verbs that strategies are written in."""

    @property
    def budget(self) -> Left: ...
    @property
    def rng(self) -> random.Random:
        """A generator seeded by place."""
        ...

    def policy(self, name: str | None, scorer: Scorer | str | None = None) -> Policy:
        """The policy of that name, where it was learnt for the solver's model and this scorer; else the default one.

        Without a name it is one that names this very model.

        Raises:
            UnknownName: there is no such policy.
            UsageError: its file cannot be read.

        """
        ...

    def markers(self, name: str = "auto", role: str = "solver") -> Markers:
        """How the role's model marks its thinking: by its chat template, else as plain text does.

        `name` may also be a family's, or START...END; see `thinking.markers`.

        Raises:
            UsageError: it is none of these.

        """
        ...

    async def encode(self, texts: Sequence[str], role: str = "solver") -> list[tuple[int, ...]]:
        """The role's model's tokens of each of these texts, as they are inside a path.

        Raises:
            Unsupported: its engine does not know its tokens.

        """
        ...

    async def extend(
        self,
        prefix: Prefix,
        *,
        role: str = "solver",
        visible: bool = False,
        halt: Halt | None = None,
        **sampling: Any,
    ) -> Prefix:
        """The prefix with one segment more. `visible`: what is written is the answer, shown as it comes.

        `halt` ends the text early: the segment is then `cut`, with finish "cancelled" and the reason as `stopped_by`. It
        is asked as the engine tells what it writes; where it tells nothing, the text is written in several segments of up
        to 64 tokens, and it is asked between them (not with `stop`, `min_tokens`, a grammar or a switch penalty, which
        depend on all that a call writes).
        """
        ...

    async def sample(
        self,
        prefix: Prefix | Sequence[Prefix],
        n: int = 1,
        *,
        until: Callable[[Sequence[Candidate]], bool] | None = None,
        role: str | Sequence[str] = "solver",
        halt: Halt | None = None,
        **sampling: Any,
    ) -> list[Prefix]:
        """`n` exchangeable continuations (of each prefix), in order of index; as many as the budget pays for.

        `until` is asked with the candidates so far, in order of index, whatever the order in which they end;
        once it says yes, the rest are cancelled and only those it saw are returned. Of several roles each sample has
        its own: they take turns. `halt` makes a rule for each sample, as for `extend`; what it ends is a sample
        whose text is cut.

        Raises:
            OutOfBudget: not one could be paid for.
            AllFailed: every one failed. Single failures are recorded and left out.

        """
        ...

    async def each(self, f: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
        """`f` of every item, side by side, in the given order; the first error cancels the rest and is raised."""
        ...

    async def score(
        self,
        paths: Sequence[Prefix],
        *,
        by: Scorer | str | None = None,
        how: Aggregation | None = None,
        unit: bool = False,
    ) -> list[float]:
        """One value per path, in the given order; higher is better.

        `how` makes the value of those of the steps, where the scorer has them; else the scorer's own value counts.
        `unit` brings values, those of steps before they are joined, to the scale of probabilities, where the scorer
        says what its own `scale` is.
        """
        ...

    def charge(self, tokens: int) -> AbstractAsyncContextManager[Bill]:
        """Tokens that a scorer reads, set aside before it reads them; what it does with them stands inside.

        They are paid for however that ends, in full if the bill is not corrected. They are no call to an engine.

        Raises:
            OutOfBudget: the budget of total tokens has no room for them.

        """
        ...

    def can(self, ability: Ability, role: str = "solver") -> bool:
        """Whether the engine that plays a role has an ability."""
        ...

    async def read(self, paths: Sequence[Prefix]) -> list[Candidate]:
        """The answer on each path with its canonical key. Programs have one key where they do the same."""
        ...

    async def recall(self, query: str, k: int) -> list[str]:
        """At most `k` texts of the memory that bear on the query, the most relevant first. They are data: fence them.

        Raises:
            Unsupported: no memory was given. A strategy that recalls says so (`recalls`), and is told at the start.

        """
        ...

    async def execute(self, program: str, inputs: Sequence[Input]) -> list[Execution]:
        """What a program that a model wrote gives for each input, in their order, run where it can do no harm.

        It is paid for: as one call, and with the seconds that it takes. A strategy that executes says so (`executes`).

        Raises:
            OutOfBudget: no call is left, or the run was ended meanwhile.
            Unsupported: no sandbox was given.
            NoSandbox: the sandbox cannot be started here; nothing was run.

        """
        ...

    async def delegate(
        self, strategy: Strategy, budget: Budget | None = None, given: Sequence[Prefix] = ()
    ) -> Choice:
        """What another strategy decides, within `budget` of ours; its `sample` hands out `given` first, for free.

        Given paths that continue what is sampled by one segment, in their order; the branches of an `each` get none.
        """
        ...

    def visited(self, nodes: Iterable[tuple[Prefix, float, int]]) -> None:
        """What a tree search makes of paths it went through: value and number of visits. It changes nothing but the picture."""
        ...

    def propose(self, choice: Choice | Prefix) -> None:
        """The answer to give if the budget or the time ends now; one without an answer replaces none that has."""
        ...
