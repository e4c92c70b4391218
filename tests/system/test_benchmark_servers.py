"""The servers of the benchmarks speak the wire format: near, far away and overloaded."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import pytest

from benchmarks.dataset import PAGE, render
from benchmarks.mood import MOODS, Behaviour
from benchmarks.scenarios.adaptive import overloaded
from benchmarks.server import serve
from tests.helpers.benchmarking import DOCUMENTS, needs_nginx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


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


def ask(address: str, method: str = "GET") -> bytes:
    body = b"{}" if method != "GET" else None
    with urlopen(Request(address, data=body, method=method)) as answer:
        read: bytes = answer.read()
        return read


def seen_by(origin: str) -> Behaviour:
    return msgspec.json.decode(ask(f"{origin}/behaviour"), type=Behaviour)


def test_an_overloaded_server_forgets_what_is_acknowledged(cache: Path) -> None:
    dataset = render(cache, 300, 2, seed=1)
    owner = dataset.mailbox.companies[0].platform_id
    with overloaded("slow-20", dataset) as origin:

        def page(number: int) -> dict[str, list[dict[str, str]]]:
            query = f"page={number}&size={PAGE}&platform_id={owner}"
            read: dict[str, list[dict[str, str]]] = json.loads(
                ask(f"{origin}/v4/purchase-invoices?{query}")
            )
            return read

        assert json.loads(ask(f"{origin}/auth/token", "POST"))["access_token"]
        first, second = page(0), page(1)
        told, *left = first["results"]
        address = f"{origin}/v4/purchase-invoices/{told['id']}"
        assert sha256(ask(address)).hexdigest() == told["sha256"]
        for _ in range(2):
            ask(f"{address}/accounting-status", "PUT")
        assert page(0)["results"] == [*left, second["results"][0]]
        assert page(0)["total"] == len(left) + len(second["results"])
        assert page(9)["results"] == []
        seen = seen_by(origin)
        assert (seen.requests, seen.refused, seen.most) == (8, 0, 1)
        assert seen.samples


def test_an_overloaded_server_refuses_what_is_too_much(cache: Path) -> None:
    dataset = render(cache, DOCUMENTS, 2, seed=1)
    rate = MOODS["refuses-50"].rate
    with overloaded("refuses-50", dataset) as origin:
        address = f"{origin}/v4/{dataset.items[0].path}"
        with ThreadPoolExecutor(50) as pool:
            statuses = list(pool.map(status_of, [address] * 120))
        seen = seen_by(origin)
    assert set(statuses) == {200, 429}
    assert rate is not None
    assert statuses.count(429) == seen.refused
    assert seen.requests == 120


def status_of(address: str) -> int:
    try:
        ask(address)
    except HTTPError as error:
        error.close()
        return error.code
    return 200
