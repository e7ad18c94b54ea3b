"""TLS: how a server encrypts, and how a connection that was dialled comes to be."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from ._certificates import Files, Path
from ._connection import SocketConnection
from ._tls_connection import TLSConnection

Pair: TypeAlias = tuple[Path, Path]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # for TLS 1.2; 1.3 has none that are weak

PLAIN_HTTP = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


class TLS:
    """How a server encrypts: its certificates, and what it asks of clients.

        tls = TLS("cert.pem", "key.pem", sni={"example.org": ("org.pem", "org.key")})
        await serve(handler, ":443", tls=tls)

    The files are read again when they change, for the connections that come then.  If
    they cannot be used, that is logged, and the old ones stay.

    Args:
        cert: The path of the certificate, with those up to the root after it; PEM.
        key: The path of its key, not encrypted.
        sni: Other certificates and keys, by the name that the client asks for;
            ``"*.example.org"`` is for any one label there.
        client_ca: The path of the certificates by which clients are verified.
        client_cert: Whether they must have one.
        alpn: The protocols that clients may choose from, best first.
        min_version: "1.2" or "1.3".

    Raises:
        OSError: A file cannot be read, or does not hold what it should.
    """

    def __init__(
        self,
        cert: Path,
        key: Path,
        *,
        sni: Mapping[str, Pair] | None = None,
        client_ca: Path | None = None,
        client_cert: Literal["none", "optional", "required"] = "none",
        alpn: Sequence[str] = ("http/1.1",),
        min_version: Literal["1.2", "1.3"] = "1.2",
    ) -> None:
        _check("client_cert", client_cert, _CLIENTS)
        _check("min_version", min_version, _VERSIONS)
        if client_cert != "none" and client_ca is None:
            raise ValueError(f"client_cert={client_cert!r} needs client_ca, to verify")
        self._alpn = [*alpn]
        self._client_ca = client_ca
        self._client_cert = client_cert
        self._min_version = min_version
        self._default = self._files(cert, key)
        self._named = {name: self._files(*pair) for name, pair in (sni or {}).items()}
        self._given: ssl.SSLContext | None = None

    @classmethod
    def given(cls, context: ssl.SSLContext) -> TLS:
        """Make one of a context that somebody else looks after."""
        self = cls.__new__(cls)
        self._given = context
        self._named = {}
        return self

    def reload(self) -> None:
        """Read the files again, even if they seem not to have changed.

        Raises:
            OSError: As when it was made; then the old ones stay.
        """
        if self._given is None:
            for files in (self._default, *self._named.values()):
                files.load()

    def context(self) -> ssl.SSLContext:
        """Return what a connection that comes now is encrypted with."""
        return self._given or self._default.context()

    def wrap(
        self, transport: SocketConnection, plain_answer: bytes | None = None
    ) -> TLSConnection:
        """Make an encrypted connection of one that was accepted.

        `plain_answer` is what a client is sent that speaks plain HTTP.
        """

        def begin(into: ssl.MemoryBIO, out: ssl.MemoryBIO) -> ssl.SSLObject:
            return self.context().wrap_bio(into, out, server_side=True)

        return TLSConnection(transport, begin, plain_answer)

    def _files(self, cert: Path, key: Path) -> Files:
        def make() -> ssl.SSLContext:
            return self._make(cert, key)

        return Files(make, [p for p in (cert, key, self._client_ca) if p is not None])

    def _make(self, cert: Path, key: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self._min_version]
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_ciphers(_CIPHERS)
        context.verify_mode = _CLIENTS[self._client_cert]
        context.sni_callback = self._choose
        if self._alpn:
            context.set_alpn_protocols(self._alpn)
        try:
            context.load_cert_chain(cert, key, password=_no_password)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
        except (OSError, ValueError) as error:
            raise OSError(
                f"cannot use the certificate {os.fspath(cert)!r} with the key "
                f"{os.fspath(key)!r}: {error}"
            ) from error
        return context

    def _choose(self, tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Take the certificate that the client asks for, if there is one."""
        name = (name or "").lower()
        files = self._named.get(name) or self._named.get("*." + name.partition(".")[2])
        if files is not None:
            tls.context = files.context()


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is there to be asked")


def _check(name: str, value: object, table: Mapping[str, object]) -> None:
    if value not in table:
        raise ValueError(f"{name} must be one of {[*table]}, not {value!r}")


TLSLike: TypeAlias = TLS | ssl.SSLContext | Pair


def as_tls(tls: TLSLike) -> TLS:
    """Return what `listen` was given as a `TLS`."""
    if isinstance(tls, TLS):
        return tls
    if isinstance(tls, ssl.SSLContext):
        return TLS.given(tls)
    if isinstance(tls, tuple):
        return TLS(*tls)
    raise TypeError(
        "tls takes a TLS, an ssl.SSLContext, or the paths of a certificate and its key "
        f"as a tuple, not {tls!r}"
    )


async def secure(
    conn: SocketConnection, tls: Literal[True] | ssl.SSLContext, server_name: str | None
) -> TLSConnection:
    """Encrypt a connection that was dialled; closes it if the handshake fails."""
    try:
        if tls is not True and not isinstance(tls, ssl.SSLContext):
            raise TypeError(f"to call, tls takes True or an SSLContext, not {tls!r}")
        context = ssl.create_default_context() if tls is True else tls

        def begin(into: ssl.MemoryBIO, out: ssl.MemoryBIO) -> ssl.SSLObject:
            return context.wrap_bio(into, out, server_hostname=server_name)

        secured = TLSConnection(conn, begin)
        await secured.handshake()
    except BaseException:
        conn.close()
        raise
    return secured
