"""The section of e-invoice.be, with a key for each company, is checked as all others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.sources.einvoice_be.settings import EInvoiceBe
from tests.helpers.settings import GOOD, load, problems

BEGIN, END = GOOD.index("[[sources]]"), GOOD.index("[[companies]]")
KEYS = """[[sources.keys]]
name = "Bakkerij Peeters"
identifier = "0403.170.701"
secret = { file = "peeters.key" }
[[sources.keys]]
name = "Garage Dupont"
identifier = "BE0428759497"
secret = { env = "DUPONT_KEY" }
"""
SECTION = f'[[sources]]\nname = "billtobox"\nkind = "einvoice_be"\n{KEYS}'
TEXT = GOOD[:BEGIN] + SECTION + GOOD[END:]


def test_a_key_for_each_company_is_read_and_its_file_lies_beside_the_configuration(
    tmp_path: Path,
) -> None:
    (source,) = load(tmp_path, TEXT).sources
    assert isinstance(source, EInvoiceBe)
    assert [key.identifier for key in source.keys] == ["BE0403170701", "BE0428759497"]
    assert source.keys[0].secret.file == str(tmp_path / "peeters.key")
    assert source.keys[1].secret.env == "DUPONT_KEY"
    assert source.url == "https://api.e-invoice.be"
    assert (source.page_size, source.overlap, source.full_walk) == (100, 172_800, 604_800)


def test_keys_may_stand_in_one_line(tmp_path: Path) -> None:
    inline = 'keys = [{ name = "Bakkerij Peeters", secret = { env = "A" } }]\n'
    (source,) = load(tmp_path, TEXT.replace(KEYS, inline)).sources
    assert isinstance(source, EInvoiceBe)
    assert [key.label for key in source.keys] == ["Bakkerij Peeters"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (KEYS, "", "sources[1].keys (billtobox): this section is missing; write [[sources.keys]]"),
        (
            KEYS,
            "keys = []\n",
            "sources[1].keys (billtobox): this section is missing; write [[sources.keys]]",
        ),
        (
            KEYS,
            'keys = ["a"]\n',
            "sources[1].keys[1] (billtobox): a table is expected here; write [[sources.keys]]",
        ),
        (
            KEYS,
            'keys = "a"\n',
            "keys (billtobox): a list of tables is expected here; write [[sources.keys]]",
        ),
        (
            'secret = { file = "peeters.key" }\n',
            "",
            "sources[1].keys[1].secret (billtobox, Bakkerij Peeters): this key is missing; write {",
        ),
        (
            '{ file = "peeters.key" }',
            '"s3cret"',
            "keys[1].secret (billtobox, Bakkerij Peeters): a secret may not stand in the file",
        ),
        ("0403.170.701", "0403.170.702", "has wrong check digits"),
        (
            'name = "Garage Dupont"\nidentifier = "BE0428759497"\n',
            "",
            "sources[1].keys[2].identifier (billtobox): this is missing; write the number",
        ),
        (
            "BE0428759497",
            "BE0403170701",
            "sources[1].keys[2].identifier (billtobox, Garage Dupont): keys[1] has the same",
        ),
        ('{ env = "DUPONT_KEY" }', '{ file = "peeters.key" }', "keys[1] has the same"),
        ("secret = { env", "secrets = { env", 'did you mean "secret"?'),
        (
            '"einvoice_be"\n',
            '"einvoice_be"\npage_size = 101\n',
            "the platform gives 1 to 100 a page",
        ),
        (
            '"einvoice_be"\n',
            '"einvoice_be"\nstorage_hosts = ["https://x.be/"]\n',
            "this is no host",
        ),
        ('"einvoice_be"\n', '"einvoice_be"\nstorage_hosts = ["*"]\n', "this is no host"),
        ('"einvoice_be"\n', '"einvoice_be"\nstorage_hosts = ["*.be"]\n', "this is no host"),
        ('"einvoice_be"\n', '"einvoice_be"\nurl = "http://api.e-invoice.be"\n', "in the clear"),
        ('"einvoice_be"\n', '"einvoice_be"\noverlap = "0d"\n', "more than zero"),
        (
            '"einvoice_be"\n',
            '"einvoice_be"\ninbox = false\noutbox = false\n',
            "neither the inbox nor the outbox is read",
        ),
    ],
)
def test_what_is_wrong_with_a_section_is_said(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    found = problems(tmp_path, TEXT.replace(old, new, 1))
    assert any(said in one for one in found), found
    assert not any("s3cret" in one for one in found)


def test_all_problems_of_all_keys_come_at_once(tmp_path: Path) -> None:
    text = TEXT.replace("0403.170.701", "x").replace('{ env = "DUPONT_KEY" }', "7")
    assert len([one for one in problems(tmp_path, text) if "keys[" in one]) == 2
