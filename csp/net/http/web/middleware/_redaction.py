"""What is not to be seen in a log: credentials, and bodies that are no text."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from csp.net.http._headers import Headers

from ._lines import one_line

CREDENTIALS = ("Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie")
_JSON = ("/json", "+json", "/jsonl", "/x-ndjson")


class Redaction:
    """Shows header fields without those that are secret."""

    def __init__(self, secrets: Collection[str]) -> None:
        if isinstance(secrets, str):
            raise TypeError(f"secrets are names of headers: write [{secrets!r}]")
        self._secrets = frozenset(name.lower() for name in secrets)

    def fields(self, headers: Headers) -> Iterator[str]:
        """Yield the fields as lines."""
        for name, value in headers:
            shown = "***" if name.lower() in self._secrets else value
            yield one_line(f"{name}: {shown}")


def is_readable(headers: Headers) -> bool:
    """Tell whether a body is text or JSON, as far as its headers say."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    kind = headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind.endswith(_JSON)
    return coding == "identity" and is_text
