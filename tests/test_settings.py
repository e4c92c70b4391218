"""A configuration is read whole, or everything that is wrong with it is said at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.config import Duration, Secret, Size
from pipeline.errors import ConfigurationError
from stages.identifiers import company_identifier
from stages.settings import Config, destination, load_config

GOOD = """
[service]
state_dir = "state"
poll_interval = "5m"
[delivery]
purchases  = "out/[enterprise_name]_[enterprise_identifier]/achats"
sales      = "out/[enterprise_name]_[enterprise_identifier]/ventes"
statements = "out/[enterprise_name]_[enterprise_identifier]/coda"
[[sources]]
name = "billtobox"
kind = "billtobox"
url = "https://example.test/v4"
token_url = "https://example.test/token"
client_id = "us"
client_secret = { env = "SYNQUP_BILLTOBOX_SECRET" }
[[companies]]
name = "Bakkerij Peeters"
identifier = "0403.170.701"
accounting_file_id = "PEET01"
source = "billtobox"
"""

SECOND = """
[[companies]]
name = "Garage Dupont"
identifier = "BE0428759497"
source = "billtobox"
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "synqup.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        load(folder, text)
    return refused.value.problems


def test_a_good_file_is_read_with_its_paths_absolute(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    (company,) = config.companies
    assert config.service.state_dir == tmp_path / "state"
    assert config.service.poll_interval == 300
    assert config.service.max_document_size == 50_000_000
    assert company.identifier == "BE0403170701"
    assert destination(config.delivery, company, "sales") == (
        tmp_path / "out" / "Bakkerij Peeters_BE0403170701" / "ventes"
    )


def test_a_path_of_a_company_goes_before_that_of_delivery(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + f'sales = "{tmp_path.as_posix()}/[accounting_file_id]/out"\n')
    (company,) = config.companies
    assert destination(config.delivery, company, "sales") == tmp_path / "PEET01" / "out"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"5m"', '"5 fortnights"', ['service.poll_interval: "5 fortnights" is not a duration']),
        ('"5m"', "true", ["service.poll_interval: expected is a duration"]),
        ('"5m"', '"0s"', ["service.poll_interval: less than a second"]),
        ("poll_interval", "pol_interval", ["service.pol_interval", 'mean "poll_interval"']),
        ('state_dir = "state"', "", ["service.state_dir: this key is missing"]),
        ("[service]", "[servise]", ['servise: there is no such key; did you mean "service"']),
        ("[service]", "[servise]", ["service: this section is missing"]),
        ('"0403.170.701"', '"0403.170.702"', ["companies[1].identifier", "check digits"]),
        ('source = "billtobox"', 'source = "box"', ["companies[1].source", '"billtobox"']),
        ('kind = "billtobox"', 'kind = "coda"', ['sources[1].kind: there is no kind "coda"']),
        ('kind = "billtobox"', "", ["sources[1].kind: this key is missing"]),
        ("https://example.test/v4", "http://example.test/v4", ["sources[1].url", "in the clear"]),
        ("https://example.test/v4", "example", ["sources[1].url: this is no web address"]),
        ("/achats", "/[enterprise]/achats", ["delivery.purchases", "[enterprise]", "did you mean"]),
        ("out/[enterprise_name]", "../[enterprise_name]", ["delivery.sales", "leaves the folder"]),
        ('"us"', "12", ["sources[1].client_id: expected text, got a number"]),
        ('accounting_file_id = "PEET01"', "accounts = [3]", ["companies[1].accounts[1]"]),
        ('accounting_file_id = "PEET01"', 'accounts = ["BE1"]', ["no valid IBAN"]),
        ("[[companies]]", "[companies]", ["companies: ", "list"]),
        ("[delivery]", '[delivery]\ninvoice_name = "[nr]"', ["delivery.invoice_name", "[nr]"]),
        ("[delivery]", "[stages.fetch]\nworkers = 1\n[delivery]", ["stages.fetch", "download"]),
        ("[delivery]", "[stages.write]\nworkers = 0\n[delivery]", ["stages.write.workers"]),
    ],
)
def test_what_is_wrong_is_said_with_its_key_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert old in GOOD
    told = "\n".join(problems(tmp_path, GOOD.replace(old, new)))
    for words in said:
        assert words in told


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    wrong = (
        GOOD.replace('"5m"', '"often"').replace("0403.170.701", "1").replace("/coda", "/[x]")
        + 'colour = "red"\n'
    )
    assert len(problems(tmp_path, wrong)) == 4


def test_an_empty_file_lacks_every_section(tmp_path: Path) -> None:
    assert [one.partition(":")[0] for one in problems(tmp_path, "")] == [
        *("service", "delivery", "sources", "companies")
    ]


@pytest.mark.parametrize("text", ["[service", "a = \n", "x = 1\nx = 2"])
def test_what_is_no_toml_is_said_with_its_line(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert "it is not TOML" in problem


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "synqup.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_config(tmp_path / "synqup.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + GOOD).companies


@pytest.mark.parametrize(
    "secret",
    ['"s3cret-value"', '{ value = "s3cret-value" }', '{ env = "A", file = "s3cret-value" }', "{}"],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(tmp_path: Path, secret: str) -> None:
    wrong = GOOD.replace('{ env = "SYNQUP_BILLTOBOX_SECRET" }', secret)
    (problem,) = problems(tmp_path, wrong)
    assert problem.startswith("sources[1].client_secret")
    assert "{ env =" in problem
    assert "s3cret" not in problem


def test_a_file_of_a_secret_is_sought_beside_the_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace('env = "SYNQUP_BILLTOBOX_SECRET"', 'file = "a.secret"'))
    assert config.sources[0].client_secret == Secret(file=str(tmp_path / "a.secret"))


def test_two_companies_with_one_folder_and_one_name_are_told(tmp_path: Path) -> None:
    shared = GOOD.replace("[enterprise_name]_[enterprise_identifier]", "all") + SECOND
    told = problems(tmp_path, shared)
    assert len(told) == 3
    assert "Garage Dupont and Bakkerij Peeters" in told[0]


def test_two_companies_may_share_a_folder_where_the_names_tell_them_apart(tmp_path: Path) -> None:
    shared = GOOD.replace("[enterprise_name]_[enterprise_identifier]", "all") + SECOND
    names = '[delivery]\ninvoice_name = "[enterprise_identifier]_[id]"\nstatement_name = "[enterprise_name]_[id]"'
    assert len(load(tmp_path, shared.replace("[delivery]", names)).companies) == 2


def test_one_company_may_have_one_folder_for_all(tmp_path: Path) -> None:
    one = GOOD.replace("/achats", "").replace("/ventes", "").replace("/coda", "")
    assert load(tmp_path, one).companies


def test_the_same_company_twice_is_told(tmp_path: Path) -> None:
    twice = GOOD + SECOND.replace("BE0428759497", "BE 0403 170 701")
    assert any("companies[1] is BE0403170701 too" in one for one in problems(tmp_path, twice))


def test_a_file_number_that_a_path_needs_is_asked_for(tmp_path: Path) -> None:
    text = GOOD.replace("[enterprise_name]_", "[accounting_file_id]_") + SECOND
    assert any(
        one.startswith("companies[2].accounting_file_id") for one in problems(tmp_path, text)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there it is a path like any other")
def test_a_path_of_windows_is_told_elsewhere(tmp_path: Path) -> None:
    told = problems(tmp_path, GOOD + 'sales = "D:/Winbooks/Data/PEET01/outbound"\n')
    assert "companies[1].sales" in told[0]
    assert "Windows" in told[0]


@pytest.mark.parametrize(
    "spelling",
    [
        *("BE0403170701", "0403.170.701", "BE 0403.170.701", "403170701", "be-0403-170-701"),
        *("0208:0403170701", "9925:BE0403170701", "BE:CBE0403170701", " 0403 170 701 "),
    ],
)
def test_an_enterprise_number_is_known_in_every_spelling(spelling: str) -> None:
    assert company_identifier(spelling) == "BE0403170701"


@pytest.mark.parametrize("text", ["", "BE", "0403170702", "BE04031707011", "Peeters", "FR1"])
def test_what_is_no_company_number_is_none(text: str) -> None:
    assert company_identifier(text) is None


def test_a_foreign_vat_number_keeps_its_country() -> None:
    assert company_identifier("FR 61 954 506 077") == "FR61954506077"


@pytest.mark.parametrize(("text", "seconds"), [('"90s"', 90), ('"1.5h"', 5400), ("30", 30)])
def test_durations(tmp_path: Path, text: str, seconds: float) -> None:
    assert load(tmp_path, GOOD.replace('"5m"', text)).service.poll_interval == Duration(seconds)


@pytest.mark.parametrize(
    ("text", "size"), [('"4 MB"', 4_000_000), ('"1KiB"', 1024), ("77", 77), ('"500 kB"', 500_000)]
)
def test_sizes(tmp_path: Path, text: str, size: int) -> None:
    sized = GOOD.replace("[delivery]", f"spool_threshold = {text}\n[delivery]")
    assert load(tmp_path, sized).service.spool_threshold == Size(size)
