"""The schemas of all types in a document, made together.

Types with one name in different modules get names that differ, and those that refer to
one another are found only once.  That takes all types at once: so whoever asks for a
schema gets a dict that is filled at the end.
"""

from __future__ import annotations

from typing import Any

import msgspec

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"


class Schemas:
    """The schemas that a document refers to."""

    def __init__(self) -> None:
        self._wanted: list[tuple[Any, Schema]] = []

    def of(self, type_: Any, **more: Any) -> Schema:
        """Return what will be the schema of a type; `more` is added to it."""
        schema: Schema = more
        self._wanted.append((type_, schema))
        return schema

    def finish(self) -> dict[str, Schema]:
        """Fill in all that was asked for; returns what it refers to, by name."""
        types = [type_ for type_, _ in self._wanted]
        made, named = msgspec.json.schema_components(
            types, schema_hook=_of_unknown, ref_template=_REFERENCE
        )
        for (_, schema), content in zip(self._wanted, made, strict=True):
            schema.update({**content, **schema})
        return named


def _of_unknown(type_: type) -> Schema:
    """Return a schema of a type that only its decoder knows: it allows anything."""
    return {"title": type_.__name__}
