"""A small web server: python -m examples.http [ADDRESS] [--backend asyncio|uvloop|trio]

Try, from another terminal:

    curl http://127.0.0.1:8080/                         hello
    curl -N http://127.0.0.1:8080/count                 a response that comes bit by bit
    curl -T FILE --limit-rate 1M http://127.0.0.1:8080/upload

and press Ctrl-C while one of them runs: it is finished, and then the server ends.
"""
