"""Every checksum that is met in the wild, as its standard states it."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from pipeline.payload import Payload
from pipeline.source import StatedChecksum
from stages.checksums import HASHES, Checkable, checkable, digests
from stages.sources.http.checksums import HEADERS, stated_checksums

DATA = b"<Invoice>12,50</Invoice>\n"


def payload(data: bytes = DATA) -> Payload:
    return Payload(len(data), hashlib.sha256(data).hexdigest(), data)


def encoded(algorithm: str, data: bytes = DATA) -> str:
    digest = {
        "crc32c": lambda: google_crc32c.value(data).to_bytes(4),
        "crc32": lambda: zlib.crc32(data).to_bytes(4),
        "adler32": lambda: zlib.adler32(data).to_bytes(4),
    }.get(algorithm, lambda: hashlib.new(algorithm, data).digest())()
    return b64encode(digest).decode()


def stated(headers: dict[str, str], listed: str | None = None) -> Checkable:
    """What can be checked of the headers of an answer, and of what the list says."""
    return checkable(stated_checksums(CIMultiDictProxy(CIMultiDict(headers))), listed)


def agreeing(headers: dict[str, str], listed: str | None = None) -> list[str]:
    """What was stated and agrees with the data, in order; none may disagree."""
    given = stated(headers, listed)
    found = digests(payload(), {one.algorithm for one in given.checksums})
    assert all(found[one.algorithm] == one.digest for one in given.checksums), given
    return [str(one) for one in given.checksums]


MD5 = hashlib.md5(DATA).hexdigest()

WILD = [
    ({"content-digest": f"sha-256=:{encoded('sha256')}:"}, "content-digest sha-256"),
    ({"content-digest": f"sha-512=:{encoded('sha512')}:"}, "content-digest sha-512"),
    ({"content-digest": f"sha-256=:{encoded('sha256')}:;q=1"}, "content-digest sha-256"),
    ({"repr-digest": f"sha-256=:{encoded('sha256')}:"}, "repr-digest sha-256"),
    ({"repr-digest": f" md5 = :{encoded('md5')}: "}, "repr-digest md5"),
    ({"repr-digest": f"sha=:{encoded('sha1')}:"}, "repr-digest sha-1"),
    ({"repr-digest": f"crc32c=:{encoded('crc32c')}:"}, "repr-digest crc32c"),
    ({"repr-digest": f"adler=:{encoded('adler32')}:"}, "repr-digest adler32"),
    ({"digest": f"SHA-256={encoded('sha256')}"}, "digest sha-256"),
    ({"digest": f"sha-512={encoded('sha512')}"}, "digest sha-512"),
    ({"digest": f"SHA={encoded('sha1')}"}, "digest sha-1"),
    ({"digest": f"MD5={encoded('md5')}"}, "digest md5"),
    ({"digest": f"crc32c={google_crc32c.value(DATA):x}"}, "digest crc32c"),
    ({"digest": f"ADLER32={zlib.adler32(DATA):X}"}, "digest adler32"),
    ({"content-md5": encoded("md5")}, "content-md5 md5"),
    ({"x-goog-hash": f"crc32c={encoded('crc32c')}"}, "x-goog-hash crc32c"),
    ({"x-goog-hash": f"md5={encoded('md5')}"}, "x-goog-hash md5"),
    ({"x-amz-checksum-sha256": encoded("sha256")}, "x-amz-checksum-sha256 sha-256"),
    ({"x-amz-checksum-sha1": encoded("sha1")}, "x-amz-checksum-sha1 sha-1"),
    ({"x-amz-checksum-crc32c": encoded("crc32c")}, "x-amz-checksum-crc32c crc32c"),
    ({"x-amz-checksum-crc32": encoded("crc32")}, "x-amz-checksum-crc32 crc32"),
    ({"etag": f'"{MD5}"'}, "etag md5"),
    ({"etag": f'"{MD5.upper()}"'}, "etag md5"),
]


@pytest.mark.parametrize(("headers", "expected"), WILD)
def test_it_agrees(headers: dict[str, str], expected: str) -> None:
    assert agreeing(headers) == [expected]
    assert stated(headers).warnings == ()


@pytest.mark.parametrize(("headers", "expected"), WILD)
def test_it_differs_from_other_data(headers: dict[str, str], expected: str) -> None:
    (one,) = stated(headers).checksums
    assert digests(payload(DATA + b" "), [one.algorithm])[one.algorithm] != one.digest


@pytest.mark.parametrize(
    "listed",
    [
        hashlib.sha256(DATA).hexdigest(),
        hashlib.sha256(DATA).hexdigest().upper(),
        encoded("sha256"),
    ],
)
def test_the_list_may_state_one(listed: str) -> None:
    assert agreeing({}, listed) == ["the list's sha-256"]


@pytest.mark.parametrize("value", [None, ""])
def test_a_list_without_one_says_nothing(value: str | None) -> None:
    assert stated({}, value) == stated({})


def test_none_at_all() -> None:
    given = stated({"content-type": "application/xml", "etag": '"1-2"'})
    assert given.checksums == ()
    assert given.warnings == ()


def test_a_source_of_any_protocol_may_state_one() -> None:
    """Say a file beside the document, as on an SFTP server."""
    digest = hashlib.sha512(DATA).digest()
    found = checkable([StatedChecksum("1.xml.sha512", "SHA512", digest)])
    assert [str(one) for one in found.checksums] == ["1.xml.sha512 sha-512"]
    assert digests(payload(), ["sha-512"])["sha-512"] == found.checksums[0].digest
    assert not found.warnings


def test_known_values() -> None:
    """So that both sides can't be wrong in the same way."""
    found = digests(payload(b"dog"), HASHES)
    assert found["crc32c"].hex() == "0a72a4df"
    assert digests(payload(b"Wiki"), ["adler32"])["adler32"].hex() == "03da0195"
    assert digests(payload(b"123456789"), ["crc32"])["crc32"].hex() == "cbf43926"
    assert digests(payload(b""), ["md5"])["md5"].hex() == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("value", ["crc32c=0a72a4df", "CRC32c=A72A4DF", "crc32c= a72a4df "])
def test_hexadecimal_may_lack_its_zeros(value: str) -> None:
    (one,) = stated({"digest": value}).checksums
    assert one.digest == digests(payload(b"dog"), ["crc32c"])["crc32c"]


def test_padding_may_be_missing() -> None:
    assert agreeing({"content-md5": encoded("md5").rstrip("=")}) == ["content-md5 md5"]


def test_the_strongest_comes_first_and_a_mere_etag_last() -> None:
    headers = {
        "etag": f'"{MD5}"',
        "x-goog-hash": f"crc32c={encoded('crc32c')},md5={encoded('md5')}",
        "repr-digest": f"md5=:{encoded('md5')}:, sha-512=:{encoded('sha512')}:",
        "x-amz-checksum-sha256": encoded("sha256"),
    }
    assert agreeing(headers) == [
        "repr-digest sha-512",
        "x-amz-checksum-sha256 sha-256",
        "repr-digest md5",
        "x-goog-hash md5",
        "x-goog-hash crc32c",
        "etag md5",
    ]


class TestEtag:
    @pytest.mark.parametrize(
        ("more", "proves"),
        [
            ({}, False),
            ({"x-amz-request-id": "A"}, True),
            ({"x-amz-request-id": "A", "x-amz-server-side-encryption": "AES256"}, True),
            ({"x-amz-request-id": "A", "x-amz-server-side-encryption": "aws:kms"}, False),
            (
                {
                    "x-amz-request-id": "A",
                    "x-amz-server-side-encryption-customer-algorithm": "AES256",
                },
                False,
            ),
        ],
    )
    def test_it_proves_damage_only_where_it_is_known_to_be_an_md5(
        self, more: dict[str, str], proves: bool
    ) -> None:
        (one,) = stated({"etag": f'"{MD5}"', **more}).checksums
        assert one.proves_damage is proves

    @pytest.mark.parametrize("etag", [f'"{MD5}-3"', f'W/"{MD5}"', MD5, '"abc"', f'"{MD5}0"'])
    def test_what_is_no_md5_says_nothing(self, etag: str) -> None:
        assert stated({"etag": etag, "x-amz-request-id": "A"}).checksums == ()


class TestWhatCannotBeChecked:
    @pytest.mark.parametrize(
        ("headers", "warning"),
        [
            ({"digest": "UNIXsum=30637"}, 'digest "UNIXsum" is of no algorithm that synqup knows'),
            ({"content-digest": "sha-256=:AAAA:"}, "content-digest sha-256 is no such checksum"),
            ({"content-md5": "not base64!"}, "content-md5 md5 is no such checksum"),
            ({"content-md5": encoded("sha256")}, "content-md5 md5 is no such checksum"),
            ({"digest": "crc32c=xyz"}, "digest crc32c is no such checksum"),
            (
                {"content-digest": f"sha-256={encoded('sha256')}"},
                "content-digest sha-256 is no such checksum",
            ),
            (
                {"x-amz-checksum-sha256": f"{encoded('sha256')}-2"},
                "x-amz-checksum-sha256 sha-256 is no such checksum",
            ),
            (
                {"x-amz-checksum-crc32": encoded("md5"), "x-amz-checksum-type": "COMPOSITE"},
                "x-amz-checksum-crc32 is of the document's parts and can't be checked",
            ),
        ],
    )
    def test_it_is_a_warning(self, headers: dict[str, str], warning: str) -> None:
        given = stated(headers)
        assert given.checksums == ()
        assert given.warnings == (warning,)

    def test_a_list_that_states_nonsense(self) -> None:
        given = stated({}, "12345")
        assert given.checksums == ()
        assert given.warnings == ("the list's sha-256 is no such checksum",)

    @pytest.mark.parametrize("name", sorted(HEADERS))
    def test_what_was_coded_on_its_way(self, name: str) -> None:
        given = stated({name: "anything", "etag": f'"{MD5}"', "content-encoding": " GZip "})
        assert given.checksums == ()
        assert given.warnings == (f"{name} is of the document in gzip and can't be checked",)

    def test_the_list_speaks_of_the_document_however_it_was_coded(self) -> None:
        listed = hashlib.sha256(DATA).hexdigest()
        assert agreeing({"content-encoding": "gzip"}, listed) == ["the list's sha-256"]

    @pytest.mark.parametrize("coding", ["identity", "Identity", ""])
    def test_identity_is_no_coding(self, coding: str) -> None:
        headers = {"content-md5": encoded("md5"), "content-encoding": coding}
        assert agreeing(headers) == ["content-md5 md5"]


def test_digests_of_a_temporary_file(tmp_path: Path) -> None:
    data = DATA * 10_000
    (path := tmp_path / "spooled").write_bytes(data)
    spooled = Payload(len(data), hashlib.sha256(data).hexdigest(), spool=path)
    assert digests(spooled, HASHES) == digests(payload(data), HASHES)


def test_sha256_is_not_computed_again(tmp_path: Path) -> None:
    gone = Payload(3, "00" * 32, spool=tmp_path / "gone")
    assert digests(gone, ["sha-256"]) == {"sha-256": bytes(32)}


@given(st.sampled_from(sorted(HEADERS)), st.text(max_size=60))
def test_no_header_does_harm(name: str, value: str) -> None:
    given = stated({name: value, "etag": value}, value)
    digests(payload(), {one.algorithm for one in given.checksums})
