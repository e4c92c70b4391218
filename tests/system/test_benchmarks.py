"""The benchmarks' plumbing at tiny sizes: what is measured is real, what is written can be read.

No timing is looked at.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import time
from base64 import b64decode
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from urllib.request import Request, urlopen

import anyio
import pytest
from lxml import etree
from msgspec import structs
from pypdf import PdfReader
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import delivered, plot, table
from benchmarks.__main__ import app
from benchmarks.dataset import LISTS, PAGE, Dataset, Item, render
from benchmarks.failure import BenchmarkError
from benchmarks.inside import Clock
from benchmarks.measure import Figure, Run, alternate, execute, figure, ratio
from benchmarks.peers import PEERS, SAME_WORK, Peer, aria2c, same_work
from benchmarks.report import STANDING_COLUMNS, Report, standing_rows, standings
from benchmarks.scenarios import SCENARIOS, far
from benchmarks.scenarios.durable import file_system
from benchmarks.server import serve
from benchmarks.workplace import run_peer

DOCUMENTS = 40
SVG = "{http://www.w3.org/2000/svg}"

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path="/usr/bin:/usr/local/bin:/usr/sbin:/usr/local/sbin") is None,
    reason="nginx is not installed here",
)
needs_memory = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no /dev/shm here")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


def benchmark(*arguments: object) -> None:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def run_of(seconds: float) -> Run:
    return Run(documents=100, seconds=seconds, cpu=seconds, peak=1_000_000)


def with_other_checksums(dataset: Dataset) -> Dataset:
    other = sha256(b"").hexdigest()
    return structs.replace(
        dataset, items=[Item(one.path, one.size, other) for one in dataset.items]
    )


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


@needs_nginx
def test_the_server_speaks_the_wire_format(cache: Path) -> None:
    dataset = render(cache, 300, 2, seed=1)
    owner = dataset.mailbox.companies[0].platform_id
    with serve(dataset.root) as server:

        def page(number: int, size: int = PAGE) -> dict[str, object]:
            query = f"page={number}&size={size}&accounting_status=TO_BE_FETCHED&platform_id={owner}"
            with urlopen(f"{server.url}/purchase-invoices?{query}") as answer:
                read: dict[str, object] = json.load(answer)
                return read

        first, second, past = page(0), page(1), page(2)
        assert isinstance(first["results"], list)
        assert isinstance(second["results"], list)
        assert len(first["results"]) == PAGE
        assert len(first["results"]) + len(second["results"]) == first["total"]
        assert past["results"] == []
        assert page(0, size=1)["total"] == first["total"]
        listed = first["results"][0]
        with urlopen(f"{server.url}/purchase-invoices/{listed['id']}") as answer:
            assert answer.headers["Content-Type"] == "application/xml"
            assert sha256(answer.read()).hexdigest() == listed["sha256"]
        told = Request(
            f"{server.url}/purchase-invoices/{listed['id']}/accounting-status",
            data=b'{"status": "FORWARDED"}',
            method="PUT",
        )
        with urlopen(told) as answer:
            assert answer.status == 204
        before = server.requests()
        page(0)
        assert server.requests() == before + 2
        with urlopen(Request(server.token_url, data=b"grant_type=client_credentials")) as answer:
            assert json.load(answer)["access_token"]


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


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@needs_nginx
def test_a_peer_brings_all_documents(cache: Path, tmp_path: Path, peer: Peer) -> None:
    if not peer.is_here:
        pytest.skip(f"{peer.program} is not installed here")
    dataset = render(cache, DOCUMENTS, 2, seed=1)
    with serve(dataset.root) as server:
        assert run_peer(peer, tmp_path, dataset, server.url).documents == DOCUMENTS


@needs_nginx
def test_a_far_server_answers_the_same_later(cache: Path) -> None:
    dataset = render(cache, DOCUMENTS, 2, seed=1)
    item = dataset.items[0]
    with serve(dataset.root) as near, serve(dataset.root, latency=0.05) as far:
        owner = dataset.mailbox.companies[0].platform_id
        page = f"/v4/purchase-invoices?page=0&size={PAGE}&platform_id={owner}"
        for path, method in (
            (f"/v4/{item.path}", "GET"),
            (page, "GET"),
            (f"/v4/{item.path}/accounting-status", "PUT"),
            ("/auth/token", "POST"),
        ):
            answers = []
            for server in (near, far):
                body = b"{}" if method != "GET" else None
                began = time.monotonic()
                with urlopen(Request(server.origin + path, data=body, method=method)) as answer:
                    said = (answer.status, answer.headers["Content-Type"], answer.read())
                answers.append(said)
            # The last of the two was the far one's; it is never early.
            assert time.monotonic() - began >= 0.049
            assert answers[0] == answers[1]


def test_a_share_is_of_what_latency_and_processor_allow() -> None:
    def run() -> Run:
        raise NotImplementedError

    runs = [run_of(1), run_of(2)]
    ours = far.Contender("a", far.OURS, 16, 2, run)
    found = far.outcome(ours, runs, near=[500.0, 50.0], busy=[0.1, 0.2])
    assert found.bound == Figure(105.0, 50.0, 160.0)
    # 100 of the 160 that 16 connections allow, then 50 of the 50 of a slow hour.
    assert found.share == Figure(0.8125, 0.625, 1.0)
    assert found.is_met is False
    theirs = far.outcome(far.Contender("b", "b", 16, 1, run), runs, [1.0, 1.0], [0.1, 0.2])
    assert theirs.bound == Figure(320.0, 320.0, 320.0)
    assert theirs.is_met is None


@needs_nginx
def test_aria2c_does_check_what_it_fetches(cache: Path, tmp_path: Path) -> None:
    peer = aria2c()
    if not peer.is_here:
        pytest.skip(f"{peer.program} is not installed here")
    wrong = with_other_checksums(render(cache, DOCUMENTS, 2, seed=1))
    with serve(wrong.root) as server, pytest.raises(BenchmarkError, match="aria2c ended with"):
        execute(peer.prepare(tmp_path, server.url, wrong), folder=tmp_path, documents=1)


@needs_nginx
def test_the_same_work_script_does_the_same_work(cache: Path, tmp_path: Path) -> None:
    dataset = render(cache, DOCUMENTS, 2, seed=1)
    peer = same_work(4)
    (tmp_path / "out").mkdir()
    with serve(dataset.root) as server:
        before = server.requests()
        execute(peer.prepare(tmp_path, server.url, dataset), folder=tmp_path, documents=DOCUMENTS)
        assert server.requests() == before + 1 + 2 * DOCUMENTS
    with closing(sqlite3.connect(tmp_path / "same_work.sqlite")) as connection:
        rows = connection.execute("SELECT id, state, company, kind, path FROM documents").fetchall()
    assert {row[0] for row in rows} == {item.name for item in dataset.items}
    assert {row[1] for row in rows} == {"acknowledged"}
    kinds = {item.name: item.path.partition("-")[0] for item in dataset.items}
    companies = {company.number for company in dataset.mailbox.companies}
    for name, _, company, kind, path in rows:
        # Of an invoice between two of the companies it takes the supplier.
        assert company in companies
        assert kinds[name] == ("bank" if kind == "statement" else kind) or kind == "sales"
        assert Path(path) == tmp_path / "out" / company / kind / name
        assert Path(path).is_file()
    assert not list((tmp_path / "temporary").iterdir())


@needs_nginx
def test_the_same_work_script_checks_what_it_fetches(cache: Path, tmp_path: Path) -> None:
    wrong = with_other_checksums(render(cache, DOCUMENTS, 2, seed=1))
    (tmp_path / "out").mkdir()
    with serve(wrong.root) as server, pytest.raises(BenchmarkError, match="not what the list"):
        execute(SAME_WORK.prepare(tmp_path, server.url, wrong), folder=tmp_path, documents=1)


@pytest.mark.parametrize("scenario", SCENARIOS)
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
        *("--sizes", "10", "--ledger-rows", 100),
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
