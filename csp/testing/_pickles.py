"""States of a model as bytes: a copy, and something to compare, in one.

Not all of a model is copied.  What it must find again itself is put aside, and only
named in the bytes: the items that calls bring and return, as they may be compared by
identity; classes, functions and sentinels; and each `Waiting`, which the search asks
how its call has ended.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from io import BytesIO
from types import FunctionType, ModuleType
from typing import Any

from ._history import Call
from ._model import Waiting

_COLLECTIONS = (list, tuple, set, frozenset, deque)
_PLAIN = (int, float, complex, str, bytes, type(None))
_UNIQUE = (type, FunctionType, ModuleType, Enum)


class Pickles:
    """Turns a model into bytes, and back."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.aside: list[object] = []
        self._places: dict[int, int] = {}  # there, by identity
        for call in calls:
            for item in _items([call.args, call.kwargs, call.result]):
                self.put_aside(item)

    def dump(self, model: object) -> bytes:
        """Return the state of a model."""
        file = BytesIO()
        try:
            _Pickler(file, self).dump(model)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise TypeError(
                f"{model!r} cannot be copied: {error}. Make models of plain data"
            ) from error
        return file.getvalue()

    def load(
        self, state: bytes, calls: Iterable[int]
    ) -> tuple[Any, dict[int, Waiting]]:
        """Return a model in that state, and the `Waiting` of each of `calls`."""
        waiting = {i: Waiting() for i in calls}
        for i, each in waiting.items():
            each._call = i
        return _Unpickler(BytesIO(state), self.aside, waiting).load(), waiting

    def put_aside(self, item: object) -> int:
        """Return the place at which `item` is from now on."""
        if id(item) not in self._places:
            self._places[id(item)] = len(self.aside)
            self.aside.append(item)
        return self._places[id(item)]

    def is_aside(self, item: object) -> bool:
        """Whether `item` is not to be copied."""
        if id(item) in self._places:
            return True
        return isinstance(item, _UNIQUE) or type(item) is object


def _items(value: Any) -> Iterator[object]:
    """Return the objects in `value` that are not plain data."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, _COLLECTIONS):
        for part in value:
            yield from _items(part)
    elif not isinstance(value, _PLAIN):
        yield value


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, pickles: Pickles) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._pickles = pickles

    def persistent_id(self, obj: object) -> tuple[str, int] | None:
        if type(obj) in _PLAIN:
            return None
        if isinstance(obj, Waiting):
            if obj._call is None:
                raise TypeError("a Waiting must be returned by the method that made it")
            return ("over", 0) if obj.over else ("waiting", obj._call)
        if self._pickles.is_aside(obj):
            return "aside", self._pickles.put_aside(obj)
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: BytesIO, aside: list[object], waiting: dict[int, Waiting]
    ) -> None:
        super().__init__(file)
        self._aside = aside
        self._waiting = waiting

    def persistent_load(self, name: tuple[str, int]) -> object:
        kind, number = name
        if kind == "aside":
            return self._aside[number]
        if kind == "waiting":
            return self._waiting[number]
        over = Waiting()
        over.over, over._call = True, number
        return over
