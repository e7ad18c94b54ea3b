"""The laws of a drain, checked on what the server and its clients have written down.

1. A request whose head the server had is answered completely, once.
2. A request that was sent before the server was seen to close is answered, unless its
   connection was never accepted.
3. No request is handled twice.
4. Nobody is refused a connection before the stop.
5. What is answered in the drain says that the connection closes, unless more follows;
   and after that nothing is.
6. The drain ends in time, and what was cut is counted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import attrs


@attrs.define
class Figures:
    """What there was, for those who want to see that it was something."""

    requests: int
    in_drain: int
    """Those that were answered after the stop."""
    lost: list[str]
    unaccepted: int
    """Those on connections that the kernel had and the server did not."""
    broken: list[str]
    """Breaches of laws that are not losses."""


def read(path):
    """Return the ledger: for each event the facts and times."""
    events = defaultdict(dict)
    counts = Counter()
    with open(path) as file:
        for line in file:
            when, event, *facts = json.loads(line)
            key = facts[0] if facts else ""
            counts[event, key] += 1
            events[event][key] = (when, *facts[1:])
    return events, counts


def check(path, clients, cut=()):
    """Return the figures of a run.  `cut` are the ids that the report says were cut."""
    events, counts = read(path)
    (stop,) = events["stop"][""]
    accepted = {int(peer.rpartition(":")[2]) for peer in events["accepted"]}
    lost, broken, unaccepted = [], [], 0
    for one in clients.sent:
        whole = one.status and not one.wrong
        if whole or one.id in cut:
            pass
        elif one.id in events["head"]:
            lost.append(f"law 1: {one}")
        elif one.sent and not one.fin_seen and one.port in accepted:
            lost.append(f"law 2: {one}")
        else:
            unaccepted += one.port not in accepted
        for event in ("head", "start", "end"):
            times = counts[event, one.id]
            if times > 1 or (one.status == 200 and times != 1):
                broken.append(f"law 3: {event} {times} times: {one}")
    broken += [
        f"law 4: refused at {t - stop:+.4f}" for t in clients.refused if t < stop
    ]
    last = {}
    for one in clients.sent:
        if one.status:
            last[one.port] = one
    for one in last.values():
        answered = events["answer"].get(one.id)
        if answered and answered[1] and not one.closing and one.kind != "tls_slowly":
            broken.append(f"law 5: {one}")
    flushed = events["flushed"]
    in_drain = sum(when > stop for when, *_ in flushed.values())
    return Figures(len(clients.sent), in_drain, lost, unaccepted, broken)
