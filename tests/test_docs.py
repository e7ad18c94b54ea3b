"""Do the programs in the documentation run, and print what it says they print?

In README.md and docs/, each block marked python is a program.  It may await at its top
level, as in `python -m asyncio`.  The block marked text below it is what it prints; if
there is none, it prints nothing.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import csp

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BACKENDS = [name for name in ("asyncio", "uvloop", "trio") if find_spec(name)]

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


class Program(NamedTuple):
    """A program in a page, and what it prints."""

    page: Path
    line: int
    code: str
    output: str

    def __str__(self):
        return f"{self.page.name}:{self.line}"


def programs_in(page):
    """Return the programs of a page; their lines have the numbers of the page's."""
    text = page.read_text()
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("code"))
        code = "\n" * line + block["code"]
        yield Program(page, line + 1, code, block["output"] or "")


PROGRAMS = [program for page in PAGES for program in programs_in(page)]


def execute(file, code, namespace):
    """Run a program, in an event loop if it awaits at its top level."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code, file, "exec", flags, dont_inherit=True)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        exec(compiled, namespace)
        return

    async def main():
        await eval(compiled, namespace)

    csp.run(main)


# What a program needs, if it has such a line.
NEEDS = {
    r"^from csp\.net(\.http| import .*\bhttp\b)": "httptools",
    r"^from starlette": "starlette",
}


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Let `csp.run` take another loop than asyncio's if none is named."""
    monkeypatch.setattr(csp, "run", partial(csp.run, backend=request.param))


def test_every_program_is_found():
    """None hides behind a fence that is not closed, or not at the left margin."""
    fences = sum(page.read_text().count("```python") for page in PAGES)
    assert len(PROGRAMS) == fences > 0


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_program_prints_what_the_page_says(program, backend, capsys):
    """On every event loop."""
    for line, package in NEEDS.items():
        if re.search(line, program.code, re.MULTILINE):
            pytest.importorskip(package)
    execute(str(program.page), program.code, {"__name__": "__main__"})
    assert capsys.readouterr().out == program.output


PUBLIC = {name: item for name, item in vars(csp).items() if not name.startswith("_")}


def examples_in_docstrings():
    """Return those examples in docstrings that are programs, and need only csp."""
    objects = dict(PUBLIC)
    for name, item in PUBLIC.items():
        if inspect.isclass(item):
            methods = inspect.getmembers(item, inspect.isfunction)
            objects |= {f"{name}.{key}": method for key, method in methods}
    for name, item in objects.items():
        text = inspect.cleandoc(item.__doc__ or "") + "\n"
        blocks = re.findall(r"(?:^ {4}.*\n|^\n)+", text, re.MULTILINE)
        for code in map(inspect.cleandoc, blocks):
            if is_complete(code):
                yield pytest.param(code, id=name)
    # The package's own docstring is its title, and then a program.
    yield pytest.param(csp.__doc__.partition("\n\n")[2], id="csp")


def is_complete(code):
    """Whether this is a program, and all names in it are its own or csp's."""
    try:
        nodes = [*ast.walk(ast.parse(code))]
    except SyntaxError:
        return False
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {name.id for name in names if isinstance(name.ctx, ast.Load)}
    made = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    made |= {node.name for node in nodes if isinstance(node, ast.AsyncFunctionDef)}
    return bool(used) and used <= made | {"csp", *PUBLIC, *vars(builtins)}


EXAMPLES = list(examples_in_docstrings())


def test_examples_in_docstrings_are_found():
    """Those that are whole programs, as a few are known to be."""
    assert {"csp", "Channel", "run"} <= {example.id for example in EXAMPLES}


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_in_a_docstring_runs(code, backend, capsys):
    """On every event loop; and it shows something."""
    execute("docstring", code, {"csp": csp, **PUBLIC})
    assert capsys.readouterr().out


LINK = re.compile(r"\[[^]]*\]\((?P<path>[^)#:]*)(?:#(?P<heading>[^)]+))?\)")


def prose_of(page):
    """Return the text of a page without its code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]+`", "", text)


def headings_of(page):
    """Return the headings of a page, as links spell them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page):
    """To a file that is there, and to a heading in it."""
    for link in LINK.finditer(prose_of(page)):
        target = page.parent / link["path"] if link["path"] else page
        assert target.exists(), link[0]
        assert not link["heading"] or link["heading"] in headings_of(target), link[0]


PROMISE = re.compile(r"`(?P<file>test_\w+\.py)::(?P<test>test_\w+)`")


def test_each_promise_of_the_server_has_its_test():
    """Under the name that the page gives."""
    page = (ROOT / "docs" / "server-behaviour.md").read_text()
    promises = PROMISE.findall(page)
    assert len(promises) == page.count("\n| ") - page.count("| promise | test |")
    for file, test in promises:
        pages = [path.read_text() for path in (ROOT / "tests").rglob(file)]
        assert any(f"def {test}(" in text for text in pages), (file, test)
