"""The settings of a sign-in: which ones need each other, and what an address may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.settings import GOOD, load, problems

SECRET = 'client_secret = { env = "SYNQUP_BILLTOBOX_SECRET" }\n'
AUTHORIZE = 'authorize_url = "https://example.test/auth"\n'


def with_settings(*lines: str) -> str:
    assert SECRET in GOOD
    return GOOD.replace(SECRET, "".join(lines))


def test_client_credentials_need_a_secret(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, with_settings())
    assert told.startswith("sources[1].client_secret (billtobox): this key is missing; write {")


@pytest.mark.parametrize(
    ("lines", "by_person"),
    [
        ((SECRET,), False),
        ((SECRET, AUTHORIZE), True),
        ((AUTHORIZE,), True),  # a public client
        (('refresh_token = { file = "r" }\n',), True),
        ((SECRET, AUTHORIZE, 'redirect_uri = "http://127.0.0.1:8400/"\n'), True),
    ],
)
def test_whom_a_sign_in_is_of_follows_from_what_is_set(
    tmp_path: Path, lines: tuple[str, ...], by_person: bool
) -> None:
    source = load(tmp_path, with_settings(*lines)).sources[0]
    assert source.exclusive_sign_in is by_person
    state = source.sign_in_state(tmp_path / "state")
    assert (state is not None) is by_person
    assert not (tmp_path / "state").exists()


def test_a_redirect_needs_an_address_to_begin_at(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, with_settings(SECRET, 'redirect_uri = "http://127.0.0.1/"\n'))
    assert told.startswith(
        "sources[1].authorize_url (billtobox): this is missing, and redirect_uri"
    )


@pytest.mark.parametrize(
    "address",
    [
        *("http://127.0.0.1/", "http://127.0.0.1:8400/back", "http://localhost:8400"),
        *("http://[::1]:8400/", "https://app.example/back?a=b", "urn:ietf:wg:oauth:2.0:oob"),
        "com.example.app:/back",
    ],
)
def test_an_address_that_one_may_be_sent_back_to(tmp_path: Path, address: str) -> None:
    text = with_settings(SECRET, AUTHORIZE, f'redirect_uri = "{address}"\n')
    assert load(tmp_path, text).sources[0].redirect_uri == address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "no address"),
        ("127.0.0.1", "no address"),
        ("/back", "no address"),
        (" http://127.0.0.1/", "no address"),
        ("http://127.0.0.1/#", "no address"),
        ("http://user:word@127.0.0.1/", "no address"),
        ("http://[::1", "no address"),
        ("https:///back", "no host"),
        ("http://app.example/back", "the code would travel in the clear"),
        ("http://10.0.0.7:8400/", "the code would travel in the clear"),
    ],
)
def test_an_address_that_nobody_may_be_sent_back_to(
    tmp_path: Path, address: str, said: str
) -> None:
    (told,) = problems(tmp_path, with_settings(SECRET, AUTHORIZE, f'redirect_uri = "{address}"\n'))
    assert told.startswith("sources[1].redirect_uri (billtobox): ")
    assert said in told


def test_a_sign_in_is_not_begun_in_the_clear(tmp_path: Path) -> None:
    text = with_settings(SECRET, 'authorize_url = "http://example.test/auth"\n')
    (told,) = problems(tmp_path, text)
    assert told.startswith("sources[1].authorize_url (billtobox): credentials would travel")
