"""Does the echo example give everything back, whatever its clients do?

It runs as a process of its own, and the clients are plain sockets.
"""

from __future__ import annotations

import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")

ROOT = Path(__file__).parent.parent
BACKENDS = [name for name in ("asyncio", "uvloop", "trio") if find_spec(name)]
MANY = 1000  # connections at once
MIB = 2**20
TIMEOUT = 30  # seconds for anything


class Echo:
    """The example, running."""

    def __init__(self, *args):
        command = [sys.executable, "-W", "error", "-m", "examples.echo", *args]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.first = self.process.stdout.readline()
        host, _, port = self.first.removeprefix("listening on ").rpartition(":")
        self.where = host, int(port or 0)
        self.stopped = False

    def connect(self):
        return socket.create_connection(self.where, TIMEOUT)

    def memory(self):
        """Return how many bytes of memory it has."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            pytest.skip("needs /proc")
        _, _, text = status.read_text().partition("VmRSS:")
        return int(text.split()[0]) * 1024

    def descriptors(self):
        """Return how many it has open."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        if not folder.exists():
            pytest.skip("needs /proc")
        return len([*folder.iterdir()])

    def stop(self):
        """Ask it to stop, once: the second time cuts."""
        if not self.stopped:
            self.stopped = True
            self.process.send_signal(signal.SIGTERM)

    def end(self):
        """Wait for its end; returns its exit code and what it printed last."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        assert "Traceback" not in err, err
        assert "Warning" not in err, err
        return self.process.returncode, out

    def check(self):
        """See that it still echoes."""
        with self.connect() as sock:
            assert exchange(sock, b"hello") == b"hello"


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def start():
    """Start the example, and see to it that it ends."""
    started = []

    def start(*args):
        started.append(Echo(*args))
        return started[-1]

    yield start
    for echo in started:
        echo.process.kill()
        echo.process.communicate()


@pytest.fixture
def echo(start, backend):
    """The example on every event loop; in the end it stops, with nothing cut."""
    echo = start("127.0.0.1:0", "--backend", backend)
    assert echo.first.startswith("listening on 127.0.0.1:"), echo.end()
    yield echo
    echo.stop()
    code, out = echo.end()
    assert code == 0
    assert " finished, 0 cut, in " in out


@pytest.fixture
def descriptors():
    """Allow as many as the tests need, to the example too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MANY + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} descriptors, not {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def receive_all(sock):
    received = bytearray()
    while data := sock.recv(65536):
        received += data
    return bytes(received)


def exchange(sock, data):
    """Send some bytes, close that half, and return what comes back."""
    sender = threading.Thread(target=send_all, args=(sock, data))
    sender.start()
    received = receive_all(sock)
    sender.join()
    return received


def exchange_one(sock):
    """Tell whether a byte comes back."""
    sock.sendall(b"x")
    return sock.recv(1) == b"x"


def send_all(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def reset(sock):
    """Break a connection off."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_thousand_connections_at_once(descriptors, echo):
    """Each gets back what it sent, twice, and then the end."""
    socks = [echo.connect() for _ in range(MANY)]
    for turn in range(2):
        for number, sock in enumerate(socks):
            sock.sendall(b"%06d" % (number + turn))
        for number, sock in enumerate(socks):
            assert sock.recv(6, socket.MSG_WAITALL) == b"%06d" % (number + turn)
    for sock in socks:
        sock.shutdown(socket.SHUT_WR)
    for sock in socks:
        assert sock.recv(1) == b""
        sock.close()
    echo.check()


def test_half_a_connection(echo):
    """What was sent before comes back, and then the end; also if that is nothing."""
    for data in (b"", b"x", bytes(range(256)) * 1000):
        with echo.connect() as sock:
            assert exchange(sock, data) == data


def test_resets_at_every_point(echo):
    """They harm nobody else, leave nothing open, and are not worth a traceback."""
    with echo.connect() as witness:
        assert exchange_one(witness)
        before = echo.descriptors()
        for size in (0, 1, 1000, MIB):
            for receive in (0, 1, size // 2):
                sock = echo.connect()
                sock.setblocking(False)
                try:
                    sock.send(bytes(size))
                    sock.settimeout(TIMEOUT)
                    if size and receive:
                        sock.recv(receive)
                finally:
                    reset(sock)
                assert exchange_one(witness)
        end = time.monotonic() + TIMEOUT
        while echo.descriptors() > before:
            assert time.monotonic() < end
            time.sleep(0.01)
    echo.check()


def test_a_client_that_does_not_read(echo):
    """The example stops to read as well; its memory does not grow."""
    echo.check()
    before = echo.memory()
    sent = 0
    with echo.connect() as sock:
        sock.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            while sent < 256 * MIB and selector.select(0.5):
                sent += sock.send(bytes(MIB))
        assert sent < 256 * MIB
        assert echo.memory() - before < 4 * MIB
        echo.check()
        sock.settimeout(TIMEOUT)
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock) == bytes(sent)


def test_much_of_it(echo):
    """A hundred megabytes come back as they were."""
    block = bytes(range(256)) * 4096  # 1 MiB
    with echo.connect() as sock:
        sender = threading.Thread(target=send_all, args=(sock, block * 100))
        sender.start()
        received = bytearray()
        total = 0
        while data := sock.recv(MIB):
            received += data
            total += len(data)
            while len(received) >= MIB:
                assert received[:MIB] == block
                del received[:MIB]
        sender.join()
    assert total == 100 * MIB


def test_a_stop_loses_no_byte(echo):
    """What is sent before its end comes back, and new clients are refused."""
    socks = [echo.connect() for _ in range(50)]
    halves = bytes(range(250)) * 400, bytes(range(250, 0, -1)) * 400
    for sock in socks:
        sock.settimeout(TIMEOUT)
    senders = [threading.Thread(target=s.sendall, args=halves[:1]) for s in socks]
    for sender in senders:
        sender.start()
    echo.stop()
    received = [sock.recv(1, socket.MSG_WAITALL) for sock in socks]
    while True:  # until it has heard
        try:
            with echo.connect() as late:
                send_all(late, b"late")
                assert receive_all(late) == b"late"
        except OSError:  # refused, or reset if it came at the very moment
            break
    for sock, sender, first in zip(socks, senders, received, strict=True):
        sender.join()
        assert first + exchange(sock, halves[1]) == b"".join(halves)
        sock.close()


def test_connections_in_the_queue_at_the_stop(echo):
    """They came before it, so they are served."""
    echo.check()
    echo.process.send_signal(signal.SIGSTOP)
    socks = [echo.connect() for _ in range(100)]
    for number, sock in enumerate(socks):
        sock.sendall(b"%d" % number)
    echo.stop()
    echo.process.send_signal(signal.SIGCONT)
    for number, sock in enumerate(socks):
        with sock:
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b"%d" % number


def test_tls(start, backend, tmp_path):
    """With a certificate; and junk instead of a handshake harms nobody."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    echo = start("127.0.0.1:0", "--tls", str(cert), str(key), "--backend", backend)
    with echo.connect() as silent, echo.connect() as junk:
        junk.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with context.wrap_socket(echo.connect(), server_hostname="127.0.0.1") as sock:
            sock.sendall(b"hello")
            assert sock.recv(9) == b"hello"
        reset(junk)
        reset(silent)
    echo.stop()
    assert echo.end()[0] == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["203.0.113.1:1"], "cannot listen on 203.0.113.1:1: "),
        (["nowhere"], "'nowhere' is no address"),
        (["127.0.0.1:0", "--tls", "/none", "/none"], "certificate '/none'"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(start, args, text):
    """And exit code 3."""
    process = start(*args).process
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 3
    assert text in err
    assert len(err.splitlines()) == 1


def test_a_taken_port_is_one_sentence(start):
    """With the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = start(address).process
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 3
    assert f"cannot listen on {address}: Address already in use" in err
