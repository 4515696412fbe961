"""The way to one server: HTTP over aiohttp.

Redirects are not followed, no proxy or netrc of the environment is used, certificates are verified, and names that
lead to link-local addresses (where clouds keep their secrets) are refused. The key is sent and never told. Whoever
leaves a call closes its connection at once, which is how a server knows that it can stop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import ssl
import weakref
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ponder.core.errors import EngineClosed, EngineError, Unsupported, UsageError
from ponder.engines.servers.failures import Silent, broken, refused
from ponder.engines.servers.sse import Parser, TooLong

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    import aiohttp

MOST = 8 * 1024 * 1024
"""Bytes of an answer that is not streamed, at most."""
MOST_STREAMED = 64 * 1024 * 1024
"""Bytes of a stream, at most."""
CONNECTING = 5.0
_OPENED: ContextVar[bool] = ContextVar("opened", default=False)
"""Whether the request that is being sent has a connection of its own, which nobody used before."""
AFTER_DONE = 0.5
"""Seconds that a server has to end a stream that is over; otherwise the connection is not used again."""


class Passed(NamedTuple):
    """An answer as it came: pieces of its body are whatever the network makes of it."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


class Link:
    """Asks one server.

    Args:
        url: where its interface begins, http or https.
        key: sent as a bearer token.
        patience: seconds of silence after which a call is given up.
        ca: a file of certificates to trust instead of the system's.

    Raises:
        UsageError: the URL is none.

    """

    def __init__(
        self, url: str, key: str | None = None, *, patience: float = 120.0, ca: Path | None = None
    ) -> None:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
            parts.port  # noqa: B018 - raises where it is no number
        except ValueError:
            fits = False
        if not fits:
            raise UsageError(
                f"{shown(url)} is no address of a server. Example: http://127.0.0.1:8000/v1#model"
            )
        if parts.username or parts.password:
            raise UsageError(
                f"Leave the password out of {shown(url)}. Set `key` of the model in ponder.toml."
            )
        self.url = url.rstrip("/")
        self.where = parts.netloc
        if re.fullmatch(r"[\d.]+|.*:.*", parts.hostname or ""):  # an address, which nobody has to look up
            try:
                refuse_link_local("The URL", parts.hostname or "")
            except ValueError:
                raise UsageError(f"{shown(url)} has no address that is one. Correct the URL.") from None
            except OSError as error:
                raise UsageError(str(error)) from None
        self.closed = False
        self._key = key
        self._patience = patience
        self._verified = _certificates(ca) if ca is not None else None
        self._sessions: weakref.WeakKeyDictionary[Any, aiohttp.ClientSession] = weakref.WeakKeyDictionary()
        self._ends: weakref.WeakKeyDictionary[Any, list[AsyncGenerator[None]]] = weakref.WeakKeyDictionary()
        self._reuse = True

    def hidden(self, text: str) -> str:
        """What a server said, without our key, which some say again."""
        return text.replace(self._key, "[redacted]") if self._key else text

    def close(self) -> None:
        """No call is made from now on. Connections close with the event loop that they belong to."""
        self.closed = True

    async def get(self, path: str) -> Any:
        """The JSON at a path.

        Raises:
            EngineError: see `failures`.

        """
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that the server answers to a body.

        Raises:
            EngineError: see `failures`.

        """
        return await self._ask("POST", path, body)

    async def stream(
        self, path: str, body: Mapping[str, Any], take: Callable[[Any], bool | None], spent: Callable[[], int]
    ) -> bool:
        """Hand `take` the JSON of each event until the server says [DONE] or the stream ends.

        `take` says None where the stream is at its end, and False to leave before. Returns False where the stream
        ended without anybody having said so. `spent` is asked for the tokens that were written when something breaks.

        Raises:
            EngineError: see `failures`.

        """
        session = await self._session()
        with self._translated(spent):
            response = await self._send(session, "POST", path, body)
            try:
                if response.status != 200:
                    raise refused(response.status, response.headers, await self._error(response), self.where)
                done = await self._events(response, take, spent)
            except BaseException:
                response.close()
                raise
            if not done:
                response.close()
            else:
                await _ended(response)
            return done is not None

    @asynccontextmanager
    async def passed(self, path: str, body: bytes, spent: Callable[[], int]) -> AsyncIterator[Passed]:
        """Send a body as it is, and give the answer as it comes. Who leaves closes the connection.

        Raises:
            EngineError: see `failures`; but no status is an error here.

        """
        with self._translated(spent):
            response = await self._send(await self._session(), "POST", path, body)
            whole = False
            try:
                yield Passed(response.status, response.headers, response.content.iter_any())
                whole = response.content.at_eof()
            finally:
                if whole:
                    response.release()
                else:
                    response.close()

    async def _events(
        self, response: aiohttp.ClientResponse, take: Callable[[Any], bool | None], spent: Callable[[], int]
    ) -> bool | None:
        """True: the stream is at its end; False: `take` leaves it; None: it just ended."""
        parser, size = Parser(), 0
        async for more in response.content.iter_any():
            size += len(more)
            if size > MOST_STREAMED:
                raise EngineError(f"{self.where} sent more than {MOST_STREAMED:,} bytes in one stream.")
            for event in parser.feed(more):
                if event.data == "[DONE]":
                    return True
                try:
                    told = json.loads(event.data)
                except (ValueError, RecursionError):
                    raise broken("sent an event that is no JSON", self.where, spent()) from None
                more_of_it = take(told)
                if not more_of_it:
                    return more_of_it is None
        return None

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        session = await self._session()
        with self._translated(lambda: 0):
            response = await self._send(session, method, path, body)
            try:
                text = await self._text(response)
            except BaseException:
                response.close()
                raise
            response.release()
            if response.status != 200:
                raise refused(response.status, response.headers, self.hidden(text), self.where)
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                raise broken("sent an answer that is no JSON", self.where, 0) from None

    async def _send(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request, and once more where its connection had been used before and was closed since: llama-server
        closes one after each stream and does not say so. From then on no connection is used twice.
        """
        import aiohttp

        asked: dict[str, Any] = {"allow_redirects": False}
        if isinstance(body, bytes):
            asked |= {"data": body, "headers": {"content-type": "application/json"}}
        elif body is not None:
            asked["json"] = dict(body)
        _OPENED.set(False)
        try:
            return await session.request(method, self.url + path, **asked)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not self._reuse or _OPENED.get() or isinstance(error, aiohttp.ClientConnectorError):
                raise
            self._reuse = False
            self._sessions.clear()
        return await (await self._session()).request(method, self.url + path, **asked)

    async def _error(self, response: aiohttp.ClientResponse) -> str:
        return self.hidden(await self._text(response))

    async def _text(self, response: aiohttp.ClientResponse) -> str:
        body = bytearray()
        async for more in response.content.iter_any():
            body += more
            if len(body) > MOST:
                response.close()
                raise EngineError(f"{self.where} sent more than {MOST:,} bytes in one answer.")
        return body.decode("utf-8", "replace")

    @contextmanager
    def _translated(self, spent: Callable[[], int]) -> Iterator[None]:
        import aiohttp

        try:
            yield
        except TooLong as error:
            raise EngineError(f"{self.where} sent too much: {error}") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise EngineError(
                f"The certificate of {self.where} cannot be verified: {error.certificate_error}. Name the file of its "
                "authority as `ca` of this model in ponder.toml."
            ) from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Forbidden):
                raise EngineError(str(error.os_error)) from None
            why = error.os_error.strerror or str(error.os_error)
            if getattr(error.os_error, "reason", None) == "WRONG_VERSION_NUMBER":
                why = "it speaks no TLS; its address may begin with http://"
            raise broken(f"cannot be reached ({why})", self.where, 0) from None
        except aiohttp.ConnectionTimeoutError:
            raise broken(f"cannot be reached (it said nothing for {CONNECTING:g} s)", self.where, 0) from None
        except TimeoutError:
            raise broken(f"said nothing for {self._patience:g} s", self.where, spent(), Silent) from None
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            said = "broke the connection" if not str(error) else f"broke the connection ({str(error)[:100]})"
            raise broken(said, self.where, spent()) from None

    async def _session(self) -> aiohttp.ClientSession:
        """The session of this event loop. An async generator keeps it, which the loop ends as it closes."""
        if self.closed:
            raise EngineClosed(f"The engine on {self.where} was closed. Open it again.")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise Unsupported("Servers are asked over asyncio. Run on asyncio, not on trio.") from None
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._sessions[loop] = self._opened()
            end = _kept(session)
            self._ends.setdefault(loop, []).append(end)
            await anext(end)
        return session

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        verified: ssl.SSLContext | bool = True
        if self.url.startswith("https:"):  # to read the certificates takes a while
            verified = self._verified or ssl.create_default_context()
        connector = _connector(ssl=verified, force_close=not self._reuse)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECTING, sock_read=self._patience)
        headers = {"accept-encoding": "identity"}  # streams are small, and nothing can swell
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers=headers,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=2**18,
        )


def _certificates(ca: Path) -> ssl.SSLContext:
    """What trusts the certificates of a file, and no others.

    Raises:
        UsageError: it cannot be read, or has none.

    """
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError as error:  # ssl.SSLError is one
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(
            f"The file of certificates {ca} cannot be used: {why}. Correct `ca` of this model in ponder.toml; a path "
            "there is read from the working folder."
        ) from None


def shown(url: str) -> str:
    """A URL without what may be a secret."""
    scheme, slashes, rest = url.partition("://")
    return (
        f"{scheme}{slashes}{rest.rpartition('@')[2]}".partition("?")[0] if slashes else url.rpartition("@")[2]
    )


async def _kept(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await session.close()


async def _ended(response: aiohttp.ClientResponse) -> None:
    """Read the end of a stream that is over, so that its connection can be used again."""
    try:
        async with asyncio.timeout(AFTER_DONE):
            async for _ in response.content.iter_any():
                pass
        response.release()
    except (TimeoutError, OSError):
        response.close()
    except BaseException:
        response.close()
        raise


class _Forbidden(OSError):
    """A name leads where no model server is."""


def _connector(**how: Any) -> aiohttp.TCPConnector:
    """Connections without a bound, and never to where no model server is."""
    import aiohttp
    from aiohttp.resolver import DefaultResolver

    class Connector(aiohttp.TCPConnector):  # type: ignore[misc]  # aiohttp is an extra
        """Says when a request opens a connection."""

        async def _create_connection(self, *asked: Any) -> Any:
            _OPENED.set(True)
            return await super()._create_connection(*asked)

    class Resolver(DefaultResolver):  # type: ignore[misc]  # which class that is depends on what is installed
        """Refuses link-local addresses."""

        async def resolve(self, host: str, *args: Any, **more: Any) -> Any:
            found = await super().resolve(host, *args, **more)
            for one in found:
                refuse_link_local(host, one["host"])
            return found

    return Connector(limit=0, resolver=Resolver(), **how)


def refuse_link_local(host: str, address: str) -> None:
    """Raises an OSError for an address where clouds keep their secrets."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_link_local or str(ip) == "fd00:ec2::254":
        raise _Forbidden(
            f"{host} leads to {ip}, a link-local address, where no model server is. Correct the URL."
        )
