"""A fixture for tests that differ by how a task is cancelled."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["scope", "native"])
def how(request: pytest.FixtureRequest, backend: str) -> str:
    """How jobs are cancelled."""
    if request.param == "native" and backend == "trio":
        pytest.skip("trio has scopes alone")
    return request.param  # type: ignore[no-any-return]
