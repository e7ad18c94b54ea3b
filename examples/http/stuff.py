"""A resource in JSON: functions with types, which `marshaled` makes handlers of.

What is in a body, and what comes back, is checked against the classes; a client that
sends something else is told where it is wrong.
"""

from __future__ import annotations

from itertools import count
from typing import Annotated

import msgspec

from csp.net import http


class New(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    tags: list[str] = []


class Stuff(New):
    """What it gets."""

    id: int = 0


class Store:
    """All there is, in memory."""

    def __init__(self) -> None:
        self.all: dict[int, Stuff] = {}
        self.ids = count(1)

    async def create(self, new: New) -> http.Reply[Stuff]:
        """Keep something new."""
        made = Stuff(new.name, new.tags, next(self.ids))
        self.all[made.id] = made
        return http.Reply(made, 201, {"Location": f"/1.0/stuff/{made.id}"})

    async def search(self, tag: str | None = None) -> list[Stuff]:
        """Tell of all, or of those that have a tag."""
        return [one for one in self.all.values() if tag is None or tag in one.tags]

    async def get(self, id: int) -> Stuff:  # noqa: A002 - as it is in the pattern
        """Tell of one."""
        if id not in self.all:
            raise http.NotFound(f"there is no stuff {id}")
        return self.all[id]

    async def put(self, id: int, new: New) -> Stuff:  # noqa: A002
        """Replace one."""
        await self.get(id)
        self.all[id] = Stuff(new.name, new.tags, id)
        return self.all[id]

    async def delete(self, id: int) -> None:  # noqa: A002
        """Forget one."""
        await self.get(id)
        del self.all[id]

    def router(self) -> http.Router:
        """Return the routes of the collection, and of what is in it."""
        router = http.Router()
        router.handle("POST /stuff", http.marshaled(self.create))
        router.handle("GET /stuff", http.marshaled(self.search))
        router.handle("GET /stuff/{id:int}", http.marshaled(self.get))
        router.handle("PUT /stuff/{id:int}", http.marshaled(self.put))
        router.handle("DELETE /stuff/{id:int}", http.marshaled(self.delete))
        return router
