"""Does what users install have what it needs, and nothing about where it was made?"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.fixture(scope="module")
def installed_wheel(tmp_path_factory):
    """A folder with the contents of a freshly built wheel."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    pip = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir"]
    subprocess.run([*pip, folder, ROOT], check=True)
    [wheel] = folder.glob("anycsp-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_is_typed_and_only_csp(installed_wheel):
    assert (installed_wheel / "csp" / "py.typed").is_file()
    assert {path.name.split("-")[0] for path in installed_wheel.iterdir()} == {
        "csp",
        "anycsp",
    }


def test_the_wheel_imports(installed_wheel):
    # The folder goes first, before the editable install of this checkout.
    code = f"import sys; sys.path.insert(0, {str(installed_wheel)!r})\n"
    code += "import csp; print(csp.__file__)"
    run = [sys.executable, "-I", "-W", "error", "-c", code]
    output = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert Path(output.strip()).is_relative_to(installed_wheel)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.stem)
def test_requirements_name_no_host(path):
    text = path.read_text()
    assert not re.search(r"://|^\s*(-[^-]|--(?!hash))", text, re.MULTILINE)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.stem)
def test_each_requirement_has_an_exact_version_and_a_hash(path):
    for entry in re.split(r"\n(?=\w)", path.read_text())[1:]:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==", entry)
        assert "--hash=sha256:" in entry
