"""crossbeam-channel's tests, in Python.

Each file names the Rust files whose behaviour it checks.  A channel is disconnected
there when all handles of one side are dropped; here a handle is closed.  Where there is
an error for that in a select, here a receive has `CLOSED` and a send raises.
"""
