"""Files: whole, in parts or not at all, and no descriptor left behind."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from email.utils import formatdate

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp.net.http import _files
from csp.net.http._errors import (
    Forbidden,
    HTTPError,
    NotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    ServiceUnavailable,
)
from csp.net.http._files import file
from csp.net.http._headers import Headers
from csp.net.http._message import Request, Response

pytestmark = pytest.mark.anyio

SMALL = bytes(range(100))
LARGE = os.urandom(300_000) + os.urandom(300_000)  # two pieces and a bit
FDS = "/proc/self/fd"


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def data(request):
    return request.param


@pytest.fixture
def path(tmp_path, data):
    path = tmp_path / "data.bin"
    path.write_bytes(data)
    return path


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    return path


def descriptors():
    if not os.path.isdir(FDS):
        pytest.skip("descriptors cannot be counted here")
    return {fd: os.readlink(f"{FDS}/{fd}") for fd in os.listdir(FDS) if alive(fd)}


def alive(fd):
    return os.path.lexists(f"{FDS}/{fd}")


@pytest.fixture
def none_left(tmp_path):
    """Fail if a test leaves one of its files open."""
    yield
    assert [name for name in descriptors().values() if str(tmp_path) in name] == []


async def sent(response):
    """Return what goes over the wire of a body."""
    body = response.body
    if isinstance(body, bytes):
        return body
    async with body as pieces:
        return b"".join([piece async for piece in pieces])


def get(headers=None, method="GET"):
    return Request(method, "/", headers)


# Whole


async def test_a_file_is_sent_whole(path, data, none_left):
    """With its length, its type and its validators."""
    response = await file(get(), path)
    assert response.status == 200
    assert await sent(response) == data
    headers = response.headers
    assert headers["content-length"] == str(len(data))
    assert headers["content-type"] == "application/octet-stream"
    assert headers["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', headers["etag"])
    when = formatdate(int(path.stat().st_mtime), usegmt=True)
    assert headers["last-modified"] == when


async def test_head_tells_the_length_alone(path, data, none_left):
    """As GET would, without opening the file for a second time."""
    response = await file(get({"Range": "bytes=0-4"}, "HEAD"), path)
    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == str(len(data))


async def test_an_empty_file_is_sent(tmp_path):
    """Whatever part of it is asked for."""
    (tmp_path / "empty").touch()
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-5"}):
        response = await file(get(headers), tmp_path / "empty")
        assert (response.status, response.body) == (200, b"")
        assert response.headers["content-length"] == "0"


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 2**18, 2**18 + 1, 2**19])
async def test_no_size_is_on_an_edge(tmp_path, size, none_left):
    """Small is up to 64 KiB, and a piece 256 KiB."""
    (tmp_path / "x").write_bytes(LARGE[:size])
    assert await sent(await file(get(), tmp_path / "x")) == LARGE[:size]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.b.json", "application/json"),
        ("a.png", "image/png"),
        ("a?b;c#d.txt", "text/plain; charset=utf-8"),
        ("data:image,a.txt", "text/plain; charset=utf-8"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("txt", "application/octet-stream"),
        (".txt", "application/octet-stream"),
        (b"\xff.txt", "text/plain; charset=utf-8"),
    ],
)
async def test_the_type_is_by_the_name(tmp_path, name, content_type):
    """And names may be bytes, and have anything in them."""
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    os.close(os.open(path, os.O_CREAT))
    shown = path if isinstance(name, bytes) else os.fsdecode(path)
    assert (await file(get(), shown)).headers["content-type"] == content_type


async def test_headers_that_are_given_win(path, data):
    """A type, or an ETag of one's own, which then is what conditions are about."""
    own = {"ETag": '"v1"', "content-type": "a/b", "Cache-Control": "no-store"}
    response = await file(get(), path, headers=own)
    assert response.headers.get_all("content-type") == ["a/b"]
    assert response.headers["cache-control"] == "no-store"
    assert (await file(get(), path, content_type="c/d")).headers[
        "content-type"
    ] == "c/d"
    request = get({"If-None-Match": '"v1"'})
    assert (await file(request, path, headers=own)).status == 304


# Not at all


def a_directory(tmp_path):
    return tmp_path


def a_missing_file(tmp_path):
    return tmp_path / "missing"


def below_a_file(tmp_path):
    (tmp_path / "file").touch()
    return f"{tmp_path}/file/below"


def a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def a_socket(tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
    return tmp_path / "socket"


def a_loop(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path / "loop"


@pytest.mark.parametrize(
    "make",
    [
        a_directory,
        a_missing_file,
        below_a_file,
        a_pipe,
        a_socket,
        a_loop,
        lambda _: "/dev/null",
        lambda _: "/dev/zero",
        lambda _: "",
        lambda _: "a\0b",
        lambda _: "\ud800",
        lambda _: "x" * 5000,
    ],
)
async def test_what_is_no_file_is_not_found(tmp_path, make, none_left):
    """And nobody waits for the other end of a pipe."""
    with pytest.raises(NotFound):
        await file(get(), make(tmp_path))


async def test_what_may_not_be_read_is_forbidden(tmp_path, monkeypatch):
    """Though the superuser may, so the kernel's word is put into its mouth."""

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_files.os, "open", refuse)
    with pytest.raises(Forbidden):
        await file(get(), tmp_path / "x")


async def test_running_out_of_descriptors_is_no_404(tmp_path, monkeypatch):
    """A cache would keep that; the server answers 500 instead."""

    def refuse(*args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(_files.os, "open", refuse)
    with pytest.raises(OSError, match="Too many"):
        await file(get(), tmp_path / "x")


async def test_a_path_is_a_path():
    """A number would be somebody's descriptor."""
    with pytest.raises(TypeError):
        await file(get(), 0)


# Conditions


async def test_a_client_that_has_it_gets_nothing(path, none_left):
    """By the tag, or by the time."""
    headers = (await file(get(), path)).headers
    for condition in (
        {"If-None-Match": headers["etag"]},
        {"If-Modified-Since": headers["last-modified"]},
    ):
        response = await file(get(condition), path)
        assert (response.status, response.body) == (304, b"")
        assert response.headers["etag"] == headers["etag"]
        assert "content-length" not in response.headers
        assert "content-type" not in response.headers


async def test_a_file_that_has_changed_has_another_tag(path, none_left):
    """Of the same length, too."""
    before = (await file(get(), path)).headers["etag"]
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    with pytest.raises(PreconditionFailed):
        await file(get({"If-Match": before}), path)


async def test_a_time_to_come_is_not_told(path):
    """RFC 9110 8.8.2.1: Last-Modified is never later than Date."""
    os.utime(path, (4e9, 4e9))
    modified = (await file(get(), path)).headers["last-modified"]
    assert not modified.endswith("2096 07:06:40 GMT")


# Parts


async def test_one_part_is_sent(path, data, none_left):
    """With its place in the whole."""
    response = await file(get({"Range": "bytes=10-19"}), path)
    assert response.status == 206
    assert response.headers["content-range"] == f"bytes 10-19/{len(data)}"
    assert response.headers["content-length"] == "10"
    assert await sent(response) == data[10:20]


async def test_nothing_in_range_is_416(path, data, none_left):
    """The answer tells how much there is."""
    with pytest.raises(RangeNotSatisfiable) as caught:
        await file(get({"Range": f"bytes={len(data)}-"}), path)
    assert caught.value.headers == {"Content-Range": f"bytes */{len(data)}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "lines=1-2"},
        {"Range": "bytes=5-4"},
        [("Range", "bytes=0-1"), ("Range", "bytes=2-3")],
        {"Range": "bytes=0-4", "If-Range": '"other"'},
        {"Range": "bytes=0-4", "If-Range": "Sun, 06 Nov 1994 08:49:37 GMT"},
    ],
)
async def test_a_range_that_is_ignored_gives_all(path, data, headers):
    """Status 200."""
    response = await file(get(headers), path)
    assert response.status == 200
    assert await sent(response) == data


async def test_only_get_has_ranges(path, data):
    """RFC 9110 14.2."""
    response = await file(get({"Range": "bytes=0-4"}, "POST"), path)
    assert (response.status, await sent(response)) == (200, data)


@pytest.mark.parametrize("field", ["etag", "last-modified"])
async def test_if_range_of_the_same_file_gives_a_part(path, data, field):
    """By either validator."""
    validator = (await file(get(), path)).headers[field]
    response = await file(get({"Range": "bytes=-5", "If-Range": validator}), path)
    assert (response.status, await sent(response)) == (206, data[-5:])


async def test_a_failed_condition_comes_before_the_range(path):
    """RFC 9110 13.2.2: Range counts only when all else has."""
    etag = (await file(get(), path)).headers["etag"]
    request = get({"Range": "bytes=9999999-", "If-None-Match": etag})
    assert (await file(request, path)).status == 304


def read_multipart(response, body):
    """Take multipart/byteranges apart, as strictly as can be."""
    content_type = response.headers["content-type"]
    boundary = content_type.removeprefix("multipart/byteranges; boundary=").encode()
    before, *parts, end = body.split(b"\r\n--" + boundary)
    assert (before, end) == (b"", b"--\r\n")
    for part in parts:
        head, data = part.split(b"\r\n\r\n", 1)
        blank, kind, place = head.decode().split("\r\n")
        assert blank == ""
        assert kind.startswith("Content-Type: ")
        yield place.removeprefix("Content-Range: "), data


async def test_several_parts_are_sent(path, data, none_left):
    """Each with its place, in a body of which the length is known."""
    size = len(data)
    request = get({"Range": "bytes=0-0, 50-59, -1"})
    response = await file(request, path, headers={"Content-Type": "a/b"})
    assert response.status == 206
    assert "content-range" not in response.headers
    assert len(response.headers.get_all("content-type")) == 1
    body = await sent(response)
    assert response.headers["content-length"] == str(len(body))
    assert b"Content-Type: a/b\r\n" in body
    assert [*read_multipart(response, body)] == [
        (f"bytes 0-0/{size}", data[:1]),
        (f"bytes 50-59/{size}", data[50:60]),
        (f"bytes {size - 1}-{size - 1}/{size}", data[-1:]),
    ]


async def test_a_type_cannot_forge_a_part(path):
    """A line end in it is found where it would go into the body."""
    with pytest.raises(ValueError, match="cannot be a Content-Type"):
        headers = {"Range": "bytes=0-0,2-2"}
        await file(get(headers), path, content_type="a/b\r\nX: y")


@given(
    parts=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 2**20)), max_size=4)
)
async def test_parts_cover_what_was_asked_for(parts, tmp_path_factory):
    """Across the pieces in which a large file is read."""
    path = tmp_path_factory.getbasetemp() / "parts.bin"
    if not path.exists():
        path.write_bytes(LARGE)
    spec = ",".join(f"{first}-{first + more}" for first, more in parts)
    slices = [LARGE[first : first + more + 1] for first, more in parts]
    slices = [piece for piece in slices if piece]
    try:
        response = await file(get({"Range": f"bytes={spec}"}), path)
    except RangeNotSatisfiable:
        assert parts
        assert not slices
        return
    body = await sent(response)
    assert response.headers["content-length"] == str(len(body))
    if not parts or sum(map(len, slices)) > len(LARGE):
        assert (response.status, body) == (200, LARGE)
    elif len(slices) == 1:
        assert body == slices[0]
    else:
        assert [data for _, data in read_multipart(response, body)] == slices


# While it is being sent


async def test_a_file_that_shrinks_is_cut(large, none_left):
    """The client was told more, and must not take the rest for the whole."""
    response = await file(get(), large)
    with pytest.raises(EOFError, match="has shrunk"):
        async with response.body as pieces:
            assert await anext(pieces) == LARGE[: 2**18]
            os.truncate(large, 2**18 + 5)
            await anext(pieces)


async def test_a_file_that_grows_is_sent_as_it_was(large, none_left):
    """A log is written to all the time."""
    response = await file(get(), large)
    large.write_bytes(LARGE + b"more")
    assert await sent(response) == LARGE


async def test_a_small_file_that_shrinks_is_sent_as_it_is(tmp_path, monkeypatch):
    """Its length is that of what was read."""
    (tmp_path / "x").write_bytes(b"12345")
    fstat = os.fstat

    def cut(fd):
        status = fstat(fd)
        os.truncate(tmp_path / "x", 2)
        return status

    monkeypatch.setattr(_files.os, "fstat", cut)
    response = await file(get(), tmp_path / "x")
    assert (response.body, response.headers["content-length"]) == (b"12", "2")


async def test_a_file_that_was_replaced_is_sent_to_its_end(large, none_left):
    """Once it has begun: the old one lives as long as it is open."""
    response = await file(get(), large)
    async with response.body as pieces:
        begin = await anext(pieces)
        (large.parent / "new").write_bytes(b"new")
        os.replace(large.parent / "new", large)
        assert begin + b"".join([piece async for piece in pieces]) == LARGE


async def test_a_file_that_was_replaced_before_is_not_sent(large, none_left):
    """Its header is of another file; the client may try again."""
    response = await file(get(), large)
    (large.parent / "new").write_bytes(LARGE)
    os.replace(large.parent / "new", large)
    with pytest.raises(ServiceUnavailable, match="replaced") as caught:
        await sent(response)
    assert caught.value.headers == {"Retry-After": "0"}


async def test_a_file_that_has_gone_before_is_not_found(large, none_left):
    """The header is not out yet, so that can still be said."""
    response = await file(get(), large)
    large.unlink()
    with pytest.raises(NotFound):
        await sent(response)


async def test_a_response_that_is_never_sent_holds_nothing(large, none_left):
    """Nothing is open before the first piece is asked for."""
    for headers in ({}, {"Range": "bytes=0-9"}):
        response = await file(get(headers), large)
        assert isinstance(response, Response)
        assert str(large) not in descriptors().values()


async def test_a_file_is_closed_when_the_client_goes(large, none_left):
    """In the middle of it, by any error."""
    response = await file(get(), large)
    with pytest.raises(ZeroDivisionError):
        async with response.body as pieces:
            await anext(pieces)
            assert str(large) in descriptors().values()
            raise ZeroDivisionError
    assert str(large) not in descriptors().values()


async def test_the_event_loop_runs_while_a_file_is_read(large, monkeypatch):
    """All that touches the disk is done in threads."""
    loop_thread = threading.current_thread()
    seen = set()
    opener = _files._open_harmlessly

    def note(*args):
        seen.add(threading.current_thread() is loop_thread)
        return opener(*args)

    monkeypatch.setattr(_files, "_open_harmlessly", note)
    await sent(await file(get(), large))
    assert seen == {False}


# Cancellation


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_leaves_no_descriptor(large, none_left, turns):
    """By a scope, after any number of turns of the loop."""

    async def work():
        await sent(await file(get(), large))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


@pytest.fixture
def gate(monkeypatch):
    """Hold the threads that read at a gate, and know when they are there."""
    here, go_on = threading.Event(), threading.Event()
    seek = _files.FileIO.seek

    class Gated(_files.FileIO):
        def seek(self, *args):
            here.set()
            assert go_on.wait(30)
            return seek(self, *args)

    def gated(path, mode, buffering, opener):
        return Gated(path, mode, opener=opener)

    monkeypatch.setattr(_files, "open", gated, raising=False)
    yield here, go_on
    go_on.set()


async def test_native_cancellation_leaves_closing_to_the_thread(
    backend, large, gate, none_left
):
    """Which still reads, when the block has long been left."""
    if backend == "trio":
        pytest.skip("only asyncio cancels tasks that wait for a thread")
    here, go_on = gate

    async def work():
        await sent(await file(get(), large))

    task = asyncio.create_task(work())
    await asyncio.to_thread(here.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert str(large) in descriptors().values()
    go_on.set()
    # There is one idle thread, so this runs after what it was at.
    while str(large) in descriptors().values():
        await anyio.to_thread.run_sync(lambda: None)


async def test_native_cancellation_while_looking_leaves_nothing(
    backend, large, none_left, monkeypatch
):
    """The thread that opens the file is the one that closes it."""
    if backend == "trio":
        pytest.skip("only asyncio cancels tasks that wait for a thread")
    opener = _files._open_harmlessly
    here, go_on, done = (threading.Event() for _ in range(3))

    def slowly(*args):
        here.set()
        assert go_on.wait(30)
        return opener(*args)

    def look(path):
        try:
            return _look(path)
        finally:
            done.set()

    _look = _files._look
    monkeypatch.setattr(_files, "_look", look)
    monkeypatch.setattr(_files, "_open_harmlessly", slowly)
    task = asyncio.create_task(file(get(), large))
    await asyncio.to_thread(here.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert done.wait(30)


async def test_errors_of_files_are_answers(tmp_path):
    """So a handler need not catch any."""
    assert issubclass(NotFound, HTTPError)
    request = Request("GET", "/", Headers())
    with pytest.raises(HTTPError, match="404 Not Found"):
        await file(request, tmp_path / "missing")
