"""Go's channels and select for Python, on asyncio and trio.

import csp

async def main() -> None:
    ch: csp.Channel[str] = csp.Channel()
    csp.go(ch.send, "hello")
    print(await ch.receive())

csp.run(main)
"""

# Layout, each file using only those before it:
#   _errors     what can come out of a channel instead of an item
#   _check      what arguments must be
#   _park       how a task sleeps and is woken; _park_asyncio, _park_trio
#   _queue      the waiters at one side of a channel
#   _state      what a channel is
#   _ends       what can be done at either end
#   _handles    Sender, Receiver
#   _channel    Channel
#   _operation  the protocol of select; recv, send
#   _select     select, select_nowait
#   _timer      after, at, ticker
#   _tasks      Handle, done
#   _group      Group, go
#   _account    what is reported of a stop
#   _stop       stop_scope, stopping, request_stop
#   _signals    signals
#   _run        run
#   _pool       Pool; _jobs, _workers; _executors and _processes, where jobs run
#   _each       each, map; _sources how they draw items
#   _pipeline   pipeline; _running how it runs, _stages, _many, _intake, _report
#   _limiter    Limiter
#   _broadcast  Broadcast
#   _taps       receiving from several sources
#   _flow       merge, split, throttle

from ._account import DrainReport as DrainReport
from ._account import Left as Left
from ._account import Undelivered as Undelivered
from ._broadcast import Broadcast as Broadcast
from ._broadcast import BroadcastStatistics as BroadcastStatistics
from ._broadcast import Subscription as Subscription
from ._channel import Channel as Channel
from ._each import each as each
from ._each import map as map  # noqa: A004 - Python's own, in several tasks
from ._ends import ChannelStatistics as ChannelStatistics
from ._errors import ChannelBroken as ChannelBroken
from ._errors import ChannelClosed as ChannelClosed
from ._errors import EndOfChannel as EndOfChannel
from ._errors import Overloaded as Overloaded
from ._errors import WouldBlock as WouldBlock
from ._executors import WorkerDied as WorkerDied
from ._flow import merge as merge
from ._flow import split as split
from ._flow import throttle as throttle
from ._group import Group as Group
from ._group import go as go
from ._handles import Receiver as Receiver
from ._handles import Sender as Sender
from ._jobs import PoolStatistics as PoolStatistics
from ._limiter import Limiter as Limiter
from ._limiter import LimiterStatistics as LimiterStatistics
from ._operation import CLOSED as CLOSED
from ._operation import NOT_READY as NOT_READY
from ._operation import Closed as Closed
from ._operation import NotReady as NotReady
from ._operation import Operation as Operation
from ._operation import recv as recv
from ._operation import send as send
from ._park import Waiter as Waiter
from ._pipeline import Pipeline as Pipeline
from ._pipeline import pipeline as pipeline
from ._pool import Pool as Pool
from ._report import Failure as Failure
from ._report import PipelineReport as PipelineReport
from ._report import StageReport as StageReport
from ._run import run as run
from ._select import Selected as Selected
from ._select import select as select
from ._select import select_nowait as select_nowait
from ._signals import signals as signals
from ._stop import StopScope as StopScope
from ._stop import request_stop as request_stop
from ._stop import stop_scope as stop_scope
from ._stop import stopping as stopping
from ._tasks import Handle as Handle
from ._tasks import done as done
from ._timer import after as after
from ._timer import at as at
from ._timer import ticker as ticker

__version__ = "0.1.0"

# Tracebacks, reprs and docs say csp.Channel, not csp._channel.Channel.
for _name, _value in list(globals().items()):
    if not _name.startswith("_") and getattr(_value, "__module__", "").startswith(
        "csp."
    ):
        _value.__module__ = __name__
del _name, _value
