"""What limiters, broadcasts and flows promise: others' tests of theirs, and storms."""
