"""Other parsers, made to tell the same: complete requests, and what comes then.

A request is method, target and body.  What comes then is "open", "closed", "incomplete"
or "refused", as in the corpus; or "upgrade".
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path


def ours(reading, eof):
    """Tell what `corpus.read` has told in the same words."""
    requests = [
        (request["method"], request["target"], request["body"].encode("latin-1"))
        for request in reading.requests
        if request["ended"]
    ]
    then = reading.then
    if isinstance(then, int):
        then = "incomplete" if eof else "refused"
    return requests, then


NO_CONTENT = [("Content-Length", "0")]


def h11(cases):
    return [_h11(case.sent) for case in cases]


def _h11(sent):
    from h11 import (
        NEED_DATA,
        PAUSED,
        SERVER,
        Connection,
        ConnectionClosed,
        Data,
        EndOfMessage,
        RemoteProtocolError,
        Request,
        Response,
    )

    connection = Connection(SERVER)
    connection.receive_data(sent)
    requests, request, body = [], None, b""
    while True:
        try:
            event = connection.next_event()
        except RemoteProtocolError:
            return requests, "refused"
        if event is NEED_DATA:
            begun = request or connection.trailing_data[0]
            return requests, "incomplete" if begun else "open"
        if event is PAUSED or isinstance(event, ConnectionClosed):
            return requests, "closed"
        if isinstance(event, Request):
            request, body = event, b""
        elif isinstance(event, Data):
            body += event.data
        elif isinstance(event, EndOfMessage):
            requests.append((request.method.decode(), request.target.decode(), body))
            request = None
            connection.send(Response(status_code=404, headers=NO_CONTENT))
            connection.send(EndOfMessage())
            if "MUST_CLOSE" in str(connection.our_state):
                return requests, "closed"
            connection.start_next_cycle()


class _Calls:
    """What httptools alone calls."""

    def __init__(self):
        self.requests = []
        self.target = self.body = b""
        self.begun = False
        self.parser = None

    def on_message_begin(self):
        self.target = self.body = b""
        self.begun = True

    def on_url(self, url):
        self.target += url

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        method = self.parser.get_method().decode()
        self.requests.append((method, self.target.decode("latin-1"), self.body))
        self.begun = False


def llhttp(cases):
    return [_llhttp(case.sent) for case in cases]


def _llhttp(sent):
    import httptools

    calls = _Calls()
    calls.parser = httptools.HttpRequestParser(calls)
    try:
        calls.parser.feed_data(sent)
    except httptools.HttpParserUpgrade:
        return calls.requests, "upgrade"
    except httptools.HttpParserError as error:
        if "after `Connection: close`" in str(error):
            return calls.requests, "closed"
        return calls.requests, "refused"
    if calls.begun:
        return calls.requests, "incomplete"
    if not calls.requests or calls.parser.should_keep_alive():
        return calls.requests, "open"
    return calls.requests, "closed"


def find_go():
    """Return where Go is, if it is."""
    return shutil.which("go")


def go(cases, folder):
    """Build Go's reader in `folder`, and let it read the cases."""
    source = Path(__file__).parent / "go"
    program = Path(folder) / "peer"
    subprocess.run([find_go(), "build", "-o", program, "."], cwd=source, check=True)
    lines = b"\n".join(base64.b64encode(case.sent) for case in cases) + b"\n"
    answer = subprocess.run([program], input=lines, capture_output=True, check=True)
    return [_go(json.loads(line)) for line in answer.stdout.splitlines()]


def _go(told):
    requests = [
        (request["Method"], request["Target"], base64.b64decode(request["Body"]))
        for request in told["Requests"]
    ]
    return requests, told["Then"]
