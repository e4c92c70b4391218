"""The section of kind "billit": its defaults are Billit's own addresses, and its mistakes named."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.sources.billit.settings import Billit, logon_address
from tests.helpers.settings import GOOD, load, problems

BEGIN, END = GOOD.index("[[sources]]"), GOOD.index("[[companies]]")
KEY = 'api_key = { env = "KEY" }'
PERSON = 'client_id = "us"\nclient_secret = { env = "S" }'


def text(*lines: str) -> str:
    section = "\n".join(['[[sources]]\nname = "billtobox"\nkind = "billit"', *lines, ""])
    return GOOD.replace(GOOD[BEGIN:END], section)


def section(folder: Path, *lines: str) -> Billit:
    (found,) = load(folder, text(*lines)).sources
    assert isinstance(found, Billit)
    return found


def test_a_person_signs_in_at_the_addresses_of_billit(tmp_path: Path) -> None:
    found = section(tmp_path, 'door = "inbox"', PERSON)
    assert found.url == "https://api.billit.be/v1"
    assert found.token_url == "https://api.billit.be/OAuth2/token"
    assert found.authorize_url == "https://my.billit.be/Account/Logon"
    assert found.exclusive_sign_in
    assert found.client.in_json
    assert not found.scope
    assert not found.offline_access
    trial = section(tmp_path, 'door = "inbox"', PERSON, 'url = "https://api.sandbox.billit.be/v1"')
    assert trial.token_url == "https://api.sandbox.billit.be/OAuth2/token"
    assert trial.authorize_url == "https://my.sandbox.billit.be/Account/Logon"


def test_a_key_is_enough_for_ones_own_administration(tmp_path: Path) -> None:
    found = section(tmp_path, 'door = "inbox"', KEY)
    assert not found.exclusive_sign_in
    assert found.sign_in_state(tmp_path) is None
    assert not found.authorize_url


@pytest.mark.parametrize("url", ["https://h", "https://h/", "https://h/v1", "https://h/v1/"])
def test_the_version_may_be_left_out(tmp_path: Path, url: str) -> None:
    assert str(section(tmp_path, 'door = "inbox"', KEY, f'url = "{url}"').base) == "https://h/v1"


def test_only_a_host_that_begins_so_tells_where_people_sign_in() -> None:
    assert logon_address("https://API.billit.eu/v1") == "https://my.billit.eu/Account/Logon"
    assert not logon_address("https://proxy.example/v1")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((KEY,), "door (billtobox): this key is missing"),
        (('door = "orders"', KEY), '"orders" is none of "feeds", "inbox"'),
        (('door = "feeds"', KEY), "feed (billtobox): this key is missing; name the feed"),
        (('door = "feeds"', 'feed = " "', KEY), "feed (billtobox): this key is missing"),
        (('door = "inbox"',), "client_id (billtobox): this key is missing; write client_id and"),
        (('door = "inbox"', 'client_id = "us"'), "client_secret (billtobox): this key is missing"),
        (('door = "inbox"', KEY, 'client_id = "us"'), "there is a client_id too"),
        (('door = "inbox"', PERSON, 'url = "https://h/v1"'), "authorize_url (billtobox): this key"),
        (('door = "inbox"', KEY, 'party_id = "12a"'), "a PartyID is a whole number"),
        (('door = "inbox"', KEY, 'url = "http://h/v1"'), "credentials would travel in the clear"),
        (('door = "inbox"', KEY, 'context_header = "x"'), 'none of "accountant", "company"'),
    ],
)
def test_a_mistake_is_named_with_its_remedy(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    assert any(said in one for one in problems(tmp_path, text(*lines))), problems(
        tmp_path, text(*lines)
    )
