"""No secret gets through, in whatever form; and what is no secret stays readable."""

from __future__ import annotations

import json
import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, strategies as st
from msgspec import Struct

from pipeline.app.redaction import (
    Redactor,
    described,
    secrets_around,
    secrets_of,
    secrets_stored,
    secrets_written,
    shape,
)
from pipeline.config.types import Secret

FORMS: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: b64encode(text.encode()).decode(),
    lambda text: f"client_id=x&client_secret={quote_plus(text)}&scope=y",
    lambda text: f"word{text}word",
]


@given(st.text(min_size=4, max_size=60).filter(lambda text: len(text.strip()) >= 4))
def test_a_known_secret_is_removed_in_each_form(secret: str) -> None:
    secret = secret.strip()
    redactor = Redactor(["other", secret, secret[:5]])
    for form in FORMS:
        try:
            written = form(secret)
        except UnicodeEncodeError:
            continue
        said = redactor.text(f"it said {written} to us").replace("[removed]", "")
        assert form(secret).strip('"') not in said
    nested = {"a": [{"b": (secret,)}], secret: secret}
    assert secret not in str(redactor.value(nested)).replace("[removed]", "")


@pytest.mark.parametrize(
    "text",
    [
        "https://user:SECRETE@proxy:3128/x",
        "http://SECRETE@proxy",
        "Authorization: Bearer SECRETEabc.x-y_z~1+/=",
        "proxy-authorization: Basic SECRETE1234=",
        "eyJhbGciOiJIUzI1NiJ9.SECRETE.sig",
        "access_token=SECRETE&x=1",
        '{"refresh_token": "SECRETE"}',
        "password: SECRETE",
        "db_password='SECRETE'",
        'client_secret="SECRETE"',
        "X-Api-Key: SECRETE",
    ],
)
def test_what_is_made_like_a_credential_is_removed(text: str) -> None:
    said = Redactor().text(text.replace("X-Api-Key", "api_key"))
    assert "SECRETE" not in said


def test_what_only_a_machine_makes_up_is_removed() -> None:
    made_up = random.Random(7)
    tokens = [urlsafe_b64encode(made_up.randbytes(32)).decode().rstrip("=") for _ in range(1000)]
    kept = [token for token in tokens if token in Redactor().text(f"token {token} refused")]
    assert not kept


@pytest.mark.parametrize(
    "text",
    [
        "purchase invoice 2026-000007 (id 71e4a00f-03fc-40d6-826f-0c8673eff524)",
        "71E4A00F-03FC-40D6-826F-0C8673EFF524",
        "0f0de4a4088be8a00250587e843131c019d97e6fca0c2b6f8be0f6451c8feb6e",
        "/srv/Librairie Noël Frères SA_BE0120356907/achats/2026-10-25_2026-000004_Thiry SA.xml",
        "2026-11-26T05:09:31.195719Z",
        "https://api.example.com/v4/purchase-invoices?page=1",
        "the proxy wants a user and a password (407). Set proxy_user and proxy_password in x.",
        "synqup signs in to proxies by Basic only.",
        "BE68539007547034",
        "CertificateVerificationErrorOfAServer",
        "token_url: https://id.example.com/token",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor(["another-secret"]).text(text) == text


class Inner(Struct, tag="inner", tag_field="kind"):
    user: str
    password: Secret | None = None
    paths: tuple[Path, ...] = ()


class Outer(Struct):
    parts: Annotated[tuple[Inner, ...], "any"]
    more: dict[str, Secret] = {}


def test_secrets_are_found_by_their_type_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARMLESS", "from-env")
    (tmp_path / "key").write_text("from-file\n")
    settings = Outer(
        (Inner("jan", Secret(env="HARMLESS"), (Path("/x"),)), Inner("piet")),
        {"any": Secret(file=str(tmp_path / "key")), "none": Secret(env="MISSING_ONE")},
    )
    assert set(secrets_of(settings)) == {"from-env", "jan:from-env", "from-file"}
    told = described(settings)
    assert told["parts"][0] == {
        "kind": "inner",
        "user": "jan",
        "password": {"lies_in": "the environment variable HARMLESS"},
        "paths": ["/x"],
    }
    assert told["more"]["any"] == {"lies_in": f"the file {tmp_path / 'key'}"}
    assert "from-" not in json.dumps(told)


def test_each_line_of_a_place_with_several_secrets_is_one(tmp_path: Path) -> None:
    (tmp_path / "push").write_text("first-of-them\nsecond-of-them\n")
    redactor = Redactor(secrets_of(Secret(file=str(tmp_path / "push"))))
    assert "second-of-them" not in redactor.text("signed by second-of-them")
    assert "first-of-them" not in redactor.text("signed by first-of-them")


def test_secrets_beside_the_configuration_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old-token\nnew-token")
    (tmp_path / "b.json").write_text('{"refresh": {"token": "json-token"}, "until": 7}')
    assert {"old-token", "new-token", "json-token"} <= set(secrets_stored(tmp_path))
    around = secrets_around(
        {"HTTPS_PROXY": "http://jan:p%40ss@proxy:1", "SMTP_PASSWORD": "mailed", "HOME": "/root"}
    )
    assert set(around) == {"p@ss", "jan:p@ss", "mailed"}
    raw = {"sources": [{"client_secret": "typed", "url": "https://x", "proxy_password": "too"}]}
    assert set(secrets_written(raw)) == {"typed", "too"}
    assert shape(raw) == {
        "sources": [{"client_secret": "str", "url": "str", "proxy_password": "str"}]
    }
