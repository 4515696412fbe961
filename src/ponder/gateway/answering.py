"""A strategy's answer to one request: run, watched, rendered, streamed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import anyio

from ponder.core.errors import OutOfBudget, PonderError
from ponder.gateway.as_is import AsIs, as_is
from ponder.gateway.asked import stops
from ponder.gateway.refusals import Refusal, refusal
from ponder.gateway.rendering import candidates, receipt, said, top, trace, usage_of
from ponder.gateway.replying import DONE, SSE, Outbox
from ponder.gateway.showing import Showing
from ponder.runtime.attempt import GRACE
from ponder.runtime.preflight import check_memory, check_roles, preflight
from ponder.runtime.schemas import Schemas
from ponder.runtime.solve import solve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ponder.core import events as e
    from ponder.core.calls import Budget, Usage
    from ponder.core.policy import Policy
    from ponder.core.prefix import Prefix
    from ponder.core.protocols import Engine, FormsOf, KeysOf, Result, Scorer, Strategy
    from ponder.gateway.asked import Asked
    from ponder.gateway.choosing import Chosen
    from ponder.gateway.options import UsageMode
    from ponder.gateway.rendering import Said
    from ponder.gateway.replying import Reply
    from ponder.gateway.served import Served
    from ponder.runtime.ledger import Ledger


DECIDING: Final = 0.1
"""The part of a deadline in which nothing more is written, and the strategy decides with what it has."""


@dataclass
class World:
    """What all runs of this server share: roles' engines, scorers, one equivalence of answers."""

    equality: KeysOf
    scorers: Mapping[str, Scorer]
    roles: Mapping[str, Engine] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    usage_mode: UsageMode = "openai"
    forms: FormsOf = field(default_factory=Schemas)


@dataclass
class Answering:
    """One request while its answer is made.

    Args:
        request: its id.
        ledger: what its caller may spend.
        arrived: when it came, on the loop's clock; its deadline counts from then.

    """

    request: str
    asked: Asked
    chosen: Chosen
    served: Served
    world: World
    ledger: Ledger
    arrived: float
    created: int = field(default_factory=lambda: int(time.time()))
    counts: dict[str, int] = field(default_factory=lambda: {"finished": 0, "failed": 0, "cancelled": 0})
    _outbox: Outbox | None = None
    _events: list[e.Event] = field(default_factory=list)

    def checked(self) -> Strategy:
        """The strategy, able to work on this model.

        Raises:
            Refusal, UsageError: it is not.

        """
        capabilities = self.served.engine.capabilities
        strategy = self.chosen.strategy or as_is(self.asked, capabilities)
        if self.asked.stream:  # it can be refused only before it begins; otherwise `solve` checks the same
            check_memory(None, strategy)
            check_roles(["solver"], [strategy], self.world.scorers)
            preflight(strategy, self.engines, self.world.scorers)
        if self.chosen.budget.dollars is not None and capabilities.prices is None:
            raise Refusal(
                "unsupported_parameter",
                f"{self.served.name} has no prices. Limit tokens instead.",
                "ponder.budget",
            )
        return strategy

    @property
    def engines(self) -> dict[str, Engine]:
        return {**self.world.roles, "solver": self.served.engine}

    async def whole(self, strategy: Strategy, reply: Reply) -> None:
        """Answer at once, when all is done."""
        started = anyio.current_time()
        result, chosen = await self._decided(strategy)
        choices = self._said(result, chosen)
        body = self._envelope("chat.completion" if self.asked.form == "chat" else "text_completion")
        body["choices"] = [self._choice(i, choice) for i, choice in enumerate(choices)]
        body["usage"] = self._usage(result, chosen, choices)
        body["ponder"] = self._receipt(result)
        headers = {
            "x-ponder-strategy": self.chosen.name.encode("ascii", "replace").decode(),
            "x-ponder-spent-tokens": str(self.spent.completion),
            "openai-processing-ms": str(round((anyio.current_time() - started) * 1000)),
        }
        await reply.json(200, body, headers)

    async def streamed(self, strategy: Strategy, reply: Reply) -> None:
        """Answer as it comes: a role, progress, what is visible of the answer, its rest, how it ended."""
        problem = self.asked.problem
        if self.chosen.strategy is not None and problem is not None and problem.schema is not None:
            await self.world.forms.misfit(
                None, problem.schema
            )  # it can be refused only before the stream begins
        await reply.start(
            200, {**SSE, "x-ponder-strategy": self.chosen.name.encode("ascii", "replace").decode()}
        )
        outbox = self._outbox = Outbox()
        if self.asked.form == "chat":
            for i in range(self.asked.n):
                self._chunk({"role": "assistant", "content": ""}, index=i)

        async def job() -> None:
            try:
                result, chosen = await self._decided(strategy)
                self._finish(result, chosen)
                outbox.put(DONE)
            except Exception as error:  # noqa: BLE001 - the stream is open: it is told there, whatever it is
                reply.failed = True
                outbox.event(refusal(error, spent=self.spent.completion).body)
            finally:
                outbox.close()

        async with anyio.create_task_group() as group:
            group.start_soon(job)
            await outbox.sent(reply)
        await reply.end()

    @cached_property
    def _return(self) -> str:
        return str(self.asked.ponder.get("return") or "answer")

    @property
    def spent(self) -> Usage:
        return self.ledger.spent

    # -- the run --------------------------------------------------------------------------------------------------

    async def _decided(self, strategy: Strategy) -> tuple[Result, list[Prefix]]:
        """The result, and the paths of its choices."""
        problem, seed = self.asked.problem, self.asked.seed
        if problem is None:
            raise Refusal("invalid_value", "There is nothing to answer.", "messages")
        budget, grace = self._in_time()
        result = await solve(
            problem,
            strategy,
            self.engines,
            equality=self.world.equality,
            scorers=self.world.scorers,
            policies=self.world.policies,
            budget=budget,
            grace=grace,
            seed=secrets.randbits(31) if seed is None else seed,
            watchers=[self._saw],
            live=[self._wrote] if self._outbox is not None and self.asked.n == 1 else [],
            within=self.ledger,
            forms=None if self.chosen.strategy is None else self.world.forms,
            together=self._outbox is None and seed is None and not self.chosen.deadline,
        )
        if result.choice is None or (
            result.stop in ("budget", "deadline") and self.asked.ponder.get("on_exhausted") == "error"
        ):
            raise self._nothing(result)
        if result.form is not None and not result.form.kept and not result.choice.path.cut:
            raise Refusal(
                "schema_not_kept",
                f"The answer does not keep to the JSON schema, nor did the model when it was asked to write it anew: "
                f"{result.form.why}. Use another model, or a server that holds texts to a schema.",
                "response_format",
            )
        if isinstance(strategy, AsIs):
            return result, [c.path for c in result.choice.candidates]
        return result, [path for path, _ in top(result, self.asked.n)]

    def _in_time(self) -> tuple[Budget, float]:
        """The budget with what is left of its seconds, the last part of which is the strategy's to decide in."""
        budget = self.chosen.budget
        if budget.seconds is None:
            return budget, GRACE
        left = max(0.0, self.arrived + budget.seconds - anyio.current_time())
        grace = min(GRACE, DECIDING * left)
        return replace(budget, seconds=left - grace), grace

    def _nothing(self, result: Result) -> PonderError:
        after = f"after {result.usage.completion:,} completion tokens in {result.usage.calls} calls"
        if result.stop == "deadline":
            return Refusal(
                "deadline_exceeded", f"The deadline came before any answer, {after}. Give more time."
            )
        if result.stop == "cancelled":
            return Refusal("shutting_down", f"The run was ended {after}. Try again.")
        if self.ledger.refused:  # it has no limit of its own: what ended is around it
            return Refusal(
                "insufficient_quota",
                f"What is left of this key's budget, or of the server's, pays for no answer; it ended {after}.",
            )
        return OutOfBudget(
            f"The budget ended before any answer, {after}. Give more with ponder.budget_tokens."
        )

    def _said(self, result: Result, chosen: list[Prefix]) -> list[Said]:
        markers = self.served.engine.capabilities.thinking
        problem = self.asked.problem
        assert problem is not None  # noqa: S101 - `_decided` has seen it
        by_path = {id(c.path): c.answer for c in (result.choice.candidates if result.choice else ())}
        found = []
        for i, path in enumerate(chosen):
            answer = result.answer if i == 0 else by_path.get(id(path))
            choice = said(path, answer, problem, markers)
            if result.stop in ("budget", "deadline") and answer is None and not choice.calls:
                choice = replace(choice, finish="length")
            found.append(choice)
        return found

    # -- what a stream is told -----------------------------------------------------------------------------------------

    def _saw(self, event: e.Event) -> None:
        if self._return == "trace":
            self._events.append(event)
        if event.kind == "extended":
            self.counts["finished"] += 1
        elif event.kind == "failed":
            self.counts["cancelled" if getattr(event, "cancelled", False) else "failed"] += 1
        elif event.kind not in ("proposed", "scored"):
            return
        if self._outbox is not None and self.chosen.strategy is not None:
            self._progress(event)

    def _progress(self, event: Any) -> None:
        how = self.asked.ponder.get("progress", "comments")
        told = f"{self.counts['finished']} calls, {self.spent.completion} tokens"
        if event.kind == "proposed" and event.answer is not None:
            told += f", best so far {event.answer[:80]}"
        if self._outbox is None or how == "none":
            return
        if how == "reasoning":
            self._chunk({"reasoning": told + "\n", "reasoning_content": told + "\n"})
        else:
            self._outbox.comment(f"ponder {told}")

    def _wrote(self, event: e.Event) -> None:
        """Called from an engine's thread: no more is done here than to cut and to put."""
        if getattr(event, "visible", False):
            thought, content = self._showing.more(event.text)  # type: ignore[attr-defined]  # `Wrote` is the only one
            if thought:
                self._chunk({"reasoning": thought, "reasoning_content": thought})
            if content:
                self._chunk({"content": content})

    @cached_property
    def _showing(self) -> Showing:
        hold = max(map(len, stops(self.asked.body)), default=0)
        return Showing(self.served.engine.capabilities.thinking, hold)

    def _finish(self, result: Result, chosen: list[Prefix]) -> None:
        """The rest of the answer, and how it ended."""
        choices = self._said(result, chosen)
        for i, choice in enumerate(choices):
            reasoning, content = choice.reasoning, choice.content or ""
            if i == 0:  # what was shown stays
                seen = "".join(self._showing.said)
                content = content[len(seen) :] if content.startswith(seen) else ""
                reasoning = reasoning[sum(map(len, self._showing.thought)) :]
            if reasoning:
                self._chunk({"reasoning": reasoning, "reasoning_content": reasoning}, index=i)
            if content:
                self._chunk({"content": content}, index=i)
            if choice.calls:
                calls = [{"index": at, **call} for at, call in enumerate(choice.calls)]
                self._chunk({"tool_calls": calls}, index=i)
            last = i == len(choices) - 1
            self._chunk(
                {}, index=i, finish=choice.finish, more={"ponder": self._receipt(result)} if last else None
            )
        if self.asked.usage and self._outbox:
            body = self._envelope(self._object)
            body |= {"choices": [], "usage": self._usage(result, chosen, choices)}
            self._outbox.event(body)

    # -- forms --------------------------------------------------------------------------------------------------------

    @property
    def _object(self) -> str:
        return "chat.completion.chunk" if self.asked.form == "chat" else "text_completion"

    def _envelope(self, kind: str) -> dict[str, Any]:
        ident = ("chatcmpl-" if self.asked.form == "chat" else "cmpl-") + self.request
        return {
            "id": ident,
            "object": kind,
            "created": self.created,
            "model": self.asked.model,
            "system_fingerprint": None,
        }

    def _chunk(
        self,
        delta: dict[str, Any],
        *,
        index: int = 0,
        finish: str | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        if self._outbox is None:
            return
        body = self._envelope(self._object)
        choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": finish}
        if self.asked.form == "chat":
            choice["delta"] = delta
        elif (text := delta.get("content", "")) or finish:
            choice["text"] = text
        else:
            return
        body["choices"] = [choice]
        if self.asked.usage:
            body["usage"] = None
        self._outbox.event(body | (more or {}))

    def _choice(self, index: int, choice: Said) -> dict[str, Any]:
        told: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": choice.finish}
        if self.asked.form == "chat":
            return told | {"message": choice.message()}
        return told | {"text": choice.content or ""}

    def _usage(self, result: Result, chosen: list[Prefix], choices: list[Said]) -> dict[str, Any]:
        found = result.choice.candidates if result.choice else ()
        return usage_of(result.usage, chosen, choices, self.world.usage_mode, found)

    def _receipt(self, result: Result) -> dict[str, Any]:
        told = receipt(result, self.chosen, self.request, self.counts, result.usage)
        if self._return == "candidates":
            told["candidates"] = candidates(result)
        elif self._return == "trace":
            told["trace"] = trace(self._events)
        return told
