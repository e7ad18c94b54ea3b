"""Tools that find lost items, leaks and bad interleavings in concurrent programs.

PYTEST_DONT_REWRITE: so that a conftest may import this before it names it as a plugin.
"""

from __future__ import annotations

from typing import Any

from ._channel_model import ChannelModel as ChannelModel
from ._channel_model import select_model as select_model
from ._clock import virtual_clock as virtual_clock
from ._explore import Exploration as Exploration
from ._explore import FailedSchedule as FailedSchedule
from ._explore import explore as explore
from ._history import Call as Call
from ._history import History as History
from ._linearizable import Verdict as Verdict
from ._linearizable import linearizable as linearizable
from ._model import Blocked as Blocked
from ._model import Waiting as Waiting
from ._model import choose as choose
from ._scheduler import Deadlock as Deadlock
from ._scheduler import Endless as Endless
from ._scheduler import Outside as Outside
from ._timeline import Moment as Moment


def pytest_addoption(parser: Any) -> None:
    """Let pytest load the plugin: ``pytest -p csp.testing``."""
    from . import _plugin

    _plugin.add_options(parser)


def pytest_configure(config: Any) -> None:
    """Switch the plugin on; it alone needs pytest."""
    from . import _plugin

    config.pluginmanager.register(_plugin, "csp")


# Tracebacks, reprs and docs say csp.testing.Deadlock, wherever it is defined.
for _value in list(globals().values()):
    if getattr(_value, "__module__", "").startswith("csp.testing."):
        _value.__module__ = __name__
del _value
