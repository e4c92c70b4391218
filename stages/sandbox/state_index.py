"""State index: the states of a list's documents, a byte for each and a count for each block."""

from __future__ import annotations

from enum import IntEnum
from itertools import islice

BLOCK = 1024


class State(IntEnum):
    """What the platform knows of a document: not acknowledged yet, acknowledged, or refused."""

    PENDING = 0
    ACKED = 1
    NACKED = 2


class StateIndex:
    """The states of a list's documents by position; finds the k-th in a state by its blocks."""

    def __init__(self) -> None:
        self._states = bytearray()
        self._counts: dict[State, list[int]] = {state: [] for state in State}

    def __len__(self) -> int:
        return len(self._states)

    def extend_to(self, length: int) -> None:
        """Append pending documents."""
        before = len(self._states)
        self._states.extend(bytes(length - before))
        blocks = -(-length // BLOCK)
        for counts in self._counts.values():
            counts.extend([0] * (blocks - len(counts)))
        waiting = self._counts[State.PENDING]
        for block in range(before // BLOCK, blocks):
            start = max(before, block * BLOCK)
            waiting[block] += min(length, (block + 1) * BLOCK) - start

    def state(self, position: int) -> State:
        """The state of one document."""
        return State(self._states[position])

    def set_state(self, position: int, state: State) -> None:
        """Put a document into a state."""
        block = position // BLOCK
        self._counts[self.state(position)][block] -= 1
        self._counts[state][block] += 1
        self._states[position] = state

    def count(self, state: State | None) -> int:
        """How many are in a state, or in any."""
        return len(self) if state is None else sum(self._counts[state])

    def select(self, state: State | None, start: int, count: int) -> list[int]:
        """The positions of documents in a state, or in any: at most count, from the start-th on."""
        if state is None:
            return list(range(start, min(start + count, len(self))))
        found: list[int] = []
        for block, held in enumerate(self._counts[state]):
            if len(found) == count:
                break
            if start < held:
                found += islice(self._in_block(block, state), start, start + count - len(found))
            start = max(0, start - held)
        return found

    def _in_block(self, block: int, state: State) -> list[int]:
        first = block * BLOCK
        states = self._states[first : first + BLOCK]
        return [first + offset for offset, one in enumerate(states) if one == state]
