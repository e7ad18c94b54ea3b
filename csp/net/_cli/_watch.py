"""Which files matter: a change of one of them starts the program again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

# As of uvicorn; to both, the user's own are added.
_INCLUDED = ("*.py",)
_EXCLUDED = (".*", ".py[cod]", ".sw.*", "~*", "__pycache__")


class Files:
    """The files in some directories that patterns include, and none exclude.

    A pattern is compared with the end of a file's path in its directory: *.html with
    its name, templates/*.html with that and where it is.  One that excludes may match a
    directory on the way as well.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> None:
        self._roots = [*roots]
        self._include = [*_INCLUDED, *include]
        self._exclude = [*_EXCLUDED, *exclude]

    def __call__(self, change: object, path: str) -> bool:
        """Tell whether a change of this file matters, as watchfiles asks."""
        return any(
            self._matters(Path(path).relative_to(root))
            for root in self._roots
            if Path(path).is_relative_to(root)
        )

    def _matters(self, path: Path) -> bool:
        return any(map(path.match, self._include)) and not any(
            path.match(pattern) or any(fnmatch(part, pattern) for part in path.parts)
            for pattern in self._exclude
        )
