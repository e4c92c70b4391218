"""What the ledger of a world of tests/crash says about its documents."""

from __future__ import annotations

import json
from pathlib import Path

from tests.crash.world import World


def waiting(world: World) -> list[dict[str, str]]:
    assert world.synqup("status", "--json") == 0, world.said()
    found: list[dict[str, str]] = json.loads(world.said())["waiting"]
    return found


def in_state(world: World, state: str) -> int:
    """How many documents the ledger holds in a state."""
    assert world.synqup("status", "--json") == 0, world.said()
    counts = json.loads(world.said())["counts"]
    return sum(one["documents"] for one in counts if one["state"] == state)


def victims_of(world: World, company: int = 0) -> set[str]:
    identifier = world.mailbox.companies[company].identifier
    return {one["id"] for one in world.manifest if one["company"] == identifier}


RENAMES = ("renameat2", "rename", "link", "linkat")


def temporary(world: World) -> list[Path]:
    return list((world.state / "staging").iterdir())
