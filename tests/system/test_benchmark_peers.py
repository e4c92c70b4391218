"""The peers of the benchmarks bring everything, and check what they say they check."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.dataset import render
from benchmarks.failure import BenchmarkError
from benchmarks.measure import execute
from benchmarks.peers import PEERS, SAME_WORK, Peer, aria2c, same_work
from benchmarks.server import serve
from benchmarks.workplace import run_peer
from tests.helpers.benchmarking import DOCUMENTS, needs_nginx, with_other_checksums

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@needs_nginx
def test_a_peer_brings_all_documents(cache: Path, tmp_path: Path, peer: Peer) -> None:
    if not peer.is_here:
        pytest.skip(f"{peer.program} is not installed here")
    dataset = render(cache, DOCUMENTS, 2, seed=1)
    with serve(dataset.root) as server:
        assert run_peer(peer, tmp_path, dataset, server.url).documents == DOCUMENTS


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
