"""Whether a node sees the volumes of its destinations is known without a document that waits."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.place import LedgerPlace
from stages.delivery.markers import MARKER
from stages.delivery.peers import Peers
from stages.delivery.staging import NAME
from stages.delivery.volume_watch import VolumeWatch
from tests.helpers.documents import SUPPLIER, configured
from tests.helpers.invoices import ubl
from tests.helpers.writing import Bench

if sys.platform == "win32":
    pytest.skip("several nodes have not been tried on Windows", allow_module_level=True)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("instead", ["nothing", "another volume"])
async def test_a_volume_that_is_away_is_told_until_it_is_there_again(
    tmp_path: Path, place: LedgerPlace, instead: str
) -> None:
    folder = tmp_path / "out" / SUPPLIER / "out"
    never_known = tmp_path / "elsewhere"
    async with open_ledger(place, node="n1") as ledger:
        one = Bench(tmp_path / "n1", ledger, configured(tmp_path), Peers("n1", lambda _: False))
        destinations = one.write.destinations
        watch = VolumeWatch(ledger, one.lanes, destinations)
        await one.bring(ubl(), "1")
        await watch.look([folder, never_known])
        assert not destinations.troubles()
        (tmp_path / "out").rename(tmp_path / "unmounted")
        if instead == "another volume":
            marker = folder.parent / NAME / MARKER
            marker.parent.mkdir(parents=True)
            marker.write_text("4d0e6d3a-0000-4000-8000-000000000000\n")
        for _ in range(2):
            await watch.look([folder, never_known])
            ((told, trouble),) = destinations.troubles().items()
            assert told == folder
            said = "another volume is there" if instead == "another volume" else "is not there"
            assert said in trouble.reason
            assert "ount the volume" in trouble.remedy
        if instead == "another volume":
            marker.unlink()
            marker.parent.rmdir()
            marker.parent.parent.rmdir()
            (tmp_path / "out").rmdir()
        (tmp_path / "unmounted").rename(tmp_path / "out")
        await watch.look([folder, never_known])
        assert not destinations.troubles()
        assert not destinations.refused
        # What else is wrong with a folder only a document can tell to be over.
        destinations.record_folders(set(), {folder: OSError(errno.ENOSPC, "full")})
        await watch.look([folder])
        assert folder in destinations.troubles()
        one.lanes.close()
