"""The pytest plugin: seeds for select's choices, a leak check, and a virtual clock.

Load it with ``pytest -p csp.testing``, or with that in `addopts`.  It goes with anyio's
plugin, pytest-trio, Hypothesis and plain tests, and needs none of the others.  (Where
``--disable-plugin-autoload`` is on, name anyio's before it: csp imports anyio, and
pytest warns of a plugin that was imported before it was named.)

* A failed test says with which ``--csp-seed=N`` it can be repeated, alone too: each
  test's choices are drawn from that number and the test's own name.  The ini option
  `csp_seed` sets it for good.
* A test fails that leaves something behind: tasks that no block waits for, timers (on
  asyncio's own loops), threads, descriptors, or channels with items in them.  The
  command line's ``--csp-leaks=tasks,threads``, or else the ini option `csp_leaks`, says
  which of these are looked for: all, by default, or none, or some.  A test that means
  to leave something may be marked ``@pytest.mark.leaks("threads")``.
* The fixture `virtual_clock` is the function `csp.testing.virtual_clock`.

Only this file imports pytest, so that programs can have the rest without it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import iscoroutinefunction
from random import Random
from typing import Any

import pytest

from csp import _park

from ._births import Births
from ._clock import virtual_clock as clock_of
from ._leaks import KINDS, Watch, open_for_good, running_loop

MOST = 20  # leaks that are told of one by one


def add_options(parser: pytest.Parser) -> None:
    """Add the plugin's options to the command line and to the ini file."""
    group = parser.getgroup("csp")
    seed = "repeat select's choices of the run that reported this number"
    leaks = "kinds of leaks to look for: all, none, or some of " + ", ".join(KINDS)
    group.addoption("--csp-seed", metavar="N", help=seed)
    group.addoption("--csp-leaks", metavar="KINDS", help=leaks)
    parser.addini("csp_seed", seed, default="")
    parser.addini("csp_leaks", leaks, default="all")


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and set up what they ask for."""
    seed, kinds = _seed(config), _kinds_wanted(config)
    config.option.csp_seed = seed
    config.addinivalue_line("markers", "leaks(*kinds): what the test may leave")
    config.pluginmanager.register(Choices(seed), "csp-choices")
    if kinds:
        config.pluginmanager.register(LeakCheck(config, kinds), "csp-leaks")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed on to a worker of pytest-xdist."""
    node.workerinput["csp_seed"] = str(node.config.option.csp_seed)


def pytest_report_header(config: pytest.Config) -> str:
    """Tell what is needed to repeat the session."""
    wanted = _kinds_wanted(config)
    kinds = ",".join(kind for kind in KINDS if kind in wanted)
    return f"csp: --csp-seed={config.option.csp_seed} --csp-leaks={kinds or 'none'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse markers with no such kind before any test runs."""
    for item in items:
        _kinds_meant(item)


def _option(config: pytest.Config, name: str) -> str:
    value = config.getoption(name)
    return str(config.getini(name) if value is None else value)


def _seed(config: pytest.Config) -> int:
    of_controller = getattr(config, "workerinput", {})
    value = of_controller.get("csp_seed", _option(config, "csp_seed"))
    try:
        return int(value) if value else Random().getrandbits(32)  # noqa: S311
    except ValueError:
        raise pytest.UsageError(
            f"--csp-seed must be a whole number, not {value!r}"
        ) from None


def _kinds_wanted(config: pytest.Config) -> frozenset[str]:
    words = _option(config, "csp_leaks").replace(",", " ").split()
    return _kinds(words, "--csp-leaks")


def _kinds_meant(item: pytest.Item) -> frozenset[str]:
    """Return the kinds of leaks that a test is marked with."""
    where = f"{item.nodeid}: @pytest.mark.leaks"
    marks = [mark.args for mark in item.iter_markers("leaks")]
    if () in marks:
        raise pytest.UsageError(f"{where} has to name kinds of leaks, or all")
    return _kinds([word for words in marks for word in words], where)


def _kinds(words: Iterable[object], where: str) -> frozenset[str]:
    """Return the kinds of leaks that `words` name; `where` they stand, for errors."""
    names = {**{kind: {kind} for kind in KINDS}, "all": {*KINDS}, "none": set()}
    for word in words:
        if word not in names:
            raise pytest.UsageError(
                f"{where}: {word!r} is no kind of leak. Name some of "
                f"{', '.join(KINDS)}, or all, or none"
            )
    return frozenset().union(*(names[str(word)] for word in words))


@pytest.fixture(scope="session")
def virtual_clock() -> Callable[[str], tuple[str, dict[str, Any]]]:
    """Return `csp.testing.virtual_clock`, to be called in a fixture `anyio_backend`."""
    return clock_of


class Choices:
    """Draws select's choices in each test from a seed.

    Every loop that a test makes has its own source, seeded from one of the test.  And
    before a run of the test function all begins anew: so that it is the same in a loop
    that other tests used before, and for Hypothesis, which repeats its examples.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._test = ""
        self._drawn = False  # has there been a loop?
        self._random = Random()  # noqa: S311

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        self._test = f"{self._seed} {item.nodeid}"
        self._random.seed(self._test)
        self._drawn = False
        before, _park.new_random = _park.new_random, self._new_random
        try:
            return (yield)
        finally:
            _park.new_random = before

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        with _around(item, self._begin, _nothing):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, pytest.TestReport]:
        report: pytest.TestReport = yield
        if report.failed and self._drawn:
            text = f"To repeat what select chose: --csp-seed={self._seed}"
            report.sections.append(("csp", text))
        return report

    def _new_random(self) -> Random:
        self._drawn = True
        return Random(self._random.getrandbits(64))  # noqa: S311

    def _begin(self) -> None:
        loop = running_loop()
        self._random.seed(self._test)
        if loop is not None:
            loop.random = self._new_random()


class LeakCheck:
    """Fails tests that leave something behind.

    What fixtures of a wider scope start is theirs, and what the test's own fixtures
    start has to be gone after their teardown.  So the error is one of the teardown; a
    test that fails anyway leaves things behind for that, and is only told of them.
    """

    def __init__(self, config: pytest.Config, kinds: frozenset[str]) -> None:
        self._kinds = kinds
        self._births = Births()
        self._watch: Watch | None = None
        self._cut_short = False
        if "channels" in kinds:
            stack = ExitStack()
            stack.enter_context(self._births.installed())
            config.add_cleanup(stack.close)
        if "descriptors" in kinds:
            open_for_good()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._watch = Watch(self._kinds - _kinds_meant(item), self._births)
        self._cut_short = False
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, Any, Any]:
        if self._watch is None or fixturedef.scope == "function":
            return (yield)
        with self._watch.excepting():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        assert self._watch is not None
        with _around(item, self._watch.enter, self._watch.leave):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, pytest.TestReport]:
        self._cut_short |= call.excinfo is not None
        report: pytest.TestReport = yield
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        watch, self._watch = self._watch, None
        if watch is None:  # another plugin has kept the test from its setup
            return (yield)
        cut_short = True
        try:
            result = yield
            cut_short = self._cut_short
            return result
        finally:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                leaks = watch.finish()
            if leaks and cut_short:
                item.add_report_section("teardown", "leaks", _tell(leaks))
            elif leaks:
                pytest.fail(_tell(leaks), pytrace=False)
            elif not cut_short:
                _warn_again(caught)


def _tell(leaks: dict[str, str]) -> str:
    """Say what was left behind, and how to let it be."""
    kinds = [kind for kind in KINDS if kind in leaks.values()]
    lines = [f"left behind: {', '.join(kinds)}"]
    lines += [f"  {leak}" for leak in [*leaks][:MOST]]
    if len(leaks) > MOST:
        lines.append(f"  and {len(leaks) - MOST} more")
    names = ", ".join(repr(kind) for kind in kinds)
    lines.append(f"If the test means to, mark it: @pytest.mark.leaks({names})")
    return "\n".join(lines)


def _warn_again(caught: list[warnings.WarningMessage]) -> None:
    """Give the warnings that came of collecting garbage, such as of unclosed files.

    Where warnings are errors, those out of a finalizer would be the next test's.
    """
    __tracebackhide__ = True
    for it in caught:
        warnings.warn_explicit(
            it.message, it.category, it.filename, it.lineno, source=it.source
        )


@contextmanager
def _around(
    item: pytest.Item, begin: Callable[[], None], end: Callable[[], None]
) -> Iterator[None]:
    """Call `begin` and `end` around each run of the test function, in its loop.

    That is, if it is async, or Hypothesis runs it several times.  There is no `end`
    to a run that fails.
    """
    examples = getattr(getattr(item, "obj", None), "hypothesis", None)
    owner, name = (examples, "inner_test") if examples else (item, "obj")
    test: Any = getattr(owner, name, None)
    if not examples and not iscoroutinefunction(test):
        yield
        return

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        begin()
        result = test(*args, **kwargs)
        end()
        return result

    @functools.wraps(test)
    async def run_async(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        begin()
        result = await test(*args, **kwargs)
        end()
        return result

    setattr(owner, name, run_async if iscoroutinefunction(test) else run)
    try:
        yield
    finally:
        setattr(owner, name, test)


def _nothing() -> None: ...
