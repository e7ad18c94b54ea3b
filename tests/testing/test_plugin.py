"""Are select's choices repeatable, and does the plugin get on with all others?"""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from csp import _park
from csp._state import State
from csp.testing import _plugin
from tests.testing.inner import ANYIO, TRIO, Inner


@pytest.fixture
def inner(pytester, monkeypatch):
    return Inner(pytester, monkeypatch)


CHOOSE = """
    import os
    import unittest
    from importlib.util import find_spec

    import anyio
    import pytest
    from hypothesis import given, settings, strategies

    import csp

    BACKENDS = [name for name in ("asyncio", "trio") if find_spec(name)]


    async def choose():
        channels = [csp.Channel(1) for _ in range(4)]
        chosen = []
        for _ in range(20):
            for ch in channels:
                if not len(ch):
                    ch.send_nowait(None)
            chosen.append((await csp.select(*map(csp.recv, channels))).which)
        for ch in channels:
            ch.drain()
        return "".join(map(str, chosen))


    def report(*choices):
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1]
        with open("choices", "a") as file:
            print(test.split()[0], *choices, file=file)
"""

CHOICES = f"""{CHOOSE}

    examples = settings(max_examples=3, database=None)


    @pytest.fixture(params=BACKENDS)
    def anyio_backend(request):
        return request.param


    class TestInALoopThatGoesOn:
        @pytest.fixture(scope="class", params=BACKENDS)
        def anyio_backend(self, request):
            return request.param

        @pytest.fixture(scope="class")
        async def loop(self, anyio_backend):
            yield

        @pytest.mark.anyio
        @pytest.mark.parametrize("number", [1, 2])
        async def test_in_one_loop(self, loop, number):
            report(await choose())


    @pytest.mark.anyio
    async def test_in_a_loop_of_its_own(anyio_backend):
        report(await choose())


    def test_in_two_loops():
        report(anyio.run(choose), anyio.run(choose))


    class TestOfUnittest(unittest.TestCase):
        def test_in_unittest(self):
            report(anyio.run(choose))


    class TestOfUnittestInALoop(unittest.IsolatedAsyncioTestCase):
        async def test_in_unittests_loop(self):
            report(await choose())


    class TestOfHypothesis:
        @examples
        @given(strategies.integers())
        def test_of_hypothesis(self, example):
            report(anyio.run(choose), anyio.run(choose))

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", BACKENDS)
        @examples
        @given(strategies.integers())
        async def test_of_hypothesis_in_a_loop(self, anyio_backend, example):
            report(await choose())
"""

HYPOTHESIS = {
    "test_of_hypothesis",
    "test_of_hypothesis_in_a_loop[asyncio]",
    "test_of_hypothesis_in_a_loop[trio]",
}


def choices(inner, *options):
    """Run the tests; returns what each has reported."""
    assert inner.run(CHOICES, *options, plugins=ANYIO).ret == pytest.ExitCode.OK
    reports = {}
    for line in (inner.path / "choices").read_text().splitlines():
        test, *chosen = line.split()
        reports.setdefault(test, []).append(tuple(chosen))
    (inner.path / "choices").unlink()
    return reports


def test_a_seed_repeats_the_choices(inner):
    """Of each test, whichever others run before it in the same loop or elsewhere."""
    everything = choices(inner, "--csp-seed=1")
    alone = choices(inner, "-o", "csp_seed=1", "-k", "2 or own or hypothesis or loops")
    others = choices(inner, "--csp-seed=2")
    assert 3 < len(alone) < len(everything) == len(others)
    assert alone == {test: everything[test] for test in alone}
    for test in everything:
        assert not {*everything[test]} & {*others[test]}
    check_variety(everything)


def check_variety(everything):
    """Each loop has choices of its own, save for Hypothesis, which repeats examples."""
    examples = {test: everything.pop(test) for test in HYPOTHESIS & everything.keys()}
    chosen = [one for reports in everything.values() for it in reports for one in it]
    assert len({*chosen}) == len(chosen) > 6
    for reports in examples.values():
        assert len(reports) == 3
        assert len({*reports}) == 1


FAILING = f"""{CHOOSE}

    def test_chooses():
        assert anyio.run(choose) == "nothing"


    def test_has_no_loop():
        assert False
"""


def test_a_failed_test_tells_its_seed(inner):
    """With that, it fails again in the same way."""
    output = inner.run(FAILING).stdout.str()
    [seed] = re.findall(r"-- csp --.*\n.*--csp-seed=(\d+)", output)
    assert f"csp: --csp-seed={seed} --csp-leaks=" in output
    # Once among the failures; where CI is set, once more in the summary.
    [failure] = {*re.findall(r"AssertionError: assert '\d+' == 'nothing'", output)}
    assert failure in inner.run(FAILING, f"--csp-seed={seed}").stdout.str()


def test_workers_of_xdist_are_given_the_seed(pytester):
    """They would draw one each; so the controller sends its own."""
    option = SimpleNamespace(csp_seed=77)
    node = SimpleNamespace(config=SimpleNamespace(option=option), workerinput={})
    _plugin.pytest_configure_node(node)
    pytester.makeconftest(
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        f"def pytest_configure(config): config.workerinput = {node.workerinput}\n"
    )
    result = pytester.runpytest_inprocess("-pcsp.testing")
    result.stdout.fnmatch_lines(["csp: --csp-seed=77 *"])


LEAKING = """
    import csp

    kept = []


    def test_leaks_both():
        kept.append(open(__file__))
        kept.append(ch := csp.Channel(1))
        ch.send_nowait(None)
"""


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["-o", "csp_leaks=none"], None),
        (["-o", "csp_leaks=none", "--csp-leaks=threads,channels"], "channels"),
    ],
)
def test_kinds_of_leaks_are_chosen_by_option(inner, options, kinds):
    """On the command line, or else in the ini file; all that there are by default."""
    outcomes = inner.outcomes(LEAKING, *options)
    expected = f"error: left behind: {kinds}\n" if kinds else ""
    assert outcomes["test_leaks_both"].startswith(expected)
    assert bool(outcomes["test_leaks_both"]) == bool(kinds)


@pytest.mark.parametrize(
    ("option", "mark", "words"),
    [
        ("--csp-seed=x", "slow", "*--csp-seed must be a whole number, not 'x'*"),
        ("--csp-leaks=task", "slow", "*--csp-leaks: 'task' is no kind*tasks, timers,*"),
        ("-q", "leaks('it')", "*::test_it: @pytest.mark.leaks: 'it' is no kind of*"),
        ("-q", "leaks", "*::test_it: @pytest.mark.leaks has to name kinds of leaks*"),
    ],
)
def test_wrong_options_are_refused(pytester, option, mark, words):
    """Before any test runs, and in words that tell what is right."""
    pytester.makepyfile(f"import pytest\n@pytest.mark.{mark}\ndef test_it(): pass\n")
    result = pytester.runpytest_inprocess("-pcsp.testing", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])


MIXED = """
    from importlib.util import find_spec

    import anyio
    import pytest
    from hypothesis import given, settings, strategies

    BACKENDS = [name for name in ("asyncio", "trio") if find_spec(name)]
    needs_trio = pytest.mark.skipif(not find_spec("pytest_trio"), reason="is missing")


    @pytest.fixture(params=BACKENDS)
    def anyio_backend(request, virtual_clock):
        return virtual_clock(request.param)


    @pytest.mark.anyio
    async def test_with_the_virtual_clock():
        await anyio.sleep(3600)
        assert 3600 <= anyio.current_time() < 3601


    @needs_trio
    @pytest.mark.trio
    async def test_with_trios_clock(autojump_clock):
        await anyio.sleep(3600)


    async def nap():
        await anyio.sleep(3600)


    @needs_trio
    @pytest.mark.trio
    async def test_in_trios_nursery(autojump_clock, nursery):
        nursery.start_soon(nap)
        await anyio.sleep(3600)


    @needs_trio
    @pytest.mark.trio
    @settings(max_examples=3, database=None)
    @given(strategies.integers())
    async def test_leaks_in_trios_examples(example):
        import trio

        trio.lowlevel.spawn_system_task(nap)


    def test_plain():
        pass
"""


@pytest.mark.parametrize(
    "plugins",
    [["csp.testing", *ANYIO, *TRIO], [*TRIO, *ANYIO, "csp.testing"]],
    ids=["first", "last"],
)
def test_the_order_of_plugins_does_not_matter(inner, plugins):
    """They all wrap the test function."""
    outcomes = inner.outcomes(MIXED, plugins=plugins)
    for name, trouble in outcomes.items():
        assert ("left behind: tasks\n  task" in trouble) == ("leaks" in name), trouble
        assert bool(trouble) == ("leaks" in name), trouble


def test_the_plugin_leaves_nothing_behind(pytester):
    """However a session ends."""
    before = _park.new_random, State.__init__, State.__del__
    pytester.makepyfile(
        "import pytest\n"
        "from csp import _park\n"
        "def test_exits(): pytest.exit(str(_park.new_random))\n"
    )
    result = pytester.runpytest_inprocess("-pcsp.testing")
    result.stdout.fnmatch_lines(["*Exit: <bound method Choices.*"])
    assert before == (_park.new_random, State.__init__, State.__del__)
