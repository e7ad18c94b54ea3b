"""Go's own tests of channels, select, timers and goroutines, in Python.

Each file names the Go programs whose behaviour it checks.  Where Go has a nil channel
there is None here, for `v, ok` there is `CLOSED`, for a panic an exception, and for
`default` there is `select_nowait`.  Two rules differ on purpose: closing twice is fine,
and senders that wait when a channel closes are still served.
"""
