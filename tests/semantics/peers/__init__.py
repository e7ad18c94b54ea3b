"""The tests of other channels and queues, in Python.

Each file names the library whose behaviour it checks: trio, anyio, CPython's asyncio,
pygolang or tokio.
"""
