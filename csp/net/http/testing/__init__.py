"""Testing handlers and servers, without sockets.

    from csp.net.http import testing

    async def test_hello() -> None:
        async with testing.Client(app) as client:
            response = await client.get("/")
            assert response.text == "Hello, www!\\n"

All of it works on every event loop, and on the virtual clock of `csp.testing`.
"""

# Layout, each file using only those before it:
#   _memory    connections
#   _listener  where they come in
#   _request   requests made by hand
#   _serving   a server around a block
#   _record    a handler by itself
#   _client    a client and a server; imported when wanted, for it needs httpx

from typing import TYPE_CHECKING, Any

from ._listener import Listener as Listener
from ._memory import Connection as Connection
from ._memory import pipe as pipe
from ._record import Recorded as Recorded
from ._record import record as record
from ._request import request as request
from ._serving import serving as serving

if TYPE_CHECKING:
    from ._client import Client as Client
    from ._client import Transport as Transport

_OF_HTTPX = ("Client", "Transport")


def __getattr__(name: str) -> Any:
    """Import the client, and with it httpx, when somebody wants it."""
    if name not in _OF_HTTPX:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import _client
    except ModuleNotFoundError as error:
        if error.name not in ("httpx", "httpcore"):
            raise
        raise ModuleNotFoundError(
            f"{__name__}.{name} needs {error.name}. "
            "Write: pip install 'anycsp[testing]'",
            name=error.name,
        ) from None
    value = getattr(_client, name)
    value.__module__ = __name__
    return value


for _value in list(globals().values()):
    if getattr(_value, "__module__", "").startswith(f"{__name__}."):
        _value.__module__ = __name__
del _value
