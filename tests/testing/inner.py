"""Running pytest with the plugin, on tests of a project of their own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parent.parent.parent

ANYIO = ["anyio", "hypothesispytest"]
TRIO = ["pytest_trio.plugin"] if find_spec("pytest_trio") else []


class Inner:
    """A project of one file, which pytest runs with the plugin and those named."""

    def __init__(self, pytester, monkeypatch):
        self.path = pytester.path
        self._pytester = pytester
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(self, text, *options, plugins=()):
        """Run the tests in `text`; returns pytest's own result."""
        (self.path / "test_inner.py").write_text(dedent(text))
        if "csp.testing" not in plugins:
            plugins = [*plugins, "csp.testing"]
        return self._pytester.runpytest_subprocess(
            "--disable-plugin-autoload", *(f"-p{name}" for name in plugins), *options
        )

    def outcomes(self, text, *options, plugins=()):
        """Run the tests in `text`; returns what was wrong with each, "" if nothing.

        Those that were skipped are left out.
        """
        self.result = self.run(text, "--junitxml=xml", *options, plugins=plugins)
        troubles = {}
        for case in ET.parse(self.path / "xml").iter("testcase"):
            tags = {child.tag: f"{child.tag}: {child.text}" for child in case}
            if "skipped" not in tags:
                tags.pop("properties", None)
                troubles[case.get("name")] = "\n".join(tags.values())
        return troubles
