"""The companies of a source share its connections: one for which all hangs keeps none waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from pipeline.app.wiring import Config, load_config
from pipeline.app.wiring_sandbox import serve_platform
from stages.sandbox import Mailbox, Served
from stages.sandbox.companies import Company
from stages.sandbox.configuration import write_config_of_all
from stages.sandbox.state_index import State
from tests.helpers.bringing import bring
from tests.helpers.one_company import HangsFor, with_settings
from tests.helpers.services import often, running, until

pytestmark = pytest.mark.anyio

CONNECTIONS = 4
KINDS = ("list", "document", "acknowledgement")


class World:
    """A sandbox that hangs for some companies, and a service that polls it often."""

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

    async def run(self, kind: str) -> None:
        async with serve_platform(kind, self.mailbox, faults=self.faults) as sandbox:
            config = configured(self.folder, kind, Served(sandbox, self.mailbox))
            async with running(often(config)):
                await until(self.of_others())
                assert self.faults.hit
                # And what comes later.
                self.mailbox.grow(30)
                await until(self.of_others())
                assert pending(self.mailbox)
                self.faults.release()
                await until(lambda: not pending(self.mailbox))
        assert self.faults.most <= CONNECTIONS


@pytest.mark.parametrize("asked", KINDS)
@pytest.mark.parametrize(("companies", "hanging"), [(2, 1), (3, 2), (30, 1), (30, 3)])
async def test_companies_for_which_billtobox_hangs_keep_no_other_waiting(
    tmp_path: Path, asked: str, companies: int, hanging: int
) -> None:
    mailbox = Mailbox(10 * companies, companies, seed=1)
    await World(tmp_path, mailbox, HangsFor([asked], hanging)).run("billtobox")


def delivered(folder: Path) -> Counter[str]:
    """How many files each company has, by the name of its folder."""
    return Counter(
        path.relative_to(folder / "out").parts[0]
        for path in (folder / "out").rglob("*")
        if path.is_file()
    )


def pending(mailbox: Mailbox, without: Collection[Company] = ()) -> set[str]:
    return {
        one.id
        for one in mailbox
        if mailbox.state(one) is State.PENDING and one.company not in without
    }


def configured(folder: Path, kind: str, served: Served) -> Config:
    path = folder / "synqup.toml"
    write_config_of_all(path, [served])
    with_settings(path, kind, connections=CONNECTIONS, first_byte_timeout='"1h"')
    return load_config(path)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("einvoice_be", "list"),
        ("einvoice_be", "document"),
        ("peppyrus", "list"),
        ("peppyrus", "document"),
        ("peppyrus", "acknowledgement"),
        ("scrada", "acknowledgement"),
        ("recommand", "document"),
        ("billit", "acknowledgement"),
        ("codabox", "document"),
    ],
)
async def test_companies_for_which_another_platform_hangs_keep_no_other_waiting(
    tmp_path: Path, kind: str, asked: str
) -> None:
    well, ill = Mailbox(60, 6, seed=1), Mailbox(60, 6, seed=1)
    async with serve_platform(kind, well) as sandbox:
        await bring(configured(tmp_path / "well", kind, Served(sandbox, well)))
    hanging = well.companies[:2]
    endings = tuple(one.identifier.removeprefix("BE") for one in hanging)
    all_files = delivered(tmp_path / "well")
    files = {one: count for one, count in all_files.items() if not one.endswith(endings)}
    assert files
    faults = HangsFor([asked], 2)

    def are_there() -> bool:
        came = delivered(tmp_path / "ill")
        is_told = pending(ill, hanging) == pending(well, hanging)
        return is_told and all(came[one] == files[one] for one in files)

    def are_all_there() -> bool:
        return delivered(tmp_path / "ill") == all_files and pending(ill) == pending(well)

    async with serve_platform(kind, ill, faults=faults) as sandbox:
        faults.know(Served(sandbox, ill))
        async with running(often(configured(tmp_path / "ill", kind, Served(sandbox, ill)))):
            await until(are_there)
            assert faults.hit
            faults.release()
            await until(are_all_there)
    assert faults.most <= CONNECTIONS
