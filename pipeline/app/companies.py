"""Companies of the configuration in force, as the page tells of them."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread

from pipeline.app.wiring import Config, company_folders
from pipeline.monitor.page.parts import Member, Members


class Companies:
    """Gives the companies; there may be thousands: made anew only for another configuration."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._made: tuple[Config | None, Members] = (None, Members())

    async def members(self) -> Members:
        """The companies; the same object as long as they are the same."""
        config = self._config()
        if self._made[0] is not config:
            self._made = (config, await anyio.to_thread.run_sync(_members, config))
        return self._made[1]


def _members(config: Config) -> Members:
    found: dict[str, Member] = {}
    for one in config.companies:
        before = found.get(one.identifier)
        sources = frozenset(membership.source for membership in one.memberships)
        folders = tuple(map(str, company_folders(config, one)))
        found[one.identifier] = Member(
            one.identifier,
            one.name,
            one.accounting_file_id,
            sources | (before.sources if before else frozenset()),
            tuple(dict.fromkeys((*(before.folders if before else ()), *folders))),
        )
    return Members(found)
