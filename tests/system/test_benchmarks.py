"""The benchmarks' plumbing at tiny sizes: what is measured is real, what is written can be read.

No timing is looked at.
"""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64decode
from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path

import anyio
import pytest
from lxml import etree
from pypdf import PdfReader
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import delivered, plot, table
from benchmarks.__main__ import app
from benchmarks.dataset import LISTS, Item, render
from benchmarks.failure import BenchmarkError
from benchmarks.inside import Clock
from benchmarks.measure import Figure, Run, alternate, execute, figure, ratio
from benchmarks.report import STANDING_COLUMNS, Report, standing_rows, standings
from benchmarks.scenarios import SCENARIOS
from benchmarks.scenarios.durable import file_system
from tests.helpers.benchmarking import DOCUMENTS, needs_memory, needs_nginx, run_of
from tests.helpers.sampling import IN_CI

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


def benchmark(*arguments: object) -> None:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_rendered_documents_are_whole_and_of_the_sizes_that_were_asked_for(cache: Path) -> None:
    dataset = render(cache, 300, 2, seed=1)
    assert len(dataset.items) == 300
    assert {item.path.partition("/")[0] for item in dataset.items} == set(LISTS.values())
    for item in dataset.items:
        data = (dataset.root / "v4" / item.path).read_bytes()
        assert (len(data), sha256(data).hexdigest()) == (item.size, item.sha256)
        if not item.path.startswith("bank-statements"):
            for embedded in etree.fromstring(data).iterfind(".//{*}EmbeddedDocumentBinaryObject"):
                assert (
                    len(PdfReader(BytesIO(b64decode(embedded.text or "")), strict=True).pages) == 1
                )
    median = sorted(item.size for item in dataset.items)[150]
    assert 12_000 < median < 18_000


def test_what_is_rendered_once_is_found_again(cache: Path) -> None:
    first = render(cache, DOCUMENTS, 2, seed=1)
    marker = first.root / "v4" / first.items[0].path
    before = marker.stat().st_mtime_ns
    assert render(cache, DOCUMENTS, 2, seed=1).items == first.items
    assert marker.stat().st_mtime_ns == before
    assert render(cache, DOCUMENTS, 2, seed=2).items != first.items


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def contender(name: str) -> Run:
        order.append(name)
        return run_of(len(order))

    results = alternate(
        {name: (lambda name=name: contender(name)) for name in "AB"},  # type: ignore[misc]
        2,
        lambda _: None,
    )
    assert order == ["A", "B", "A", "B"]
    assert [run.seconds for run in results["B"]] == [2, 4]


def test_a_ratio_is_taken_within_each_round() -> None:
    # The second round was three times as slow for both: it says the same.
    assert ratio([2.0, 6.0], [1.0, 3.0]) == Figure(2.0, 2.0, 2.0)
    assert figure([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)
    found = standings({"ours": [run_of(1), run_of(4)], "theirs": [run_of(2), run_of(2)]}, "ours")
    assert found[1].times == Figure(1.25, 0.5, 2.0)
    assert found[1].cpu == Figure(20_000, 20_000, 20_000)
    assert found[1].cpu_times == Figure(1.25, 0.5, 2.0)
    assert standing_rows(found)[0][3:5] == ("1 (1-1)", "1 (1-1)")


def test_a_process_is_measured_and_its_failure_told(tmp_path: Path) -> None:
    hold = "held = bytearray(200_000_000); import time; time.sleep(1)"
    run = execute([sys.executable, "-c", hold], folder=tmp_path, documents=1)
    assert run.peak > 200_000_000
    assert execute([sys.executable, "-c", "pass"], folder=tmp_path, documents=1).peak < 100_000_000
    with pytest.raises(BenchmarkError, match="out of luck"):
        execute(
            [sys.executable, "-c", "raise SystemExit('out of luck')"], folder=tmp_path, documents=1
        )


def test_a_run_that_did_not_deliver_is_an_error(tmp_path: Path) -> None:
    contents = [b"one", b"three"]
    items = [Item(str(n), len(c), sha256(c).hexdigest()) for n, c in enumerate(contents)]

    def deliver(files: Sequence[bytes]) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for number, content in enumerate(files):
            (folder / str(number)).write_bytes(content)
        return folder

    delivered.check(deliver(contents), items)
    for wrong, why in (
        ([b"one"], "1 files for 2 documents"),
        ([b"one", b"thre"], "sizes"),
        ([b"eno", b"three"], "none of the documents"),
    ):
        with pytest.raises(BenchmarkError, match=why):
            delivered.check(deliver(wrong), items)


@pytest.mark.parametrize("scenario", ("peers", "far", "backpressure") if IN_CI else SCENARIOS)
@needs_nginx
@needs_memory
@pytest.mark.slow
def test_a_scenario_writes_its_table_json_and_charts(
    scenario: str, cache: Path, tmp_path: Path
) -> None:
    disk = Path.cwd() / "build" / "test-disk"
    if scenario == "durable" and file_system(disk) in ("tmpfs", "ramfs"):
        pytest.skip("the working folder is in memory, and a disk is to be measured")
    benchmark(
        *(scenario, "--documents", DOCUMENTS, "--runs", 1, "--companies", 2),
        *("--sizes", "10", "--ledger-rows", 100, "--large", DOCUMENTS, "--folder", tmp_path / "f"),
        *("--output", tmp_path, "--cache", cache, "--disk", disk),
    )
    written = json.loads((tmp_path / f"{scenario}.json").read_text())
    assert written["scenario"] == scenario
    assert written["rows"]
    assert all(len(row) == len(written["columns"]) for row in written["rows"])
    assert {"processor", "cores", "python", "nginx"} <= set(written["machine"])
    charts = list(tmp_path.glob("*.svg"))
    assert charts
    for chart in charts:
        assert etree.parse(chart).getroot().tag == f"{SVG}svg"


def test_an_unknown_scenario_is_refused() -> None:
    done = CliRunner().invoke(app, ["pears"])
    assert done.exit_code == 2
    assert "pears" in done.output


def test_bars_are_as_long_as_their_values() -> None:
    drawing = etree.fromstring(
        plot.bars("A & B", "per second", {"<a>": Figure(50, 40, 60), "b": Figure(100, 90, 110)})
    )
    lengths = [float(bar.get("width", "")) for bar in drawing.iterfind(f"{SVG}rect[@height='18']")]
    assert lengths[1] == pytest.approx(2 * lengths[0], rel=0.01)
    texts = [text.text for text in drawing.iterfind(f"{SVG}text")]
    assert {"A & B", "<a>", "per second", "50", "100"} <= set(texts)


def test_lines_go_through_their_points() -> None:
    drawing = etree.fromstring(
        plot.lines("t", "seconds", "documents", {"a": [(0, 0), (1, 10)], "b": [(1, 5)]})
    )
    first, second = (line.get("points", "") for line in drawing.iterfind(f"{SVG}polyline"))
    (left, floor), (right, top) = (map(float, point.split(",")) for point in first.split())
    x, y = map(float, second.split(","))
    assert (x, y) == (right, pytest.approx((floor + top) / 2))
    assert left < right
    assert plot.lines("empty", "x", "y", {})


def test_the_table_has_every_row_and_note() -> None:
    found = standings({"ours": [run_of(1)], "theirs": [run_of(2)]}, "ours")
    console = Console(record=True, width=120, file=StringIO())
    report = Report("s", "The title", STANDING_COLUMNS, standing_rows(found), {}, {}, ("a note",))
    table.show(console, report)
    said = console.export_text()
    for expected in ("The title", "theirs", "2 (2-2)", "a note", STANDING_COLUMNS[3]):
        assert expected in said


@pytest.mark.anyio
async def test_the_clock_counts_work_for_who_does_it_and_waiting_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("benchmarks.inside.time.thread_time", lambda: now)
    clock = Clock()

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def passing_time() -> None:
        work(100)

    async def child() -> None:
        work(4)

    async def outer() -> str:
        # While it waits, another task works, whose time is not its own.
        await waited.wait()
        work(1)
        await clock.timed("inner", inner)()
        async with anyio.create_task_group() as group:
            group.start_soon(child)
        return "done"

    async def inner() -> None:
        work(2)

    async def release() -> None:
        await passing_time()
        waited.set()

    waited = anyio.Event()
    loop = asyncio.get_running_loop()
    loop.set_task_factory(clock.new_task)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(release)
            assert await clock.timed("outer", outer)() == "done"
    finally:
        loop.set_task_factory(None)
    assert clock.spent == {"outer": 5.0, "inner": 2.0}
