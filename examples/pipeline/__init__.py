"""Counts the words of a text of any size, by a pipeline, and loses nothing.

    python -m examples.pipeline                    of the novel that comes with it
    python -m examples.pipeline FILE               of a file
    python -m examples.pipeline FILE --output OUT  and writes the counts to a file

Ctrl-C or SIGTERM ends the reading, and what was read is still counted; a second one
cuts that short, and names what was not.  With --output, what has been counted is kept
in OUT.journal, and the next run goes on from there.  So it may be interrupted at any
moment, even by a power cut, and in the end each word has been counted once.

Read flow.py, which is what this example is about, then journal.py and __main__.py.

The text, alice.txt, is Lewis Carroll's "Alice's Adventures in Wonderland" of 1865,
which is in the public domain.  It is alice29.txt as it comes with the sources of
Debian's package snappy, only with line ends of today and no end-of-file mark.
"""
