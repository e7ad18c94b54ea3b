"""Connections and servers.

import csp
from csp import net

async def echo(conn: net.Connection) -> None:
    async for data in conn:
        await conn.send(data)

csp.run(net.serve, echo, "127.0.0.1:1234")
"""

# Layout, each file using only those before it:
#   _address     addresses as they are written
#   _deadlines   when to look at connections that wait
#   _connection  what a connection is; _stream_asyncio, _stream_trio
#   _sockets     binding and connecting, with errors that tell
#   _tls         TLS; _certificates, _tls_connection
#   _listener    listen
#   _dial        dial
#   _serve       serve: a task for each connection
#   http         HTTP

from typing import TYPE_CHECKING, Any

from ._connection import Connection as Connection
from ._dial import dial as dial
from ._listener import Listener as Listener
from ._listener import listen as listen
from ._serve import Limits as Limits
from ._serve import serve as serve

if TYPE_CHECKING:
    from ._tls import TLS as TLS


def __getattr__(name: str) -> Any:
    """Import TLS, and with it ssl, when somebody wants it."""
    if name != "TLS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._tls import TLS

    return TLS
