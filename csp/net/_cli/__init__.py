"""The command line: python -m csp.net module:app [ADDRESS ...]"""

from ._main import main as main
