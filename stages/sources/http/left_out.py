"""Left-out items: what of the lists of a platform could not be read, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.source import UnreadableItems
from pipeline.text import FEW


class LeftOut:
    """What one walk over the lists leaves out because it can't be read."""

    def __init__(self) -> None:
        self._reasons: dict[str, Counter[str]] = {}

    def add(self, list_: str, items: Sequence[object]) -> None:
        """Count those items of a list that have a reason in their place."""
        for item in items:
            if isinstance(item, str):
                self._reasons.setdefault(list_, Counter())[item] += 1

    def lists(self) -> Sequence[UnreadableItems]:
        """Each list that had any, with the reasons."""
        return [
            UnreadableItems(
                list_, reasons.total(), [reason for reason, _ in reasons.most_common(FEW)]
            )
            for list_, reasons in self._reasons.items()
        ]
