"""What each kind of client sees when the server is stopped at a bad moment for it."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time

import pytest

from tests.net.http.drain.clients import Gone, Wire, request
from tests.net.http.drain.laws import read

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")

ANSWERED = (200, True)  # and Connection: close


def answers(wire, count=1):
    """Return status and closing of some responses, and what comes after them."""
    got = [wire.response()[:2] for _ in range(count)]
    with pytest.raises(Gone, match="end"):
        wire.receive()
    return got[0] if count == 1 else got


@pytest.fixture
def connect():
    """Make connections that are closed at the end."""
    wires = []

    def connect(server, **options):
        wires.append(Wire(server.address, **options))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.close()


# Each prepares; what it yields to is the stop.  It returns what it saw.


def in_its_handler(wire):
    wire.send(request("A", "/sleep/1"))
    yield
    return answers(wire)


def half_an_upload(wire):
    data = request("B", "/", body=bytes(10_000))
    wire.send(data[:5_000])
    yield
    time.sleep(0.8)
    wire.send(data[5_000:])
    return answers(wire)


def half_a_head(wire):
    data = request("C", "/")
    wire.send(data[:20])
    yield
    time.sleep(0.8)
    wire.send(data[20:])
    return answers(wire)


def silent(wire):
    yield
    time.sleep(0.3)
    wire.send(request("D", "/"))
    return answers(wire)


def idle(wire):
    wire.send(request("E0", "/"))
    assert wire.response()[:2] == (200, False)
    yield
    time.sleep(0.3)
    wire.send(request("E", "/"))
    return answers(wire)


def new(wire):
    yield "last"
    wire.send(request(f"F{wire.port}", "/"))
    yield
    status, _ = answers(wire)  # which may have come before the stop
    return status, True


def pipelined(wire):
    wire.send(request("G1", "/sleep/0.5") + request("G2", "/"))
    yield
    return answers(wire, 2)


def slow_reader(wire):
    wire.send(request("J", "/large/5000000"))
    yield
    status, closing, body = wire.response(pause=0.0002)
    return (status, len(body) == 5_000_000) if not closing else "closing"


def told_in_a_stream(wire):
    wire.send(request("I", "/ticks"))
    wire.until(b"\r\n\r\n")
    yield
    body = b"".join(wire.chunks())  # up to the terminator
    with pytest.raises(Gone, match="end"):
        wire.receive()
    return (200, True) if body.endswith(b"tickbye") else body


def with_a_task_that_goes_on(wire):
    wire.send(request("L", "/later"))
    assert wire.response()[:2] == (200, False)
    yield
    with pytest.raises(Gone, match="end"):
        wire.receive()
    return ANSWERED


def waiting_for_100(wire):
    wire.send(request("W", "/sleep/0.5", "Expect: 100-continue", body=b"a")[:-1])
    yield
    assert wire.response()[0] == 100
    wire.send(b"a")
    return answers(wire)


def half_closed(wire):
    wire.send(request("S", "/sleep/0.5"))
    wire.sock.shutdown(socket.SHUT_WR)
    yield
    return answers(wire)


def silent_for_good(wire):
    yield
    with pytest.raises(Gone, match="end"):
        wire.receive()
    return ANSWERED


ALL = [
    *(in_its_handler, half_an_upload, half_a_head, silent, idle, pipelined),
    *(slow_reader, told_in_a_stream, with_a_task_that_goes_on),
    *(waiting_for_100, half_closed),
    *[silent_for_good] * 2,
    *[new] * 50,
]


def finish(steps, results):
    """Take the last step of a client, and keep what it returns."""
    name = steps.__name__
    try:
        next(steps)
    except StopIteration as stop:
        results[name].append(stop.value)
    except BaseException as error:
        results[name].append(repr(error))
    else:
        results[name].append("it goes on")


def test_what_has_begun_is_answered(start, connect):
    """All these at once; and so are those who only wait, for as long as it lingers."""
    server = start(limits={"linger": 0.6})
    clients = [kind(connect(server, small=kind is slow_reader)) for kind in ALL]
    late = [steps for steps in clients if next(steps) == "last"]
    time.sleep(0.2)
    for steps in late:
        next(steps)
    server.signal(signal.SIGTERM)
    began = time.monotonic()
    results = {kind.__name__: [] for kind in ALL}
    threads = [
        threading.Thread(target=finish, args=(steps, results)) for steps in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    code, report, of_requests = server.end()
    expected = {kind.__name__: [ANSWERED] * ALL.count(kind) for kind in ALL}
    expected["pipelined"] = [[(200, False), ANSWERED]]
    assert results == expected
    assert code == 0
    assert "Traceback" not in server.errors
    assert time.monotonic() - began < 10
    assert "L" in read(server.path)[0]["after"]
    assert report[:4] == [len(ALL) + 1, 0, 0, []]  # one for the task that went on
    assert of_requests[0] > ALL.index(silent_for_good) - 2  # two were before the stop
    assert of_requests[1:4] == [0, 0, []]


def test_what_waits_to_be_accepted_while_the_loop_is_blocked(start, connect):
    """Is accepted and answered, all of it."""
    count = 200
    server = start(limits={"linger": 0.2})
    blocker = connect(server)
    blocker.send(request("0", "/block/0.5"))
    time.sleep(0.1)
    wires = [connect(server) for _ in range(count)]
    for n, wire in enumerate(wires, 1):
        wire.send(request(f"{n}", "/"))
    server.signal(signal.SIGTERM)
    # Some loops serve them before they hear of the stop.
    assert [answers(wire)[0] for wire in [blocker, *wires]] == [200] * (count + 1)
    assert server.end()[0] == 0
    events, _ = read(server.path)
    assert events["stop"][""][0] > events["end"]["0"][0] - 0.1  # it was blocked then


def test_what_waits_for_a_descriptor_is_answered(start, connect):
    """Although most clients are in the kernel's queue as the stop comes."""
    server = start(limits={"linger": 0.2}, descriptors=30)
    wires = [connect(server) for _ in range(50)]
    for n, wire in enumerate(wires, 1):
        wire.send(request(f"{n}", "/sleep/0.2"))
    time.sleep(0.1)
    server.signal(signal.SIGTERM)
    assert [answers(wire)[0] for wire in wires] == [200] * 50
    code, report, _ = server.end()
    assert (code, report[1]) == (0, 0)
    assert "cannot accept now" in server.errors


def test_what_waits_for_its_turn_is_answered(start, connect):
    """In the line in front of the handler, or in the kernel's for a slot."""
    server = start(limits={"linger": 0.2, "connections": 6, "requests": 2})
    wires = [connect(server) for _ in range(12)]
    for n, wire in enumerate(wires, 1):
        wire.send(request(f"{n}", "/sleep/0.1"))
    time.sleep(0.05)
    server.signal(signal.SIGTERM)
    assert [answers(wire) for wire in wires] == [ANSWERED] * 12
    assert server.end()[0] == 0


def test_what_takes_too_long_is_cut_and_named(start, connect):
    """At the grace; whoever is idle counts as finished."""
    server = start(limits={"linger": 5}, grace=0.5)
    endless, slow, half, idle = (connect(server) for _ in range(4))
    endless.send(request("1", "/stream/1000000000"))
    slow.send(request("2", "/sleep/1000"))
    half.send(request("3", "/")[:9])
    idle.send(request("4", "/"))
    assert idle.response()[0] == 200
    endless.until(b"\r\n\r\n")
    taking = threading.Thread(target=take_all, args=(endless, ended := []))
    taking.start()
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    code, report, of_requests = server.end()
    assert 0.4 < time.monotonic() - began < 3
    taking.join()
    assert b"".join(ended)[-5:] != b"0\r\n\r\n"
    assert "1" in read(server.path)[0]["closed"]
    assert code == 4
    finished, cut, refused, names, _ = report
    assert (finished, cut, refused) == (1, 3, 0)
    assert sorted(names) == [
        f"GET /sleep/1000 from 127.0.0.1:{slow.port}",
        f"GET /stream/1000000000 from 127.0.0.1:{endless.port}",
        f"a connection from 127.0.0.1:{half.port}",
    ]
    assert of_requests[:4] == [0, 3, 0, names]
    assert "Traceback" not in server.errors


def take_all(wire, ended):
    try:
        while True:
            ended[:] = [*ended[-1:], wire.receive()]
    except Gone:
        pass


def test_a_second_signal_cuts_at_once(start, connect):
    """And then the program ends with an error that names what was cut."""
    server = start(limits={"linger": 5})
    wire = connect(server)
    wire.send(request("1", "/sleep/1000"))
    time.sleep(0.2)
    server.signal(signal.SIGTERM)
    time.sleep(0.2)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    with pytest.raises(Gone):
        wire.response()
    assert server.end()[0] == 1
    assert time.monotonic() - began < 3
    assert f"connection from 127.0.0.1:{wire.port}" in server.errors
