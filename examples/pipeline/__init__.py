"""A report on any text, made by a pipeline of channels.

    python -m examples.pipeline                 on the text that comes with it
    python -m examples.pipeline FILE            on a file
    python -m examples.pipeline - <FILE         on standard input

It tells how long the text takes to read, how long its chapters are, which words and
phrases it uses most and where each word is met first, and its longest sentence.
Ctrl-C ends the reading; what was read by then is still counted and reported.

Read on in this order:
    cut     cuts a text into blocks
    tally   counts what is in a block
    flow    the pipeline, which is what this example is about
    report  writes what was found
    __main__  options, signals and exit codes

The text, alice.txt, is Lewis Carroll's "Alice's Adventures in Wonderland" of 1865,
which is in the public domain.  It is alice29.txt as it comes with the sources of
Debian's package snappy, only with line ends of today and no end-of-file mark.
"""
