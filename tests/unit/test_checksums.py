"""Every checksum that is met in the wild, as its standard states it."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

import google_crc32c
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from pipeline.payload import Payload
from pipeline.source import StatedChecksum
from stages.checksums import HASHES, Checkable, checkable, digests
from stages.digest_text import read_digest
from stages.sources.http.checksums import HEADERS, stated_checksums, unpacked_coding
from stages.sources.http.coding import NO_CODINGS

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
    given = CIMultiDictProxy(CIMultiDict(headers))
    return checkable(stated_checksums(given, unpacked_coding(given)), listed)


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
    ({"content-digest": f"sha-256={encoded('sha256')}"}, "content-digest sha-256"),
    ({"content-md5": MD5}, "content-md5 md5"),
    ({"content-md5": MD5.upper()}, "content-md5 md5"),
    ({"content-md5": f"md5={encoded('md5')}"}, "content-md5 md5"),
    ({"content-md5": b64encode(MD5.encode()).decode()}, "content-md5 md5"),
    ({"digest": f"sha-256={hashlib.sha256(DATA).hexdigest()}"}, "digest sha-256"),
    ({"digest": f"id-sha-256={encoded('sha256')}"}, "digest sha-256"),
    ({"digest": f"crc32c={encoded('crc32c')}"}, "digest crc32c"),
    ({"x-goog-hash": f"md5={MD5}"}, "x-goog-hash md5"),
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


HEX = hashlib.sha256(DATA).hexdigest()
BASE64 = encoded("sha256")
URL_SAFE = BASE64.translate(str.maketrans("+/", "-_"))
PAIRS = [HEX[at : at + 2] for at in range(0, len(HEX), 2)]
BARE = [
    *(HEX, HEX.upper(), f" {HEX}\n", f'"{HEX}"', f"0x{HEX}", f"0X{HEX.upper()}"),
    *(":".join(PAIRS), " ".join(PAIRS), "-".join(PAIRS).upper(), f"{HEX}  invoice.xml"),
    *(BASE64, BASE64.rstrip("="), URL_SAFE, URL_SAFE.rstrip("="), f":{BASE64}:"),
    *(b64encode(HEX.encode()).decode(), quote(BASE64, safe=""), f"\\x{HEX}"),
]
PREFIXES = [
    *("sha256:", "SHA256:", "sha-256=", "sha256=", "SHA-256 ", "sha256-", "sha256: ", "{SHA256}"),
    *(
        "urn:sha256:",
        "SHA256 (invoice.xml) = ",
        "sha_256:",
        "Sha-256: ",
        "SHA2-256:",
        "sha256sum: ",
    ),
    *("hash=", "checksum: ", "hex:", "base64:", "hash:sha256:", "sha256/", "sha256|", "[SHA256] "),
    *("sha256sum: ", "ni:///sha-256;"),
]


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize("listed", BARE)
def test_the_list_may_state_one(prefix: str, listed: str) -> None:
    assert agreeing({}, prefix + listed) == ["the list's sha-256"]


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@given(data=st.binary(max_size=40))
def test_whichever_bytes_it_is_of(prefix: str, data: bytes) -> None:
    digest = hashlib.sha256(data).digest()
    for text in (digest.hex(), b64encode(digest).decode(), urlsafe_b64encode(digest).decode()):
        assert read_digest(prefix + text, "sha-256", 32) == ("sha-256", digest)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (f"md5:{MD5}", "the list's md5"),
        (f"MD5={encoded('md5')}", "the list's md5"),
        (f"sha1-{encoded('sha1')}", "the list's sha-1"),
        (f"sha-512=:{encoded('sha512')}:", "the list's sha-512"),
        (f"crc32c:{encoded('crc32c')}", "the list's crc32c"),
    ],
)
def test_the_list_may_name_another_algorithm(listed: str, expected: str) -> None:
    assert agreeing({}, listed) == [expected]


@pytest.mark.parametrize(
    "listed", [f"blake3:{HEX}", f"sha3-256:{HEX}", f"sha512/256:{HEX}", f"blake2b-256={BASE64}"]
)
def test_another_algorithm_of_the_same_length_is_not_taken_for_this_one(listed: str) -> None:
    given = stated({}, listed)
    assert given.checksums == ()
    assert "is of no algorithm that synqup knows" in given.warnings[0]


@pytest.mark.parametrize("listed", ["n/a", HEX[1:], HEX + "0", BASE64[2:], "sha256:", "x" * 5000])
def test_a_spelling_that_nobody_can_read_is_a_warning(listed: str) -> None:
    given = stated({}, listed)
    assert given.checksums == ()
    assert given.warnings == ("the list's sha-256 is no such checksum",)


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

    @pytest.mark.parametrize(
        "more",
        [
            {"x-goog-stored-content-encoding": "gzip"},
            {"X-Goog-Stored-Content-Encoding": " GZIP"},
            {"warning": '199 - "x", 214 UploadServer gunzipped'},
            {"x-guploader-response-body-transformations": "gunzipped"},
        ],
    )
    @pytest.mark.parametrize("name", sorted(HEADERS))
    def test_what_the_store_unpacked(self, name: str, more: dict[str, str]) -> None:
        other = encoded("md5", b"packed")
        given = stated({name: f"md5={other}", "etag": f'"{MD5}"', **more})
        assert given.checksums == ()
        assert given.warnings[0].startswith(f"{name} is of the document in ")

    def test_of_the_document_before_any_coding(self) -> None:
        headers = {"digest": f"id-sha-256={encoded('sha256')}", "content-encoding": "gzip"}
        assert agreeing(headers) == ["digest sha-256"]

    def test_the_list_speaks_of_the_document_however_it_was_coded(self) -> None:
        listed = hashlib.sha256(DATA).hexdigest()
        assert agreeing({"content-encoding": "gzip"}, listed) == ["the list's sha-256"]

    @pytest.mark.parametrize("coding", sorted({*NO_CODINGS, "Identity", "AWS-chunked, utf-8"}))
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
