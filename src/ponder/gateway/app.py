"""The server: routes, who may use them, and one request from its first byte to its receipt. Pure ASGI.

Every route says what a key must be for; a path that no route has is 404. Host and Origin are checked before anything
else, and paths are read from the scope, never put together again from headers.
"""

from __future__ import annotations

import json
import logging
import secrets
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
from starlette.routing import Match, Route, Router

from ponder.core.errors import PonderError
from ponder.engines.servers.asking import SALT
from ponder.gateway import documents, front
from ponder.gateway.answering import Answering
from ponder.gateway.asked import read
from ponder.gateway.callers import Callers
from ponder.gateway.choosing import choose
from ponder.gateway.hosts import check_host, check_origin
from ponder.gateway.interface import openapi
from ponder.gateway.limits import HEADER, body_of, check_sizes, read_json
from ponder.gateway.metrics import Metrics
from ponder.gateway.once import Once
from ponder.gateway.passing import Passing
from ponder.gateway.refusals import Refusal, refusal
from ponder.gateway.replying import Reply
from ponder.gateway.salting import salt
from ponder.runtime.tasks import beside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from starlette.types import Receive, Scope, Send

    from ponder.gateway.answering import World
    from ponder.gateway.asked import Asked, Form
    from ponder.gateway.callers import Caller
    from ponder.gateway.choosing import Chosen
    from ponder.gateway.keys import Keys
    from ponder.gateway.options import Options
    from ponder.gateway.served import Served

LATE: Final = 0.05
"""Seconds after its deadline in which an answer may still be written down and sent."""

LOG: Final = logging.getLogger("ponder.gateway")


class Exchange(NamedTuple):
    """One request and its answer."""

    id: str
    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    caller: Caller | None
    receive: Receive
    reply: Reply
    arrived: float


class Gateway:
    """The application.

    Args:
        served: models by name.
        options: see `Options`.
        keys: of clients; None where nobody needs one.
        world: what all runs share.

    """

    def __init__(
        self, served: Mapping[str, Served], options: Options, keys: Keys | None, world: World
    ) -> None:
        self.served, self.options, self.keys, self.world = served, options, keys, world
        self.callers = Callers(keys, options)
        self.metrics = Metrics()
        self.draining = False
        self._once = Once(keys)
        self._idle = anyio.Event()
        self._router = Router([Route(path, _Never(), methods=[m]) for m, path in self.routes])

    @cached_property
    def routes(self) -> dict[tuple[str, str], tuple[str | None, Callable[[Exchange], Awaitable[None]]]]:
        """What is served: by method and path, the scope that a key must have (None: nobody needs a key), and who answers."""
        return {
            ("POST", "/v1/chat/completions"): ("inference", partial(self._completion, form="chat")),
            ("POST", "/v1/completions"): ("inference", partial(self._completion, form="completions")),
            ("GET", "/v1/models"): ("inference", self._models),
            ("GET", "/v1/models/{name:path}"): ("inference", self._model),
            ("GET", "/v1/strategies"): ("inference", self._strategies),
            ("GET", "/openapi.json"): ("inference", self._openapi),
            ("GET", "/metrics"): ("metrics", self._metrics),
            ("GET", "/healthz"): (None, self._healthz),
            ("GET", "/"): (None, self._front),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes an answer of the table."""
        if scope["type"] != "http":
            return
        request = secrets.token_hex(12)
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in reversed(scope["headers"])}
        reply = Reply(send, {"x-request-id": request, **self._cors(headers)})
        started, route = anyio.current_time(), "none"
        try:
            check_host(scope, self.options)
            check_origin(headers, self.options)
            if sum(len(k) + len(v) for k, v in scope["headers"]) > HEADER:
                raise Refusal("request_too_large", f"All headers together have at most {HEADER:,} bytes.")
            if scope["method"] == "OPTIONS" and "origin" in headers:
                await reply.whole(204, {}, b"")
                return
            method, route, parameters = self._matched(scope)
            needed, answer = self.routes[method, route]
            caller = None
            if method == "POST":
                self.callers.door.check()  # a crowd is told before keys are looked up and bodies are read
            if needed is not None:
                caller = self.callers.known(headers.get("authorization"))
                if caller.key and needed not in caller.key.scopes:
                    raise Refusal(
                        "permission_denied", f"This key is not for {route}: it lacks the scope {needed}."
                    )
                reply._headers.update(caller.headers())
            with self._counted():
                await answer(Exchange(request, headers, parameters, caller, receive, reply, started))
        except Exception as error:  # noqa: BLE001 - a client gets an answer of the table, whatever happened
            await self._refused(error, reply, request)
        finally:
            status = reply.status or 499
            self.metrics.answered(route, status, anyio.current_time() - started)

    def use(self, options: Options) -> None:
        """Other options from the next request on. Where it listens and what it may spend in all stay until the next start."""
        self.options = self.callers.options = options
        self.world.usage_mode = options.usage_mode
        self.callers.day.limit = options.daily
        self.callers.door.widen(options.requests, options.queue)

    async def drained(self) -> None:
        """From now on nobody new is served; returns when the last request is over."""
        self.draining = True
        while self.metrics.in_flight:
            self._idle = anyio.Event()
            await self._idle.wait()

    # -- routes ---------------------------------------------------------------------------------------------------

    async def _completion(self, exchange: Exchange, *, form: Form) -> None:
        headers, reply, caller = exchange.headers, exchange.reply, exchange.caller
        if self.draining:
            raise Refusal(
                "shutting_down",
                "This server ends. Try again.",
                headers={"retry-after": "5", "connection": "close"},
            )
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal("unsupported_media_type", "Send the body as content-type: application/json.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal("unsupported_media_type", "Send the body uncompressed.")
        raw = await body_of(exchange.receive, headers.get("content-length"))
        body, text = read_json(raw)
        check_sizes(body)
        asked = read(form, body, text)
        key = caller.key if caller else None
        chosen = choose(asked, headers, self.served, self.options, key)
        given = headers.get("idempotency-key")
        if caller is None:
            raise Refusal("invalid_api_key", "This route needs a key.")

        async def answer() -> None:
            async with self._once.claimed(caller.id, given, raw, reply) as mine:
                if mine:
                    with _by(exchange, chosen):
                        await self._answered(exchange, caller, asked, chosen)

        await _while_connected(answer, exchange.receive)

    async def _answered(self, exchange: Exchange, caller: Caller, asked: Asked, chosen: Chosen) -> None:
        """One execution of a request, in its turn."""
        reply, served = exchange.reply, self.served[chosen.model]
        SALT.set(salt(caller.id) if self.options.salt else None)
        failed = 499
        async with self.callers.admitted(caller) as ledger:
            reply._headers.update(caller.headers())
            try:
                if chosen.strategy is None and served.passes_on is not None:
                    passing = Passing(
                        asked, served.passes_on, served.name, chosen.budget, ledger, exchange.arrived
                    )
                    passing.check()
                    await passing.answer(reply)
                else:
                    answering = Answering(
                        exchange.id, asked, chosen, served, self.world, ledger, exchange.arrived
                    )
                    strategy = answering.checked()
                    await (answering.streamed if asked.stream else answering.whole)(strategy, reply)
            except PonderError as error:
                told = refusal(error, spent=ledger.spent.completion)
                failed = told.status
                raise told from error
            finally:
                self.metrics.spent(chosen.model, chosen.kind, ledger.spent)
                status = reply.status or failed
                self._log(exchange, caller, chosen, status, ledger.spent.completion)

    async def _models(self, exchange: Exchange) -> None:
        await exchange.reply.json(200, documents.models(self.served, self.options, _key(exchange)))

    async def _model(self, exchange: Exchange) -> None:
        name = exchange.parameters["name"]
        for model in documents.models(self.served, self.options, _key(exchange))["data"]:
            if model["id"] == name:
                await exchange.reply.json(200, model)
                return
        raise Refusal("model_not_found", f"There is no model {name!r}. GET /v1/models lists them.", "model")

    async def _strategies(self, exchange: Exchange) -> None:
        await exchange.reply.json(200, documents.strategies(self.options))

    async def _openapi(self, exchange: Exchange) -> None:
        models = documents.models(self.served, self.options, _key(exchange))["data"]
        await exchange.reply.json(200, openapi([model["id"] for model in models]))

    async def _metrics(self, exchange: Exchange) -> None:
        text = self.metrics.text(self._held()).encode()
        await exchange.reply.whole(200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"}, text)

    def _held(self) -> dict[tuple[str, str], float]:
        """What requests hold at the moment: all of it goes to 0 with the last of them, but for the tasks, some of which are the server's."""
        calls, tokens = self.callers.ledger.held
        found: dict[tuple[str, str], float] = {
            ("ponder_requests_waiting", ""): len(self.callers.door.waiting),
            ("ponder_requests_admitted", ""): self.callers.door.inside,
            ("ponder_calls_reserved", ""): calls,
            ("ponder_tokens_reserved", ""): tokens,
        }
        for name, served in self.served.items():
            found["ponder_calls_in_flight", name] = getattr(served.engine, "in_flight", 0)
        found["ponder_tasks", ""] = len(anyio.get_running_tasks())
        return found

    async def _healthz(self, exchange: Exchange) -> None:
        status = 503 if self.draining else 200
        await exchange.reply.json(status, {"status": "draining" if self.draining else "ok"})

    async def _front(self, exchange: Exchange) -> None:
        page = front.front(exchange.headers["host"])
        await exchange.reply.whole(200, front.headers(), page)

    # -- around them ----------------------------------------------------------------------------------------------

    def _matched(self, scope: Scope) -> tuple[str, str, Mapping[str, str]]:
        """The method and the pattern of a route, and what its pattern takes from the path."""
        if (scope["method"], scope["path"]) in self.routes:
            return scope["method"], scope["path"], {}
        other = None
        for route in self._router.routes:
            match, child = route.matches(scope)
            if match is Match.FULL and isinstance(route, Route):
                method = "GET" if scope["method"] == "HEAD" else scope["method"]
                return method, route.path, child["path_params"]
            if match is Match.PARTIAL and isinstance(route, Route):
                other = route
        if other is not None:
            allowed = ", ".join(sorted(other.methods or ()))
            raise Refusal("method_not_allowed", f"{other.path} takes {allowed}.", headers={"allow": allowed})
        raise Refusal("not_found", "There is no such route. GET /openapi.json lists them.")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.metrics.in_flight += 1
        try:
            yield
        finally:
            self.metrics.in_flight -= 1
            if not self.metrics.in_flight:
                self._idle.set()

    async def _refused(self, error: Exception, reply: Reply, request: str) -> None:
        told = refusal(error)
        if told.code == "internal_error" or not isinstance(error, PonderError):
            LOG.error("request %s: a mistake of ours", request, exc_info=error)
        if reply.status:  # it had begun: the connection is all that can tell
            if not reply.ended:
                with suppress(OSError):
                    await reply.broken(told.body)
            return
        with suppress(OSError):
            await reply.json(told.status, told.body, told.all_headers())

    def _cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        origin = headers.get("origin")
        if origin is None or origin not in self.options.origins:
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-headers": "authorization, content-type, idempotency-key, x-ponder-strategy, "
            "x-ponder-budget-tokens, x-ponder-budget, x-ponder-deadline-s",
            "access-control-allow-methods": "GET, POST",
            "vary": "origin",
        }

    def _log(self, exchange: Exchange, caller: Caller, chosen: Chosen, status: int, tokens: int) -> None:
        """Who, what, how much; nothing of what was asked or answered."""
        told: dict[str, Any] = {
            "request": exchange.id,
            "key": caller.id or None,
            "model": chosen.model,
            "strategy": chosen.name[:200],
            "status": status,
            "completion_tokens": tokens,
        }
        LOG.info("%s", json.dumps(told))


class _Never:
    """Routes only say which path is which; `Gateway` answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


@contextmanager
def _by(exchange: Exchange, chosen: Chosen) -> Iterator[None]:
    """Whatever is in the way, a request ends with its deadline; that of its work comes a little earlier.

    Raises:
        Refusal: it did not end by itself.

    """
    seconds = chosen.budget.seconds
    with anyio.CancelScope() as scope:
        if seconds is not None:
            scope.deadline = exchange.arrived + seconds + LATE
        yield
    if scope.cancelled_caught:
        raise Refusal("deadline_exceeded", "The deadline came before any answer. Give more time.")


def _key(exchange: Exchange) -> Any:
    return exchange.caller.key if exchange.caller else None


async def _while_connected(job: Callable[[], Awaitable[None]], receive: Receive) -> None:
    """Do a job while the client is there; where it leaves, the job ends at once, and all it started with it."""
    with anyio.CancelScope() as scope:

        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            scope.cancel()

        await beside(listen, job)
