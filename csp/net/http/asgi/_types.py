"""What ASGI passes around."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

RawFields: TypeAlias = list[tuple[bytes, bytes]]


def fields(message: Message) -> RawFields:
    """Return the header fields in a message.

    Raises:
        TypeError: They are not pairs of bytes.
    """
    pairs = [(name, value) for name, value in message.get("headers", ())]
    for name, value in pairs:
        if type(name) is not bytes or type(value) is not bytes:
            raise TypeError(
                f"headers in {message['type']} are pairs of bytes, not "
                f"{(name, value)!r}"
            )
    return pairs


def data(message: Message) -> bytes:
    """Return the piece of a body in a message.

    Raises:
        TypeError: It is not bytes.
    """
    body = message.get("body", b"")
    if type(body) is bytes:
        return body
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    raise TypeError(f"body in {message['type']} is bytes, not {body!r}")


def check_app(app: object, name: str) -> None:
    """Raise TypeError unless this may be an ASGI app."""
    if not callable(app):
        raise TypeError(
            f"{name} takes an ASGI app, which is called with scope, receive and send, "
            f"not {app!r}"
        )
