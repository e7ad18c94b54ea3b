"""The command line: python -m csp.net module:app [ADDRESS ...]"""

import sys

from csp.net._cli import main

if __name__ == "__main__":
    sys.exit(main())
