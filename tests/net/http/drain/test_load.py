"""A server that is stopped at a random moment while all sorts of clients use it."""

from __future__ import annotations

import random
import signal
import sys
import time

import pytest

from tests.net.http.drain import clients as kinds
from tests.net.http.drain.clients import Clients
from tests.net.http.drain.laws import check

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")

ALL = {
    kinds.keep_alive: 24,
    kinds.new_connection: 2,
    kinds.pipelining: 4,
    kinds.uploading: 3,
    kinds.half_heads: 3,
    kinds.waiting: 3,
    kinds.slow_reader: 2,
    kinds.tls_keep_alive: 3,
    kinds.tls_slowly: 2,
}


@pytest.mark.timeout(600)
def test_nothing_is_lost_under_load(start, certificate, scale, record_property):
    """All of them at once, and a stop at any moment."""
    files, context = certificate
    requests = in_drain = unaccepted = 0
    for seed in range(scale(1, 15)):
        server = start(tls=files, limits={"linger": 0.5})
        clients = Clients(*server.addresses, context, seed=seed)
        for kind, count in ALL.items():
            clients.start(kind, count)
        time.sleep(random.Random(seed).uniform(0.3, scale(0.8, 2.0)))
        server.signal(signal.SIGTERM)
        clients.join()
        code, report, of_requests = server.end()
        figures = check(server.path, clients)
        assert not figures.lost, (len(figures.lost), figures.lost[:5])
        assert not figures.broken, (len(figures.broken), figures.broken[:5])
        assert code == 0
        assert "Traceback" not in server.errors
        assert report[1] == of_requests[1] == 0
        assert figures.in_drain >= 24
        requests += figures.requests
        in_drain += figures.in_drain
        unaccepted += figures.unaccepted
    record_property("figures", (requests, in_drain, unaccepted))
    print(f"{requests} requests, {in_drain} in drain, {unaccepted} not accepted")  # noqa: T201
