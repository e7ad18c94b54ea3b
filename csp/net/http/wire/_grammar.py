"""What RFC 9110 says that more than one file here has to know."""

from __future__ import annotations

import re
from typing import Final

TOKEN_CHARS: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN: Final = re.compile(TOKEN_CHARS + rb"+")

# 6.5.1: what frames, routes, authenticates or describes a message comes too late after
# its body.
NOT_IN_TRAILERS: Final = frozenset(
    b"authorization cache-control connection content-encoding content-length "
    b"content-range content-type cookie expect host keep-alive max-forwards pragma "
    b"proxy-authorization proxy-connection range set-cookie te trailer "
    b"transfer-encoding upgrade".split()
)
