"""Which direction of a channel fits where: Go's test/chan/perm.go.

Nothing here runs; type checkers read it.  A line that ignores an error has to have it,
as an ignore without an error is one itself.
"""

from __future__ import annotations

from anyio.abc import ObjectReceiveStream, ObjectSendStream

from csp import Channel, Receiver, Sender, recv, select, send


def assign(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """A channel gives handles of both directions; neither is the other, or both."""
    cr = c.receiver()
    cs = c.sender()
    c = cr  # type: ignore[assignment]
    c = cs  # type: ignore[assignment]
    cr = cs  # type: ignore[assignment]
    cs = cr  # type: ignore[assignment]


async def use(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """A handle has the verbs of its direction, and a channel those of both."""
    await c.send(0)
    await c.receive()

    await cr.send(0)  # type: ignore[attr-defined]
    await cr.receive()

    await cs.send(0)
    await cs.receive()  # type: ignore[attr-defined]


async def choose(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """In a select as well."""
    await select(send(c, 0), recv(c))
    await select(send(cr, 0))  # type: ignore[arg-type]
    await select(recv(cr))
    await select(send(cs, 0))
    await select(recv(cs))  # type: ignore[call-overload]


async def iterate(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """Only what can be received from can be looped over."""
    async for _ in c:
        pass
    async for _ in cr:
        pass
    async for _ in cs:  # type: ignore[attr-defined]
        pass


def close(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """All can be closed, also a Receiver, which Go forbids: it closes only itself."""
    c.close()
    cr.close()
    cs.close()


async def items(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """The type of the items holds at both ends."""
    await c.send("x")  # type: ignore[arg-type]
    await cs.send("x")  # type: ignore[arg-type]
    send(c, "x")  # type: ignore[misc]
    _text: str = await c.receive()  # type: ignore[assignment]
    _text = await cr.receive()  # type: ignore[assignment]


def streams(c: Channel[int], cr: Receiver[int], cs: Sender[int]) -> None:
    """Handles are anyio's streams; a channel is none, as it would be both."""
    _source: ObjectReceiveStream[int] = cr
    _target: ObjectSendStream[int] = cs
    _source = c  # type: ignore[assignment]
    _target = c  # type: ignore[assignment]


def variance(cr: Receiver[bool], cs: Sender[object]) -> None:
    """Who receives an int is content with bools; who sends one, with any object."""
    _ints: Receiver[int] = cr
    _ints_or_others: Sender[int] = cs
    _texts: Receiver[str] = cr  # type: ignore[assignment]
