"""One request in an app.

ASGI pushes: an app sends its response from within its call, and may go on after that,
for its background tasks and what is left to be cleaned up.  A handler returns one, of
which the session pulls the body.  So the app runs in another task; and if it has not
finished when its response is there, a task of the server's group stands for it, so that
a stop waits for it.

To run it in the session's own task would save two switches.  But whether an app goes on
after its response is known only when it does; by then it may have entered cancel scopes
and groups, which belong to the task, so nobody else can go on with it.

The state says which message may come next:

    new         http.response.start
    begun       the first of the body, or a file instead
    streaming   more of the body; it waits for the client to have taken the last
    void        more of a body that this response has not: for HEAD, 204 and 304
    trailing    http.response.trailers
    ended       none

Nothing has been sent before the first of the body comes; so whatever fails before that
is answered 500, and after that the response is cut.

The client may be gone, which the app is told by `http.disconnect` and by an OSError
from `send`, and after that an error of the app is no news.  A body that is refused
looks the same to the app, while the client is told what was wrong with it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Self, TypeAlias

import anyio
import anyio.lowlevel

from csp._channel import Channel
from csp._errors import ChannelBroken, ChannelClosed, EndOfChannel
from csp._group import go
from csp._park import Waiter, current
from csp._tasks import current_group
from csp.net.http._errors import ClientGone, HTTPError
from csp.net.http._headers import Headers
from csp.net.http._message import Content, Request, Response

from ._types import App, Message, Scope, data, fields

_log = logging.getLogger("csp.net.http")

_WITHOUT_CONTENT = (204, 304)
# Starts a coroutine as a task; returns what cancels it.
Starter: TypeAlias = Callable[[Coroutine[Any, Any, None]], Callable[[], None]]

_PIECE = 65536  # bytes of a file at once


class Exchange:
    """A request, and the response that an app sends to it."""

    # What few requests need is here, and not made for each.
    _finished = False  # whether the app has
    _seen_out: anyio.Event | None = None
    _state = "new"
    _asked = True  # whether there may be more of the request's body
    _gone = False
    error: BaseException | None = None
    """What is to be raised instead of the rest of the response."""
    _response: Response | None = None
    _trailers: Headers | None = None
    _waiter: Waiter | None = None
    _pieces: Channel[bytes] | None = None
    _over: anyio.Event | None = None
    _unwatched: anyio.Event | None = None  # when the watcher has ended
    _status: int
    _headers: Headers

    def __init__(self, app: App, request: Request, run_task: Starter) -> None:
        self._app = app
        self._request = request
        self._run_task = run_task

    async def run(self, scope: Scope) -> Response:
        """Run the app; returns its response as soon as there is one."""
        cancel = self._run_task(self._run(scope))
        if self._response is None and self.error is None:
            loop = current()
            self._waiter = waiter = loop.waiter_class(loop)
            try:
                await waiter.sleep()
            except BaseException as error:
                try:
                    waiter.rescue(error)
                except BaseException:
                    cancel()
                    raise
        if not self._finished and current_group.get() is not None:
            go(self._see_out, cancel, name=str(self))
        if self._unwatched is not None and self._pieces is None:
            await self.stop_watching()
        if self.error is not None and self._pieces is None:
            raise self.error
        assert self._response is not None
        return self._response

    async def _see_out(self, cancel: Callable[[], None]) -> None:
        """Stand for the app in the server's group, so that a stop waits for it."""
        if self._finished:
            return
        self._seen_out = anyio.Event()
        try:
            await self._seen_out.wait()
        except BaseException:
            cancel()
            raise

    # The app

    async def _run(self, scope: Scope) -> None:
        try:
            await self._app(scope, self.receive, self.send)
        except Exception as error:
            self._app_ended(error)
        except BaseException:
            self._fail(RuntimeError("the application was cancelled"))
            raise
        else:
            if self._state != "ended":
                self._app_ended(RuntimeError(_INCOMPLETE[self._state]))
        finally:
            self._finished = True
            if self._seen_out is not None:
                self._seen_out.set()

    def _app_ended(self, error: Exception) -> None:
        """See to an app that has failed, or not done its work."""
        if self._gone:
            if not isinstance(error, OSError):
                _log.info("%s: the client has gone", self, exc_info=error)
            error = ClientGone("the client has closed the connection")
        elif self._state in ("ended", "void"):
            _log.error("%s: failed after the response", self, exc_info=error)
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the response with an error, if it has not ended."""
        if self._state == "ended":
            return
        self._state = "ended"
        if self.error is None:
            self.error = error
        self._end()

    def _end(self) -> None:
        """Let all go on who wait for the end of the response."""
        self._state = "ended"
        if self._over is not None:
            self._over.set()
        if self._pieces is not None:
            self._pieces.close()
        self._wake()

    def _answer(self, body: Content) -> Response:
        """Let the handler return the response."""
        self._response = response = Response(self._status, body, self._headers)
        self._wake()
        return response

    def _wake(self) -> None:
        """Let the handler go on, with a response or an error."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.match(self, None)

    # Sending

    async def send(self, message: Message) -> None:
        """What the app calls to respond."""
        kind = message["type"]
        step = _STEPS[self._state].get(kind)
        if self._gone and (step is not None or self._state == "ended"):
            raise BrokenPipeError("the client has closed the connection")
        if step is None:
            raise RuntimeError(
                f"{kind!r} cannot be sent here: the response is {self._state}"
            )
        if (wait := step(self, message)) is not None:
            await wait

    def _begin(self, message: Message) -> None:
        status = message["status"]
        if type(status) is not int:
            status = _number(status)
        headers = fields(message)
        if message.get("trailers"):
            self._trailers = Headers()
        self._status = status
        self._headers = Headers.from_raw(headers)
        self._state = "begun"

    def _first(self, message: Message) -> Awaitable[None] | None:
        """Answer with the first of the body, which may be all of it."""
        piece = data(message)
        more = message.get("more_body", False)
        if not more and self._trailers is None:
            self._answer(piece)
            self._end()
            return None
        if self._has_no_content():
            self._answer(b"")
            self._state = "void"
            return self._void(message)
        self._pieces = Channel(name="response")
        self._state = "streaming"
        self._answer(_Body(self, self._pieces, piece))
        if not more:
            self._finish()
        return None

    def _has_no_content(self) -> bool:
        status = self._status
        return self._request.method == "HEAD" or status in _WITHOUT_CONTENT

    def _file(self, message: Message) -> None:
        """Answer with a file."""
        path = message["path"]
        if self._has_no_content():
            self._answer(b"")
        else:
            self._answer(_content(path))
        self._end()

    async def _more(self, message: Message) -> None:
        """Hand over the next piece, and wait until it is taken."""
        piece = data(message)
        assert self._pieces is not None
        if piece:
            try:
                await self._pieces.send(piece)
            except (ChannelBroken, ChannelClosed):
                raise BrokenPipeError("the client has closed the connection") from None
        if not message.get("more_body", False):
            self._finish()

    def _finish(self) -> None:
        """Go on after the last of the body."""
        if self._trailers is not None:
            self._state = "trailing"
        else:
            self._end()

    async def _void(self, message: Message) -> None:
        """Drop a piece of a body that is not sent."""
        data(message)
        if not message.get("more_body", False):
            self._finish()
        await anyio.lowlevel.checkpoint()

    def _trail(self, message: Message) -> None:
        assert self._trailers is not None
        for name, value in fields(message):
            self._trailers.add(name.decode("latin-1"), value.decode("latin-1"))
        if not message.get("more_trailers", False):
            assert self._response is not None
            self._response.trailers = self._trailers
            self._end()

    def leave(self) -> None:
        """Tell the app, if it has not ended its response, that nobody takes it."""
        if self._state != "ended":
            self._gone = True
            self._end()

    # Receiving

    async def receive(self) -> Message:
        """What the app calls for the request's body, and then for the client's end."""
        if self._asked and not self._gone and self._state != "ended":
            try:
                piece = await self._request.body.receive()
            except anyio.EndOfStream:
                self._asked = False
                return {"type": "http.request", "body": b"", "more_body": False}
            except (HTTPError, ClientGone) as error:
                self._gone = True
                self._fail(error)
            except anyio.ClosedResourceError:  # it was answered meanwhile
                pass
            else:
                return {"type": "http.request", "body": piece, "more_body": True}
        elif not self._gone and self._state != "ended":
            await self._wait_for_the_end()
        return {"type": "http.disconnect"}

    async def _wait_for_the_end(self) -> None:
        if self._over is None:
            self._over = anyio.Event()
            self._unwatched = anyio.Event()
            self._run_task(self._watch())
        if not self._over.is_set():
            await self._over.wait()

    async def _watch(self) -> None:
        """Look out for the client's end, for as long as the response takes.

        In a task of its own: apps ask whether the client has gone by cancelling the
        question at once.
        """
        assert self._over is not None
        assert self._unwatched is not None
        try:
            async with self._request.cancelled_if_gone():
                await self._over.wait()
        except ClientGone:
            self._gone = True
            self._over.set()
        finally:
            self._unwatched.set()

    async def stop_watching(self) -> None:
        """Leave the connection to the session again."""
        if self._unwatched is None:
            return
        assert self._over is not None
        self._over.set()
        with anyio.CancelScope(shield=True):
            await self._unwatched.wait()

    def __str__(self) -> str:
        request = self._request
        return f"{request.method} {request.target} from {request.client}"


class _Body:
    """The body of a response, as the app sends it."""

    def __init__(
        self, exchange: Exchange, pieces: Channel[bytes], first: bytes
    ) -> None:
        self._exchange = exchange
        self._pieces = pieces
        self._first: bytes | None = first  # it may be empty, and sends the head then

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return await self._pieces.receive()
        except EndOfChannel:
            pass
        await self._exchange.stop_watching()
        if self._exchange.error is not None:
            raise self._exchange.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Take no more: if there was more, the client has gone."""
        with self._pieces.receiver():
            pass  # so that it is broken for those who send
        self._exchange.leave()
        await self._exchange.stop_watching()


_Step: TypeAlias = Callable[[Exchange, Message], "Awaitable[None] | None"]

_STEPS: dict[str, dict[Any, _Step]] = {
    "new": {"http.response.start": Exchange._begin},
    "begun": {
        "http.response.body": Exchange._first,
        "http.response.pathsend": Exchange._file,
    },
    "streaming": {"http.response.body": Exchange._more},
    "void": {"http.response.body": Exchange._void},
    "trailing": {"http.response.trailers": Exchange._trail},
    "ended": {},
}

_INCOMPLETE = {
    "new": "the application returned without a response",
    "begun": "the application returned without the body of its response",
    "streaming": "the application returned in the middle of its response",
    "void": "the application returned in the middle of its response",
    "trailing": "the application returned without the trailers that it announced",
}


def _number(status: Any) -> int:
    """Return a status that is a number after all, such as a member of HTTPStatus."""
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"status in http.response.start is a number: {status!r}")
    return int(status)


async def _content(path: str) -> AsyncIterator[bytes]:
    """Yield what is in a file."""
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_PIECE):
            yield piece
