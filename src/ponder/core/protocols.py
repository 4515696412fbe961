"""The one primitive, the optional abilities beside it, and what strategies are written in.

An `Engine` continues text. A `Scorer` says how good a path is. A `Run` is one attempt at one problem and gives
a strategy its verbs. A `Strategy` turns a problem into a `Choice`. Everything else is built from these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    runtime_checkable,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from ponder.core.calls import Bill, Budget, Prices, Sampling, Usage
    from ponder.core.executions import Execution, Input
    from ponder.core.markers import Markers
    from ponder.core.policy import Policy
    from ponder.core.prefix import Prefix, Prompt, Segment
    from ponder.core.problem import Kind, Problem

T = TypeVar("T")
R = TypeVar("R")

Aggregation: TypeAlias = Literal["last", "min", "prod", "mean", "max"]
"""How the value of a solution is made of those of its steps; see `thinking.aggregation`."""

Scale: TypeAlias = Literal["probability", "logprob", "logit"]
"""What a scorer's values are: in [0, 1]; logarithms of such; or any numbers, of which the logistic function is such."""

Ability = Literal[
    "continue",  # goes on with a partial answer
    "token_ids",  # gives and takes token ids
    "logprobs",  # of the sampled tokens
    "top_logprobs",  # of the likeliest tokens
    "logit_bias",
    "switch_penalty",
    "thinking_budget",  # ends its thinking where `Sampling.thinking` says; that it does is checked all the same
    "certainty",  # self-certainty, over the whole vocabulary
    "seed",  # the same seed gives the same text
    "stop_ids",  # stops at token ids, and min_tokens holds them off
    "grammar",
    "depth",
    "embeddings",
    "scores",  # implements ContinuationScores
    "tells_stop_from_eos",
    "streams",  # calls `watch` while it writes
    "stoppable",  # calls `watch` after every token, and writes no other once it returns False
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do. Found by asking the engine, never guessed from a model's name.

    `context` is the most tokens that prompt and answer may have together; `tokenizer` a fingerprint, so that
    ids are never fed to a model with another vocabulary. `prices` are what its tokens cost, where that is known.
    `thinking` is how it marks its thinking, if it does. `many`: one request of `extend_many` draws several texts, and
    the prompt is read, and paid for, once.
    """

    name: str
    can: frozenset[Ability] = frozenset()
    context: int | None = None
    tokenizer: str | None = None
    prices: Prices | None = None
    thinking: Markers | None = None
    many: bool = False


class Delta(NamedTuple):
    """What an engine wrote since it last called `watch`.

    `top` holds the likeliest tokens' log-probabilities, for each token that was written, where they are recorded
    and the engine tells them as they come.
    """

    text: str
    tokens: int
    top: tuple[tuple[tuple[int, float], ...], ...] = ()


Watch: TypeAlias = "Callable[[Delta], bool | None]"
"""Sees tokens as they come; returns False to end the segment. It may be called from the engine's own thread,
between two steps that it holds up: it must be quick and must not raise."""


Halt: TypeAlias = "Callable[[], Callable[[Delta], str | None]]"
"""Makes a rule for one call. The rule is shown what is written as it comes, and ends the text by saying why; None goes
on. It is called like a `Watch`, and must be as quick."""


class Engine(Protocol):
    """Continues text."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def extend(self, prefix: Prefix, sampling: Sampling, watch: Watch | None = None) -> Segment:
        """Write one segment after `prefix`.

        A `watch` that returns False ends the segment with finish "cancelled" and all it has written.
        Cancelling the call stops the work within one step.

        Raises:
            EngineError: see `core.errors`.

        """
        ...


@runtime_checkable
class Tokenizes(Protocol):
    """Knows its own tokens."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of text inside a path: no begin-of-text, special tokens recognised."""
        ...

    def count(self, prefix: Prefix) -> int:
        """Tokens the engine reads before it writes after `prefix`, chat template included."""
        ...


@runtime_checkable
class TokenizesAfar(Protocol):
    """Knows its tokens, but has to ask for them."""

    async def tokens(self, text: str) -> tuple[int, ...]:
        """See `Tokenizes.encode`.

        Raises:
            Unsupported: whom it asks does not tell.
            EngineError: see `core.errors`.

        """
        ...


@runtime_checkable
class BoundsPrompts(Protocol):
    """Does not know its tokens, but how many they are at most: a token is at least one byte."""

    def count_at_most(self, prefix: Prefix) -> int:
        """No fewer than the tokens the engine reads before it writes after `prefix`."""
        ...


@runtime_checkable
class ContinuationScores(Protocol):
    """Can score text it did not write."""

    async def logprobs(self, prefix: Prefix, continuation: str) -> tuple[float, ...]:
        """Log-probability of each token of `continuation` after `prefix`, in nats."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]: ...


@runtime_checkable
class ExtendsMany(Protocol):
    """Draws several exchangeable segments in one call (`n=`), where that saves prompt tokens."""

    async def extend_many(self, prefix: Prefix, sampling: Sampling, n: int) -> list[Segment]: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A path, the answer read off it, and its vote.

    Two answers are the same exactly when their keys are; no answer, no key.
    """

    path: Prefix
    answer: str | None = None
    key: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What a strategy decides: a path, its answer, the candidates it was chosen from and the votes by key."""

    path: Prefix
    answer: str | None = None
    candidates: tuple[Candidate, ...] = ()
    votes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Higher is better. `steps` are the values of the single steps, where the scorer has them.

    `unread` counts verdicts that were asked for and could not be read: they say nothing, but are recorded.
    """

    value: float
    steps: tuple[float, ...] = ()
    unread: int = 0


class Scorer(Protocol):
    """Says how good paths are.

    `needs` is what the engine must be able to do that writes what is scored, the solver's as a rule, and
    log-probabilities and certainty among it are recorded while it writes. A scorer that asks models itself lists their `roles`, ("judge",), as strategies do: then it is the
    engines of those roles that must be able. One whose values can be brought to the scale of probabilities says what
    they are as its `scale`; without it they are weighed as `thinking.aggregation.unit` guesses.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> frozenset[Ability]: ...

    async def score(self, problem: Problem, paths: Sequence[Prefix], run: Run) -> list[Score]:
        """One score per path, in the given order. `run` is a child scope that pays for whatever is called."""
        ...


class Memory(Protocol):
    """Texts outside the model, which can be asked for those that bear on a query."""

    @property
    def name(self) -> str: ...

    async def recall(self, query: str, k: int) -> list[str]:
        """At most `k` texts, the most relevant first; none where nothing bears on the query."""
        ...


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


class Strategy(Protocol):
    """A frozen dataclass of hyper-parameters with one coroutine.

    One that calls models in several roles lists them in a class variable `roles`, ("solver", "feedback"), so that a
    model given for a role it does not have is noticed. Without that list any role is accepted. One that scores what
    roles other than the solver's wrote lists those whose texts it scores in `scored`, so that what the scorer reads is
    there.
    """

    name: ClassVar[str]
    paper: ClassVar[str]

    @property
    def needs(self) -> frozenset[Ability]:
        """What the engine in the role "solver" must be able to do."""
        ...

    async def solve(self, problem: Problem, run: Run) -> Choice | Prefix: ...


Stop = Literal["finished", "budget", "deadline", "cancelled", "degraded"]
"""Why a run ended. "degraded": it finished, but some of its samples failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer and exactly what it cost.

    `trace` is the id of the run; `failed` counts calls that failed for good; `roles` splits `usage`.
    """

    answer: str | None
    choice: Choice | None
    usage: Usage
    stop: Stop
    trace: str
    failed: int = 0
    overthought: int = 0
    roles: Mapping[str, Usage] | None = None

    @property
    def text(self) -> str:
        """The whole text of the chosen path."""
        return self.choice.path.text if self.choice else ""

    @property
    def prompt(self) -> Prompt | None:
        return self.choice.path.prompt if self.choice else None


class KeysOf(Protocol):
    """One equivalence of answers for every vote and every grade."""

    async def keys(self, answers: Sequence[str], kind: Kind = "auto") -> list[str]:
        """The canonical key of each answer: equal answers, equal keys."""
        ...
