"""What tests of a drain share."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


class Process:
    """A server in a process of its own."""

    def __init__(self, folder, backend, **options):
        self.path = str(folder / "ledger")
        options |= {"ledger": self.path, "backend": backend}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.net.http.drain.server", json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addresses = self.process.stdout.readline().split()

    @property
    def address(self):
        return self.addresses[0]

    def signal(self, signum):
        self.process.send_signal(signum)

    def end(self, timeout=40):
        """Return its exit code, its report and that of the requests."""
        out, self.errors = self.process.communicate(timeout=timeout)
        reports = json.loads(out.splitlines()[-1]) if out else [None, None]
        return self.process.returncode, *reports


@pytest.fixture
def start(tmp_path, loop_name):
    """Start a server on one of the event loops."""
    started = []

    def start(**options):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Process(folder, loop_name, **options))
        assert started[-1].addresses, started[-1].process.stderr.read()
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        with one.process:
            pass


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def loop_name(request):
    """The event loop of a server in a process."""
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The paths of a certificate and its key, and what trusts them."""
    trustme = pytest.importorskip("trustme")
    import ssl

    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "pem")
    issued.private_key_pem.write_to_path(folder / "key")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return (str(folder / "pem"), str(folder / "key")), context
