"""The same four answers, by each server: python -m benchmarks.servers.NAME PORT.

GET /         a short text
GET /large    64 KiB
POST /        how many bytes there were
GET /stream   64 pieces of 1 KiB, one after the other
"""

HELLO = b"Hello, www!\n"
LARGE = b"x" * 65_536
PIECE = b"x" * 1_024
PIECES = 64
