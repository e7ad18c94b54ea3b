"""The tests of Kotlin's channels and select, in Python.

Each file names the test classes whose behaviour it checks.  Two rules differ on
purpose: an operation that was matched completes, though its task is cancelled before it
runs; and an item that was not sent stays with the sender, so nobody else is told.
"""
