"""What a handle of one direction lacks, when the program runs: Go's test/chan/perm.go.

What a type checker says of it is in tests/typing/perm.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from csp import Channel, Receiver, Sender, recv, send

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (
            Sender,
            ["receive", "receive_nowait", "receive_many", "drain", "__aiter__"],
        ),
        (Receiver, ["send", "send_nowait", "send_many", "wait_empty"]),
    ],
)
def test_a_handle_lacks_the_other_direction(
    kind: type[object], missing: list[str]
) -> None:
    """The verbs of the other direction are not there at all."""
    assert [name for name in missing if hasattr(kind, name)] == []
    assert [name for name in missing if not hasattr(Channel, name)] == []


async def test_operations_refuse_the_wrong_direction() -> None:
    """Nothing is received from a sender, nor sent to a receiver."""
    ch: Channel[int] = Channel(1)
    with ch.sender() as tx, ch.receiver() as rx:
        wrong: Any = tx
        with pytest.raises(TypeError, match="recv takes"):
            recv(wrong)
        wrong = rx
        with pytest.raises(TypeError, match="send takes"):
            send(wrong, 1)
        await send(tx, 1)
        assert await recv(rx) == 1
