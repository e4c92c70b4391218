"""Verification: checksums, sizes and structure, and what happens to what is damaged."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google_crc32c import value as crc32c
from msgspec import json
from multidict import CIMultiDict, CIMultiDictProxy

from pipeline.config.types import ServiceSettings
from pipeline.document import Ack, Document, Key
from pipeline.errors import Corrupt, Rejected
from pipeline.payload import Payload
from pipeline.source import Announced
from stages.formats.registry import LARGE
from stages.model import Fetched, Listed, Verified
from stages.settings import Config, Delivery
from stages.sources.http.checksums import stated_checksums, unpacked_coding
from stages.verify import process, verify
from tests.helpers.cases import case
from tests.helpers.farm import Farm
from tests.helpers.invoices import ubl
from tests.helpers.mt940 import BODY as MT940

WHOLE = b"<Invoice><ID>1</ID></Invoice>"
BROKEN = b"<Invoice><ID>1</ID>"
#: An invoice that is broken after all that tells whose it is.
UNCLEAR = ubl().removesuffix("</Invoice>").encode()
HOSTILE = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


def payload(data: bytes) -> Payload:
    return Payload(len(data), hashlib.sha256(data).hexdigest(), data)


def vouched(data: bytes) -> dict[str, str]:
    digest = b64encode(hashlib.sha256(data).digest()).decode()
    return {"content-digest": f"sha-256=:{digest}:"}


def announced(
    headers: Mapping[str, str], media_type: str = "", length: int | None = None
) -> Announced:
    given = CIMultiDictProxy(CIMultiDict(headers))
    coding = unpacked_coding(given)
    return Announced(media_type, length, stated_checksums(given, coding), coding)


def listed(*, require_checksum: bool = False, **more: Any) -> Listed:
    service = ServiceSettings(Path("/nowhere"), require_checksum=require_checksum)
    return Listed(Config(service, Delivery("a", "b", "c"), (), ()), **more)


def verified(
    data: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    require: bool = False,
    media_type: str = "",
    length: int | None = None,
    **more: Any,
) -> Verified:
    return verify(
        payload(data),
        listed(require_checksum=require, **more),
        announced(headers or {}, media_type, length),
        subject="invoice 1",
    )[0]


class TestChecksums:
    def test_the_one_that_vouches_is_named(self) -> None:
        found = verified(WHOLE, vouched(WHOLE), media_type="application/xml")
        assert found.checksum == "content-digest sha-256"
        assert found.warnings == ()
        assert found.media_type == "application/xml"
        assert found.verified_at > 0

    def test_what_is_only_odd_is_a_warning_with_and_without_one(self) -> None:
        odd = MT940.replace(":61:2602030203D200,50", ":61:see the letter").encode()
        for headers in ({}, vouched(odd)):
            (warning,) = verified(odd, headers).warnings
            assert "can't be checked" in warning

    def test_without_one_the_structure_does(self) -> None:
        assert verified(WHOLE).checksum == ""

    def test_one_that_differs_is_damage(self) -> None:
        with pytest.raises(Corrupt) as caught:
            verified(WHOLE, vouched(WHOLE + b" "))
        told = str(caught.value)
        assert told.startswith("invoice 1: content-digest sha-256 says ")
        assert hashlib.sha256(WHOLE).hexdigest() in told
        assert hashlib.sha256(WHOLE + b" ").hexdigest() in told

    def test_the_list_s_own_is_held_against_it(self) -> None:
        assert verified(WHOLE, sha256=hashlib.sha256(WHOLE).hexdigest()).checksum
        with pytest.raises(Corrupt, match="the list's sha-256 says"):
            verified(WHOLE, sha256=hashlib.sha256(b"other").hexdigest())

    def test_a_stronger_one_that_agrees_overrules_a_weaker(self) -> None:
        wrong = {"content-md5": b64encode(hashlib.md5(b"other").digest()).decode()}
        found = verified(WHOLE, {**vouched(WHOLE), **wrong})
        assert found.checksum == "content-digest sha-256"
        (warning,) = found.warnings
        assert warning.startswith("content-md5 md5 says ")

    def test_a_weaker_one_that_agrees_does_not_overrule_a_stronger(self) -> None:
        right = {"content-md5": b64encode(hashlib.md5(WHOLE).digest()).decode()}
        with pytest.raises(Corrupt, match="content-digest"):
            verified(WHOLE, {**vouched(b"other"), **right})

    def test_an_etag_that_may_be_anything_proves_nothing(self) -> None:
        found = verified(WHOLE, {"etag": f'"{hashlib.md5(b"other").hexdigest()}"'})
        assert found.checksum == ""
        assert found.warnings == ()

    def test_an_etag_of_s3_does(self) -> None:
        headers = {
            "etag": f'"{hashlib.md5(b"other").hexdigest()}"',
            "x-amz-request-id": "A",
        }
        with pytest.raises(Corrupt, match="etag md5 says"):
            verified(WHOLE, headers)

    def test_one_that_can_not_be_checked_is_a_warning(self) -> None:
        found = verified(WHOLE, {"digest": "UNIXsum=1"})
        assert found.checksum == ""
        assert found.warnings == ('digest "UNIXsum" is of no algorithm that synqup knows',)

    def test_none_where_one_has_to_be(self) -> None:
        with pytest.raises(Rejected, match="no checksum that could be checked") as caught:
            verified(WHOLE, require=True)
        assert not isinstance(caught.value, Corrupt)
        assert "require_checksum = false" in str(caught.value)
        assert verified(WHOLE, vouched(WHOLE), require=True).checksum

    def test_why_it_could_not_be_checked_is_told(self) -> None:
        headers = {**vouched(WHOLE), "content-encoding": "gzip"}
        with pytest.raises(Rejected, match="is of the document in gzip"):
            verified(WHOLE, headers, require=True)


class TestSizes:
    def test_of_the_list(self) -> None:
        assert verified(WHOLE, size=len(WHOLE))
        with pytest.raises(Corrupt, match="the list says 30 bytes, and 29 have arrived"):
            verified(WHOLE, size=30)

    def test_of_the_answer(self) -> None:
        assert verified(WHOLE, length=29)
        with pytest.raises(Corrupt, match="the source says 28 bytes, and 29 have arrived"):
            verified(WHOLE, length=28)

    def test_a_strong_checksum_tells_more(self) -> None:
        found = verified(WHOLE, vouched(WHOLE), size=30)
        assert found.warnings == ("the list says 30 bytes, and 29 have arrived",)
        weak = {"x-goog-hash": "crc32c=" + b64encode(crc32c(WHOLE).to_bytes(4)).decode()}
        assert verified(WHOLE, weak).checksum
        with pytest.raises(Corrupt):
            verified(WHOLE, weak, size=30)

    @pytest.mark.parametrize(
        "header", [{"content-encoding": "gzip"}, {"x-goog-stored-content-encoding": "gzip"}]
    )
    def test_it_may_be_of_the_packed_form(self, header: dict[str, str]) -> None:
        found = verified(WHOLE, header, size=30)
        assert found.warnings == ("the list says 30 bytes, and 29 have arrived",)
        with pytest.raises(Corrupt):
            verified(BROKEN, header, size=30)
        found = verified(WHOLE, header, sha256=hashlib.sha256(b"packed").hexdigest())
        assert not found.checksum
        assert found.warnings[0].endswith("it may be of the document in gzip")
        found = verified(WHOLE, header, sha256=hashlib.sha256(WHOLE).hexdigest())
        assert (found.checksum, found.warnings) == ("the list's sha-256", ())


class TestCases:
    """What users of comparable programs reported."""

    def test_a_list_states_base64(self) -> None:
        item = json.decode(case("05-list-sha256-base64", "item.json").read_bytes())
        data = case("05-list-sha256-base64", "p1.xml").read_bytes()
        assert verified(data, sha256=item["sha256"]).checksum == "the list's sha-256"
        with pytest.raises(Corrupt):
            verified(data + b" ", sha256=item["sha256"])

    def test_a_store_unpacks(self) -> None:
        headers = json.decode(case("06-gcs-transcoding", "headers.json").read_bytes())
        found = verified(case("06-gcs-transcoding", "p1.xml").read_bytes(), headers)
        assert found.checksum == ""
        assert found.warnings == ("x-goog-hash is of the document in gzip and can't be checked",)

    def test_the_framing_of_an_upload_is_no_coding(self) -> None:
        headers = json.decode(case("19-headers", "aws-chunked.json").read_bytes())
        data = case("05-list-sha256-base64", "p1.xml").read_bytes()
        assert verified(data, headers).checksum == "x-amz-checksum-sha256 sha-256"


class TestStructure:
    @pytest.mark.parametrize(
        ("data", "odd"),
        [
            (UNCLEAR, "not well-formed"),
            (b"%PDF-1.4\n", "no end"),
            (b"<html><title>Sign in</title></html>", "a web page came"),
            (b'{"message": "later"}', "a JSON message came"),
            (b"\x89PNG\r\n\x1a\n", "the end of an image"),
            (b"00000 bottles", "no header"),
            (b"\r\n", "empty"),
        ],
    )
    def test_it_decides_where_no_checksum_vouches_and_warns_where_one_does(
        self, data: bytes, odd: str
    ) -> None:
        with pytest.raises(Corrupt, match=odd):
            verified(data)
        (warning,) = verified(data, vouched(data)).warnings
        assert odd in warning

    def test_a_checksum_does_not_make_readable_what_says_nothing(self) -> None:
        with pytest.raises(Rejected, match="not well-formed"):
            verified(BROKEN, vouched(BROKEN))

    def test_a_checksum_vouches_for_nothing_hostile(self) -> None:
        with pytest.raises(Rejected) as caught:
            verified(HOSTILE, vouched(HOSTILE))
        assert not isinstance(caught.value, Corrupt)

    def test_the_real_ones_are_whole_with_and_without_a_checksum(self, corpus: Path) -> None:
        for path in sorted(corpus.rglob("x-*.xml")) + sorted(corpus.rglob("*.pdf")):
            data = path.read_bytes()
            assert verified(data).warnings == ()
            assert verified(data, vouched(data)).warnings == ()

    def test_real_statements_that_do_not_add_up_pass_with_a_checksum(self, corpus: Path) -> None:
        odd = 0
        for path in sorted(corpus.rglob("x-*.cod")):
            data = path.read_bytes()
            odd += bool(verified(data, vouched(data)).warnings)
        assert odd


def document(payload_: Payload, headers: dict[str, str], meta: Listed) -> Document[Fetched]:
    farm = Farm()
    fetched = Fetched(meta, announced(headers))
    return Document(Key("farm", "1", ""), farm.entry("1"), Ack(farm, "1"), 0.0, fetched, payload_)


@pytest.mark.anyio
class TestStage:
    async def test_what_is_whole_goes_on(self) -> None:
        whole = document(payload(WHOLE), vouched(WHOLE), listed())
        found = await process(whole)
        assert found.payload is whole.payload
        assert found.meta.checksum == "content-digest sha-256"

    async def test_what_is_damaged_does_not(self) -> None:
        with pytest.raises(Corrupt, match="content-digest sha-256 says") as caught:
            await process(document(payload(BROKEN), vouched(WHOLE), listed()))
        assert caught.value.subject == "document 1"

    async def test_what_may_not_be_delivered_is_refused(self) -> None:
        for data, headers, meta in (
            (HOSTILE, vouched(HOSTILE), listed()),
            (WHOLE, {}, listed(require_checksum=True)),
        ):
            with pytest.raises(Rejected):
                await process(document(payload(data), headers, meta))

    @pytest.mark.parametrize("size", [LARGE - 100, LARGE + 100])
    async def test_small_and_large_ones_alike(self, size: int) -> None:
        data = b"<a>" + b"x" * size + b"</a>"
        found = await process(document(payload(data), vouched(data), listed()))
        assert found.meta.checksum == "content-digest sha-256"
        with pytest.raises(Corrupt):
            await process(document(payload(data), vouched(WHOLE), listed()))
