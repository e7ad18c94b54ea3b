"""ASGI, in both directions: apps of others on our server, our handlers on others'.

    from starlette.applications import Starlette
    from csp.net import http
    from csp.net.http import asgi

    app = Starlette(...)
    csp.run(http.serve, asgi.from_asgi(app), "127.0.0.1:8080")

    app = asgi.to_asgi(handler)         # uvicorn module:app
    app = asgi.limit(app, concurrency=8)    # any ASGI app

This is version 3.0 of ASGI, and 2.5 of what it says on HTTP.
"""

# Layout, each file using only those before it:
#   _types      what ASGI passes around
#   _scope      requests as scopes, and back
#   _lifespan   an app's startup and shutdown
#   _runners    tasks that are used again
#   _exchange   one request in an app
#   _from       from_asgi
#   _received   the body of a request from another server
#   _sent       a response to it
#   _to         to_asgi
#   _limit      limit

from ._from import from_asgi as from_asgi
from ._limit import limit as limit
from ._to import to_asgi as to_asgi
