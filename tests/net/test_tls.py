"""TLS: the same connections, encrypted; and certificates that change."""

from __future__ import annotations

import logging
import math
import os
import shutil
import ssl
import subprocess

import anyio
import anyio.lowlevel
import pytest
from anyio.streams.tls import TLSAttribute, TLSStream

from csp.net._dial import dial
from csp.net._listener import listen
from csp.net._tls import PLAIN_HTTP, TLS

trustme = pytest.importorskip("trustme")

pytestmark = pytest.mark.anyio

LARGE = 8_000_000  # bytes that no kernel takes at once


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    """The context of a client that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def issue(authority, tmp_path):
    """Write a certificate for some names, and its key; returns their paths."""

    def write(*names, file="server"):
        certificate = authority.issue_cert(*names)
        paths = tmp_path / f"{file}.pem", tmp_path / f"{file}.key"
        for path, blob in zip(
            paths,
            (certificate.cert_chain_pems[0], certificate.private_key_pem),
            strict=True,
        ):
            new = path.with_suffix(".new")
            blob.write_to_path(new)
            new.replace(path)
        return paths

    return write


@pytest.fixture
async def pair(issue, trusting):
    """Both ends of an encrypted connection."""
    async with await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at:
        one, other = await meet(at, trusting)
        async with one, other:
            yield one, other


async def meet(at, context, **options):
    """Dial a listener and accept; returns both ends after the handshake."""
    ends = {}

    async def accept():
        ends["other"] = await at.accept()
        await ends["other"].handshake()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(accept)
        one = await dial(at.address, tls=context, **options)
    return one, ends["other"]


async def receive_all(conn):
    return b"".join([data async for data in conn])


def certified(conn):
    """Return the names in the peer's certificate."""
    certificate = conn.extra(TLSAttribute.peer_certificate)
    return {name for _, name in certificate["subjectAltName"]}


async def test_bytes_go_both_ways(pair):
    """And nobody above needs to know that they were encrypted."""
    one, other = pair
    await one.send(b"ping")
    assert await other.receive(2) == b"pi"
    assert await other.receive(9) == b"ng"
    await other.send(bytearray(b"pong"))
    assert await one.receive() == b"pong"
    assert one.secure
    assert one.bytes_sent == other.bytes_received > 4
    assert one.local == other.peer
    assert other.extra(TLSAttribute.server_side)
    assert one.extra(TLSAttribute.tls_version) == "TLSv1.3"


async def test_much_goes_both_ways_at_once(pair):
    """With a sender and a receiver at each end."""
    data = os.urandom(LARGE)

    async def send(conn):
        await conn.send(data)

    async def receive(conn):
        received = bytearray()
        while len(received) < len(data):
            received += await conn.receive()
        assert received == data

    async with anyio.create_task_group() as tasks:
        for conn in pair:
            tasks.start_soon(send, conn)
            tasks.start_soon(receive, conn)


async def test_closing_ends_the_stream_of_the_other(pair):
    """What was sent before is received first."""
    one, other = pair
    await one.send(b"last")
    one.close()
    assert await receive_all(other) == b"last"
    with pytest.raises(anyio.ClosedResourceError):
        await one.send(b"x")
    with pytest.raises(anyio.ClosedResourceError):
        await one.receive()


async def test_a_connection_that_just_ends_has_ended(pair):
    """Many clients do not say goodbye."""
    one, other = pair
    await other.send(b"first")
    await one.receive()
    await one.send(b"last")
    one.transport.close()
    assert await receive_all(other) == b"last"


async def test_what_nobody_received_does_not_cut_the_rest(pair):
    """A client that never receives has tickets unread, and yet is heard out."""
    one, other = pair
    one.write_deadline = anyio.current_time() + 0.02
    with pytest.raises(TimeoutError):
        await one.send(bytes(LARGE))
    sent = one.bytes_sent
    one.close()
    with pytest.raises(anyio.EndOfStream):
        while True:
            await other.receive()
    assert other.bytes_received == sent


async def test_closing_wakes_who_waits(pair):
    """As without TLS."""
    one, _ = pair
    async with anyio.create_task_group() as tasks:

        async def wait():
            with pytest.raises(anyio.ClosedResourceError):
                await one.receive()

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await one.receive()
        one.close()


async def test_deadlines_are_those_of_the_socket(pair):
    """And the connection can be used on."""
    one, other = pair
    one.read_deadline = anyio.current_time() + 0.02
    with pytest.raises(TimeoutError) as caught:
        await one.receive()
    assert one.raised(caught.value)
    one.read_deadline = math.inf
    await other.send(b"late")
    assert await one.receive() == b"late"


async def test_a_send_that_was_cut_leaves_the_stream_whole(pair):
    """What comes after it can be read, though not all before it was sent."""
    one, other = pair
    one.write_deadline = anyio.current_time() + 0.02
    with pytest.raises(TimeoutError):
        await one.send(b"a" * LARGE)
    one.write_deadline = math.inf
    received = bytearray()
    async with anyio.create_task_group() as tasks:

        async def send():
            await one.send(b"END")

        tasks.start_soon(send)
        while not received.endswith(b"END"):
            received += await other.receive()
    assert len(received) < LARGE
    assert received.count(b"a") == len(received) - 3


async def test_the_first_use_shakes_hands(issue, trusting):
    """If nobody asked for it before."""
    async with (
        await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at,
        anyio.create_task_group() as tasks,
    ):

        async def echo():
            async with await at.accept() as conn:
                await conn.send(await conn.receive())

        tasks.start_soon(echo)
        async with await dial(at.address, tls=trusting) as conn:
            await conn.send(b"hello")
            assert await conn.receive() == b"hello"


async def test_a_handshake_can_be_taken_up_again(issue, trusting):
    """It was cut by a deadline, with half of it done."""
    async with (
        await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at,
        await dial(at.address) as plain,
        await at.accept() as server,
        anyio.create_task_group() as tasks,
    ):
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(into, out, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        await plain.send(out.read())
        server.read_deadline = anyio.current_time() + 0.02
        with pytest.raises(TimeoutError):
            await server.receive()
        server.read_deadline = math.inf
        tasks.start_soon(server.handshake)
        into.write(await plain.receive())
        client.do_handshake()
        client.write(b"hello")
        await plain.send(out.read())
        assert await server.receive() == b"hello"


@pytest.mark.parametrize("native", [False, True])
async def test_no_cancellation_loses_a_byte(pair, native, backend):
    """Cancelled at any turn of the loop, a receive has returned it or it is there."""
    if native and backend == "trio":
        pytest.skip("trio has no other cancellation")
    one, other = pair
    for turn in range(10):
        got = []

        async def receive(scope, got=got):
            with scope:
                while True:
                    got.append(await other.receive(2))

        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            if native:
                import asyncio

                task = asyncio.ensure_future(receive(scope))
                cancel = task.cancel
            else:
                tasks.start_soon(receive, scope)
                cancel = scope.cancel
            await anyio.wait_all_tasks_blocked()
            await one.send(b"abc")
            for _ in range(turn):
                await anyio.lowlevel.checkpoint()
            cancel()
            if native:
                await asyncio.wait([task])
        while len(b"".join(got)) < 3:
            got.append(await other.receive(2))
        assert b"".join(got) == b"abc"


async def test_anyios_client_is_understood(issue, trusting):
    """Which says goodbye as the standard wants it."""
    async with (
        await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at,
        anyio.create_task_group() as tasks,
    ):

        async def echo():
            async with await at.accept() as conn:
                async for data in conn:
                    await conn.send(data)

        tasks.start_soon(echo)
        stream = await TLSStream.wrap(
            await dial(at.address), hostname="127.0.0.1", ssl_context=trusting
        )
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
        await stream.aclose()


async def failed(at, expected, **options):
    """Dial in vain; returns what the server's end raised."""
    raised = []

    async def accept():
        async with await at.accept() as conn:
            try:
                await conn.handshake()
                await conn.receive()
            except Exception as error:
                raised.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(accept)
        with pytest.raises(expected) as caught:
            async with await dial(at.address, **options) as conn:
                await conn.receive()
    return caught.value, raised[0]


async def test_a_server_must_be_who_it_says(issue, trusting):
    """An unknown authority, and a wrong name, are refused; the server is told."""
    async with await listen("127.0.0.1:0", tls=issue("example.org")) as at:
        wrong = ssl.SSLCertVerificationError
        _, theirs = await failed(at, wrong, tls=True)
        assert isinstance(theirs, (ssl.SSLError, anyio.BrokenResourceError))
        await failed(at, wrong, tls=trusting)
        one, other = await meet(at, trusting, server_name="example.org")
        one.close()
        other.close()


async def test_the_name_chooses_the_certificate(issue, trusting):
    """By the client's word, also for all names of a domain; else the default one."""
    tls = TLS(
        *issue("default.org"),
        sni={
            "one.org": issue("one.org", file="one"),
            "*.many.org": issue("*.many.org", file="many"),
        },
    )
    async with await listen("127.0.0.1:0", tls=tls) as at:
        for name, names in {
            "default.org": {"default.org"},
            "one.org": {"one.org"},
            "a.many.org": {"*.many.org"},
        }.items():
            one, other = await meet(at, trusting, server_name=name)
            async with one, other:
                assert certified(one) == names
        await failed(
            at, ssl.SSLCertVerificationError, tls=trusting, server_name="many.org"
        )


async def test_a_changed_certificate_is_used_without_a_restart(issue, trusting, caplog):
    """For the connections that come then; a bad one is logged and not used."""
    tls = TLS(*issue("old.org"))
    async with await listen("127.0.0.1:0", tls=tls) as at:

        async def names(name):
            one, other = await meet(at, trusting, server_name=name)
            async with one, other:
                return certified(one)

        assert await names("old.org") == {"old.org"}
        cert, key = issue("new.org")
        assert await names("new.org") == {"new.org"}
        cert.write_text("rubbish")
        for _ in range(2):
            assert await names("new.org") == {"new.org"}
        errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert repr(str(cert)) in errors[0].getMessage()
        with pytest.raises(OSError, match="cannot use the certificate"):
            tls.reload()
        key.unlink()
        assert await names("new.org") == {"new.org"}
        issue("newest.org")
        tls.reload()
        assert await names("newest.org") == {"newest.org"}


@pytest.mark.parametrize("demand", ["none", "optional", "required"])
@pytest.mark.parametrize("has", [False, True])
async def test_clients_can_be_asked_who_they_are(
    issue, authority, tmp_path, demand, has
):
    """By a certificate of the given authority."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = TLS(*issue("127.0.0.1"), client_ca=tmp_path / "ca.pem", client_cert=demand)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if has:
        authority.issue_cert("me@example.org").configure_cert(context)
    async with await listen("127.0.0.1:0", tls=tls) as at:
        if demand == "required" and not has:
            _, theirs = await failed(
                at, (ssl.SSLError, anyio.BrokenResourceError), tls=context
            )
            assert isinstance(theirs, ssl.SSLError)
            return
        one, other = await meet(at, context)
        async with one, other:
            known = bool(other.extra(TLSAttribute.peer_certificate))
            assert known == (has and demand != "none")


async def test_the_protocol_is_chosen(issue, authority):
    """The server's best of what the client offers."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["http/1.1", "x/1"])
    tls = TLS(*issue("127.0.0.1"), alpn=("x/1", "http/1.1"))
    async with await listen("127.0.0.1:0", tls=tls) as at:
        one, other = await meet(at, context)
        async with one, other:
            assert one.extra(TLSAttribute.alpn_protocol) == "x/1"
            assert other.extra(TLSAttribute.alpn_protocol) == "x/1"


async def test_an_old_version_is_refused(issue, authority):
    """And the client is told why, with an alert."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with await listen(
        "127.0.0.1:0", tls=TLS(*issue("127.0.0.1"), min_version="1.3")
    ) as at:
        ours, _ = await failed(at, ssl.SSLError, tls=context)
        assert ours.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize(
    ("junk", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", PLAIN_HTTP),
        (b"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n123456789", PLAIN_HTTP),
        (b"SSH-2.0-OpenSSH_9.6\r\n", None),
        (bytes(500), None),
        (b"\x16\x03\x01\x00\x05hello", None),
        (b"\x16\x03\x01\xff\xff" + bytes(1000), None),
        (b"", None),
    ],
)
async def test_junk_is_refused(issue, junk, answer):
    """With an alert; or, if that is wanted, in words to who forgot to encrypt."""
    async with await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at:
        at.plain_answer = PLAIN_HTTP
        async with anyio.create_task_group() as tasks:

            async def accept():
                async with await at.accept() as conn:
                    with pytest.raises((ssl.SSLError, anyio.BrokenResourceError)):
                        await conn.handshake()
                    with pytest.raises(anyio.BrokenResourceError):
                        await conn.receive()
                    with pytest.raises(anyio.BrokenResourceError):
                        await conn.send(b"x")

            tasks.start_soon(accept)
            async with await dial(at.address) as conn:
                await conn.send(junk)
                await conn.send_eof()
                received = await receive_all(conn)
    alert = received[:2] == b"\x15\x03"  # OpenSSL sends one unless it is hopeless
    assert received == answer or (answer is None and (alert or not received))


async def test_without_a_wish_plain_http_gets_no_answer(issue):
    """It is nothing but the end of a connection."""
    async with (
        await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at,
        await dial(at.address) as conn,
        await at.accept() as server,
    ):
        await conn.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            await server.handshake()
        server.close()
        assert await receive_all(conn) == b""


def test_bad_settings_are_refused(issue, tmp_path):
    """When they are made, by a sentence with the value."""
    cert, key = issue("x.org")
    with pytest.raises(OSError, match="cannot use the certificate '/none'.* key '/no'"):
        TLS("/none", "/no")
    other = issue("y.org", file="other")[1]
    with pytest.raises(OSError, match="cannot use the certificate"):
        TLS(cert, other)
    with pytest.raises(ValueError, match="not 'maybe'"):
        TLS(cert, key, client_cert="maybe")
    with pytest.raises(ValueError, match="needs client_ca"):
        TLS(cert, key, client_cert="required")
    with pytest.raises(ValueError, match="not '1.1'"):
        TLS(cert, key, min_version="1.1")


async def test_what_is_no_tls_is_refused():
    """With what it may be."""
    with pytest.raises(TypeError, match="not 'cert.pem'"):
        await listen("127.0.0.1:0", tls="cert.pem")
    async with await listen("127.0.0.1:0") as at:
        with pytest.raises(TypeError, match="True or an SSLContext, not 'yes'"):
            await dial(at.address, tls="yes")


def test_an_encrypted_key_is_refused(issue, tmp_path):
    """Nobody is asked for its password."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    cert, key = issue("x.org")
    locked = tmp_path / "locked.key"
    command = [openssl, "pkey", "-in", key, "-out", locked, "-aes256"]
    subprocess.run([*command, "-passout", "pass:secret"], check=True)
    with pytest.raises(OSError, match="the key is encrypted"):
        TLS(cert, locked)


async def test_openssl_is_understood(issue, authority, tmp_path):
    """Its client sends a line, gets it back, and changes keys in between."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with await listen("127.0.0.1:0", tls=issue("127.0.0.1")) as at:
        received = bytearray()

        async def echo():
            async with await at.accept() as conn:
                while b"Q" not in received:
                    data = await conn.receive()
                    received.extend(data)
                    await conn.send(data)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(echo)
            ended = await anyio.run_process(
                [openssl, "s_client", "-connect", at.address, "-verify_return_error",
                 "-CAfile", str(tmp_path / "ca.pem"), "-ign_eof"],
                input=b"hello\nK\nafter\nQ\n",
                check=False,
            )  # fmt: skip
        assert b"Verify return code: 0 (ok)" in ended.stdout
        assert received.startswith(b"hello\n")
