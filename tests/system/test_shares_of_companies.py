"""The companies of a source share its connections: one for which all hangs keeps none waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.app.wiring import load_config
from pipeline.app.wiring_sandbox import serve_platform
from stages.sandbox import Mailbox, Served
from stages.sandbox.configuration import write_config_of_all
from stages.sandbox.state_index import State
from tests.helpers.one_company import HangsFor, with_settings
from tests.helpers.services import often, running, until

pytestmark = pytest.mark.anyio

CONNECTIONS = 4
KINDS = ("list", "document", "acknowledgement")


def files(folder: Path, mailbox: Mailbox, company: int) -> int:
    """How many documents of a company have been delivered."""
    number = mailbox.companies[company].identifier.removeprefix("BE")
    found = [one for one in (folder / "out").glob("*") if one.name.endswith(number)]
    return sum(path.is_file() for one in found for path in one.rglob("*.xml"))


class World:
    """A sandbox, and a service that polls it often. hanging: companies for which it hangs."""

    def __init__(self, folder: Path, mailbox: Mailbox, faults: HangsFor) -> None:
        self.folder = folder
        self.mailbox = mailbox
        self.faults = faults

    def of_others(self) -> Callable[[], bool]:
        hanging = self.mailbox.companies[: self.faults.count]
        return lambda: all(
            self.mailbox.state(one) is not State.PENDING
            for one in self.mailbox
            if one.company not in hanging
        )

    async def run(
        self,
        kind: str,
        options: Mapping[str, str] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        path = self.folder / "synqup.toml"
        async with serve_platform(
            kind, self.mailbox, dict(options or {}), faults=self.faults
        ) as sandbox:
            served = Served(sandbox, self.mailbox)
            self.faults.know(served)
            write_config_of_all(path, [served])
            with_settings(
                path, kind, connections=CONNECTIONS, first_byte_timeout='"1h"', **(settings or {})
            )
            async with running(often(load_config(path))):
                await until(self.of_others())
                assert self.faults.hit
                # And what comes later.
                self.mailbox.grow(30)
                await until(self.of_others())
                hanging = self.mailbox.companies[: self.faults.count]
                assert any(
                    self.mailbox.state(one) is State.PENDING
                    for one in self.mailbox
                    if one.company in hanging
                )
                self.faults.release()
                await until(
                    lambda: all(
                        self.mailbox.state(one) is not State.PENDING for one in self.mailbox
                    )
                )
        assert self.faults.most <= CONNECTIONS


@pytest.mark.parametrize("asked", KINDS)
@pytest.mark.parametrize(("companies", "hanging"), [(2, 1), (3, 2), (30, 1), (30, 3)])
async def test_companies_for_which_billtobox_hangs_keep_no_other_waiting(
    tmp_path: Path, asked: str, companies: int, hanging: int
) -> None:
    mailbox = Mailbox(10 * companies, companies, seed=1)
    await World(tmp_path, mailbox, HangsFor([asked], hanging)).run("billtobox")
