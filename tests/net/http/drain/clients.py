"""Clients that write down what they sent and what came back.

Each is a thread with blocking sockets, and goes on until it can connect no more.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import select
import socket
import ssl
import threading
import time

import attrs

_ids = itertools.count(1)


@attrs.define
class Sent:
    """One request, as the client knows it."""

    id: str
    kind: str
    port: int
    number: int
    """Which of its connection."""
    fin_seen: bool = False
    """Whether the server had closed before it was sent."""
    sent: float = 0.0
    """When all of it was; 0 if it could not be."""
    status: int = 0
    """What came back, if all of it did."""
    closing: bool = False
    wrong: str = ""


class Gone(Exception):
    """The connection ended."""


class Wire:
    """A connection, and the responses on it."""

    def __init__(self, address, context=None, small=False):
        host, _, port = address.rpartition(":")
        self.sock = socket.socket()
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            self.sock.settimeout(30)
            self.sock.connect((host, int(port)))
            self.port = self.sock.getsockname()[1]
            if context is not None:
                self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise
        self._data = b""

    def fin_seen(self):
        """Whether the server has closed, or there is what nobody has asked for."""
        if isinstance(self.sock, ssl.SSLSocket):
            return False  # it cannot be told from what TLS has to say
        return bool(select.select([self.sock], [], [], 0)[0])

    def send(self, data):
        self.sock.sendall(data)

    def receive(self, most=65536):
        try:
            data = self.sock.recv(most)
        except OSError as error:
            raise Gone(repr(error)) from error
        if not data:
            raise Gone("end")
        return data

    def until(self, end):
        while end not in self._data:
            self._data += self.receive()
        head, _, self._data = self._data.partition(end)
        return head

    def exactly(self, size, pause=0.0):
        while len(self._data) < size:
            time.sleep(pause)
            self._data += self.receive()
        data, self._data = self._data[:size], self._data[size:]
        return data

    def response(self, pause=0.0):
        """Return status, whether it says close, and the body."""
        head = self.until(b"\r\n\r\n").decode().lower()
        status = int(head.split()[1])
        if status == 100:
            return status, False, b""
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        if "content-length" in fields:
            body = self.exactly(int(fields["content-length"]), pause)
        else:
            body = b"".join(self.chunks())
        return status, fields.get("connection") == "close", body

    def chunks(self):
        while size := int(self.until(b"\r\n"), 16):
            yield self.exactly(size)
            self.until(b"\r\n")
        self.until(b"\r\n")

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()


def request(name, target, *fields, body=b""):
    method = "POST" if body else "GET"
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Id: {name}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Clients:
    """All clients of one run, and what they have written down."""

    def __init__(self, address, tls_address=None, context=None, seed=0):
        self.address = address
        self.tls_address = tls_address
        self.context = context
        self.random = random.Random(seed)
        self.sent = []
        self.refused = []  # when connecting was
        self.failed = []  # connections that broke before they were used
        self.errors = []
        self._threads = []

    def start(self, kind, count=1):
        for _ in range(count):
            chance = random.Random(self.random.random())
            thread = threading.Thread(target=self._run, args=(kind, chance))
            thread.start()
            self._threads.append(thread)

    def join(self):
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client waits for ever"
        assert not self.errors, self.errors

    def _run(self, kind, chance):
        tls = kind.__name__.startswith("tls")
        address = self.tls_address if tls else self.address
        try:
            while True:
                try:
                    wire = Wire(
                        address,
                        self.context if tls and kind is not tls_slowly else None,
                        small=kind is slow_reader,
                    )
                except ConnectionRefusedError:
                    self.refused.append(time.monotonic())
                    return
                except OSError as error:  # TLS: it broke before anything was sent
                    self.failed.append(repr(error))
                    continue
                try:
                    self._use(wire, kind, chance)
                finally:
                    wire.close()
        except BaseException as error:
            self.errors.append(f"{kind.__name__}: {error!r}")
            raise

    def _use(self, wire, kind, chance):
        for number in itertools.count():
            batch = []

            def new(batch=batch, number=number):
                one = Sent(f"{next(_ids)}", kind.__name__, wire.port, number)
                one.fin_seen = wire.fin_seen()
                batch.append(one)
                self.sent.append(one)
                return one

            try:
                kind(wire, new, chance)
            except (Gone, OSError) as error:
                for one in batch:
                    if not one.status:
                        one.wrong = repr(error)
                return
            if any(one.closing for one in batch):
                return


def _take(wire, one, pause=0.0):
    one.status, one.closing, body = wire.response(pause)
    if one.status == 200 and not body.startswith((one.id.encode() + b" ", b"\0")):
        one.wrong = f"the body is {body[:50]!r}"


def _send(wire, one, data):
    wire.send(data)
    one.sent = time.monotonic()


# What clients there are


def keep_alive(wire, new, chance):
    """One request after the other, with time to think."""
    time.sleep(chance.uniform(0, 0.02))
    one = new()
    target = chance.choice(["/", "/sleep/0.001", "/sleep/0.02", "/stream/3"])
    _send(wire, one, request(one.id, target))
    _take(wire, one)


def tls_keep_alive(wire, new, chance):
    """The same with TLS."""
    keep_alive(wire, new, chance)


def new_connection(wire, new, chance):
    """One request, and the client closes."""
    one = new()
    _send(wire, one, request(one.id, "/"))
    _take(wire, one)
    raise Gone


def pipelining(wire, new, chance):
    """Several requests at once."""
    batch = [new() for _ in range(chance.randint(1, 5))]
    targets = ["/", "/sleep/0.005", "/sleep/0.02"]
    data = b"".join(request(one.id, chance.choice(targets)) for one in batch)
    wire.send(data)
    for one in batch:
        one.sent = time.monotonic()
    for one in batch:
        _take(wire, one)
        if one.closing and one is not batch[-1]:
            one.wrong = "it closes, and is not the last"
    time.sleep(chance.uniform(0, 0.02))


def uploading(wire, new, chance):
    """A body that comes piece by piece."""
    one = new()
    data = request(one.id, "/", body=bytes(chance.randint(10_000, 100_000)))
    for start in range(0, len(data), 20_000):
        wire.send(data[start : start + 20_000])
        time.sleep(chance.uniform(0, 0.01))
    one.sent = time.monotonic()
    _take(wire, one)


def half_heads(wire, new, chance):
    """A head that comes in two pieces."""
    one = new()
    data = request(one.id, "/")
    cut = chance.randrange(1, len(data))
    wire.send(data[:cut])
    time.sleep(chance.uniform(0, 0.05))
    _send(wire, one, data[cut:])
    _take(wire, one)


def waiting(wire, new, chance):
    """A body that is sent when the server says so."""
    one = new()
    data = request(one.id, "/", "Expect: 100-continue", body=b"abcde")
    wire.send(data.removesuffix(b"abcde"))
    status, _, _ = wire.response()
    assert status == 100
    time.sleep(chance.uniform(0, 0.02))
    _send(wire, one, b"abcde")
    _take(wire, one)


def slow_reader(wire, new, chance):
    """A response that is taken slowly."""
    one = new()
    _send(wire, one, request(one.id, "/large/3000000"))
    _take(wire, one, pause=0.0002)


def tls_slowly(wire, new, chance):
    """A handshake that comes in pieces, and then a request."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out, server_hostname="localhost")

    def do(fn, *args):
        while True:
            try:
                result = fn(*args)
            except ssl.SSLWantReadError:
                result = None
            if data := out.read():
                half = len(data) // 2
                wire.send(data[:half])
                time.sleep(chance.uniform(0, 0.02))
                wire.send(data[half:])
            if result is not None:
                return result
            into.write(wire.receive())

    do(lambda: tls.do_handshake() or True)
    one = new()
    do(tls.write, request(one.id, "/", "Connection: close"))
    one.sent = time.monotonic()
    data = b""
    while f"{one.id} 0".encode() not in data:
        data += do(tls.read, 9999) or wire.receive(0)
    one.status = 200
    raise Gone
