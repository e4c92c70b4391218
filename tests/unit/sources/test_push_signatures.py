"""Signatures of pushes: the vectors of the platforms, and what is no signature."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from pipeline.hints import PushRefused
from stages.sources.billit import push as billit
from stages.sources.einvoice_be import push as einvoice_be
from tests.helpers.pushes import (
    BILLIT,
    SECRET,
    request,
    signed_by_billit,
    signed_by_einvoice_be,
)

#: Billit's page, and a digest that was made by it.
AT = 1767603600
DIGEST = "edf32f4c264bdd7530aba2d40929ab67e704ec1acae0b63e0148b2799054a576"
#: e-invoice.be's, of the text as it is signed.
EVENT = (
    '{"data": {"document_id": "doc_7", "note": "Caf\\u00e9"},'
    ' "id": "evt_01", "type": "document.received"}'
)
OF_EVENT = "sha256=31a5335bdf47bd5fc2ead69d2997cecf55e4034a90d9de48080a0f6eb2aa016a"
SECRETS = [b"another", SECRET.encode()]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def billit_takes(header: str, at: float = AT, body: bytes = BILLIT) -> bool:
    return billit.is_signed(request(body, at, Billit_Signature=header), SECRETS, 300)


@pytest.mark.parametrize(
    "header",
    [
        f"t={AT},s={DIGEST}",
        f"s={DIGEST},t={AT}",
        f" T = {AT} , S = {DIGEST.upper()} ",
        f"t={AT},v=1,s={DIGEST}",
    ],
)
def test_billits_vector_in_any_spelling(header: str) -> None:
    assert billit_takes(header)


def test_billits_signature_is_of_the_body_and_the_time_by_one_of_the_secrets() -> None:
    assert not billit_takes(f"t={AT},s={DIGEST}", body=BILLIT + b" ")
    assert not billit_takes(f"t={AT + 1},s={DIGEST}")
    signed = request(BILLIT, AT, Billit_Signature=f"t={AT},s={DIGEST}")
    assert not billit.is_signed(signed, [b"another"], 300)
    assert not billit.is_signed(signed, [], 300)


@pytest.mark.parametrize("age", [-301, 301, 86_400, 10**9])
def test_billits_old_or_early_signature_is_refused_whoever_made_it(age: float) -> None:
    with pytest.raises(PushRefused) as refused:
        billit_takes(f"t={AT},s={DIGEST}", AT + age)
    assert refused.value.is_signed
    assert "push_max_age" in refused.value.remedy
    assert billit_takes(f"t={AT},s={DIGEST}", AT + 299)
    assert billit_takes(f"t={AT},s={DIGEST}", AT - 299)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t",
        f"t={AT}",
        f"s={DIGEST}",
        f"t=,s={DIGEST}",
        f"t={AT},t={AT},s={DIGEST}",
        f"t={AT},s={DIGEST},s={DIGEST}",
        f"t={AT},s={DIGEST[:-2]}",
        f"t=abc,s={DIGEST}",
        f"t={'9' * 400},s={DIGEST}",
        f"t={AT},s={'é' * 64}",
    ],
)
def test_what_is_no_signature_of_billit_is_refused(header: str) -> None:
    with pytest.raises(PushRefused):
        billit_takes(header)


@given(st.text(), st.binary())
def test_any_header_of_billit_is_read(header: str, body: bytes) -> None:
    try:
        assert not billit_takes(header, body=body)
    except PushRefused as refused:
        assert refused.reason  # noqa: PT017 - the one or the other


def einvoice_takes(body: bytes, header: str = OF_EVENT) -> bool:
    return einvoice_be.is_signed(request(body, X_Signature=header), SECRETS)


@pytest.mark.parametrize(
    "body",
    [
        EVENT,
        '{"type":"document.received","id":"evt_01","data":{"note":"Café","document_id":"doc_7"}}',
        json.dumps(json.loads(EVENT), indent=4),
    ],
)
def test_e_invoice_bes_vector_however_it_was_sent(body: str) -> None:
    assert einvoice_takes(body.encode())
    assert einvoice_takes(body.encode(), OF_EVENT.upper().replace("SHA256", "Sha256"))


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_any_event_is_taken_in_any_form(event: object, indent: int | None, escaped: bool) -> None:
    sent = json.dumps(event, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    header = signed_by_einvoice_be(event)["X-Signature"]
    assert einvoice_takes(sent, header)
    assert not einvoice_takes(b'{"other": 1}', header)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'{"a": "\\ud800"']
)
def test_an_event_that_is_no_json_is_signed_by_nobody(body: bytes) -> None:
    assert not einvoice_takes(body)


@pytest.mark.parametrize("header", ["", OF_EVENT[7:], "sha256=", "sha1=" + "0" * 64, "sha256=zz"])
def test_what_is_no_signature_of_e_invoice_be_is_refused(header: str) -> None:
    with pytest.raises(PushRefused) as refused:
        einvoice_takes(EVENT.encode(), header)
    assert not refused.value.is_signed


def test_the_helpers_sign_as_the_platforms_do() -> None:
    assert signed_by_billit(at=AT) == {"Billit-Signature": f"t={AT},s={DIGEST}"}
    assert signed_by_einvoice_be(json.loads(EVENT)) == {"X-Signature": OF_EVENT}
