"""A document whose files another program holds is tried again for two seconds, then it waits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.document import Sidecar
from pipeline.errors import RetryableError
from pipeline.held import HELD, PAUSES
from pipeline.ledger.models import State
from pipeline.long_paths import StrPath
from pipeline.payload import Payload
from stages.delivery import publish as publishing, publish_group
from stages.delivery.rename import rename_exclusively
from tests.helpers.holding import held
from tests.helpers.invoices import ubl
from tests.helpers.writing import bench

pytestmark = pytest.mark.anyio

PDF = Sidecar("pdf", Payload(5, "", b"%PDF-"))


class Scanner:
    """Holds files of some names for so many tries each."""

    def __init__(self, times: int, *names: str, code: int = 32) -> None:
        self.times = times
        self.names = names
        self.code = code
        self.tries: Counter[str] = Counter()
        self.renamed: list[str] = []

    def __call__(self, source: StrPath, target: StrPath) -> None:
        name = Path(target).name
        self.tries[name] += 1
        if name in self.names and self.tries[name] <= self.times:
            raise held(self.code)
        rename_exclusively(source, target)
        self.renamed.append(name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_group, "PAUSES", [0.0] * len(PAUSES))


def scanned(monkeypatch: pytest.MonkeyPatch, scanner: Scanner) -> Scanner:
    monkeypatch.setattr(publishing, "rename_exclusively", scanner)
    return scanner


@pytest.mark.parametrize("code", sorted(HELD))
@pytest.mark.parametrize("times", [1, 3, len(PAUSES)])
@pytest.mark.parametrize("name", ["F-1.xml", "F-1.pdf"])
async def test_it_is_delivered_once_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, times: int, code: int
) -> None:
    scanner = scanned(monkeypatch, Scanner(times, name, code=code))
    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(PDF,))
        (result,) = await one.work(document)
        assert not isinstance(result, Exception)
        assert await one.state(document) is State.DELIVERED
        assert one.files() == ["F-1.pdf", "F-1.xml"]
    assert scanner.renamed == ["F-1.pdf", "F-1.xml"], "the PDF is not taken back in between"


@pytest.mark.parametrize("name", ["F-1.xml", "F-1.pdf"])
async def test_held_for_longer_it_waits_and_the_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scanner = scanned(monkeypatch, Scanner(1000, name))
    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(PDF,))
        other = await one.make(ubl().replace("F-1", "F-2"), "2")
        waiting, delivered = await one.work(document, other)
        assert isinstance(waiting, RetryableError)
        assert not isinstance(delivered, Exception)
        assert one.files() == ["F-2.xml"], "the PDF is taken back"
        assert scanner.tries[name] == 1 + len(PAUSES)
        scanner.names = ()
        (result,) = await one.work(document)
        assert not isinstance(result, Exception)
        assert one.files() == ["F-1.pdf", "F-1.xml", "F-2.xml"]


async def test_a_name_that_is_taken_meanwhile_gives_way_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(PDF,))
        folder = await _folder(one.work, document)

        class Taking(Scanner):
            def __call__(self, source: StrPath, target: StrPath) -> None:
                if self.tries["F-3.xml"] == 1:
                    (folder / "F-3.xml").write_text("somebody's")
                super().__call__(source, target)

        scanned(monkeypatch, Taking(1, "F-3.xml"))
        third = structs.replace(await one.make(ubl().replace("F-1", "F-3"), "3"), sidecars=(PDF,))
        (result,) = await one.work(third)
        assert not isinstance(result, Exception)
        assert (folder / "F-3.xml").read_text() == "somebody's"
        assert one.files() == ["F-1.pdf", "F-1.xml", "F-3-2.pdf", "F-3-2.xml", "F-3.xml"]


async def _folder(work: object, document: object) -> Path:
    (result,) = await work(document)  # type: ignore[operator]
    return Path(result.meta.path).parent
