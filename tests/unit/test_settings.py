"""A configuration is read whole, or everything that is wrong with it is said at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.config.types import Secret
from stages.configuration import load_config
from stages.flow import STAGE_NAMES
from stages.settings import destination, formats_of
from stages.sources.registry import SECTIONS
from tests.helpers.settings import GOOD, SECOND, load, problems
from tests.helpers.systems import not_under_wine, reason_of_absence


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
        (
            "poll_interval",
            "workers = 2\npoll_interval",
            ["service.workers: there are no worker processes any more"],
        ),
        ("poll_interval", "scope = 'a'\npoll_interval", ["it belongs in [[sources]]"]),
        ('state_dir = "state"', 'state_dir = "../state"', ["service.state_dir", "leaves"]),
        ("[service]", "[servise]", ['servise: there is no such key; did you mean "service"']),
        ("[service]", "[servise]", ["service: this section is missing"]),
        ('"0403.170.701"', '"0403.170.702"', ["companies[1].identifier", "check digits"]),
        ('source = "billtobox"', 'source = "box"', ["companies[1].source", '"billtobox"']),
        (
            'kind = "billtobox"',
            'kind = "coda"',
            ['sources[1].kind (billtobox): there is no kind "coda"'],
        ),
        (
            'kind = "billtobox"',
            "",
            ["sources[1].kind (billtobox): this key is missing", '"billtobox"'],
        ),
        ("https://example.test/v4", "http://example.test/v4", ["sources[1].url", "in the clear"]),
        ("https://example.test/v4", "http://127.example.test", ["sources[1].url", "in the clear"]),
        ("https://example.test/v4", "https://us:s3cret@example.test", ["may not hold a user"]),
        ("https://example.test/v4", "https://example.test:port", ["this is no web address"]),
        ("client_id", "page_size = 51\nclient_id", ["sources[1].page_size", "1 to 50"]),
        ("client_id", "stall_timeout = 0\nclient_id", ["sources[1].stall_timeout", "zero"]),
        (
            "https://example.test/v4",
            "example",
            ["sources[1].url (billtobox): this is no web address"],
        ),
        ("/achats", "/[enterprise]/achats", ["delivery.purchases", "[enterprise]", "did you mean"]),
        ("out/[enterprise_name]", "../[enterprise_name]", ["delivery.sales", "leaves the folder"]),
        ('"us"', "12", ["sources[1].client_id (billtobox): expected text, got a number"]),
        ('accounting_file_id = "PEET01"', "accounts = [3]", ["companies[1].accounts[1]"]),
        ('accounting_file_id = "PEET01"', 'accounts = ["BE1"]', ["accounts[1]", "no valid IBAN"]),
        ('accounting_file_id = "PEET01"', 'accounts = ["BE68539007547035"]', ["no valid IBAN"]),
        ("Bakkerij Peeters", " ", ["companies[1].name", "can't be empty"]),
        ("/achats", "/[enterprise_name", ["delivery.purchases", "no other half"]),
        ("[[companies]]", "[companies]", ["companies: ", "list"]),
        ("[delivery]", '[delivery]\ninvoice_name = "[nr]"', ["delivery.invoice_name", "[nr]"]),
        ("[delivery]", '[delivery]\ninvoice_name = "a/[id]"', ["delivery.invoice_name", "hold"]),
        ("[delivery]", '[delivery]\nstatement_name = ""', ["delivery.statement_name", "empty"]),
        ("[delivery]", '[delivery]\nformats = "xml"', ["delivery.formats", '"ubl+pdf"']),
        ("[delivery]", '[delivery]\nduplicates = "no"', ["delivery.duplicates", '"deliver"']),
        ("[delivery]", '[delivery]\nothers = "drop"', ["delivery.others", '"skip"']),
        ("[delivery]", '[delivery]\nothers = "deliver"', ["delivery.others_path", "others go"]),
        ("[delivery]", '[delivery]\nanswers = "skip"', ["delivery.answers", '"record"']),
        ("[delivery]", '[delivery]\nanswers = "deliver"', ["others_path", 'answers = "deliver"']),
        (
            "[delivery]",
            '[delivery]\nothers = "deliver"\nothers_path = "a/[b]"',
            ["delivery.others_path", "[b]"],
        ),
        ('"PEET01"', '"PEET01"\nformats = "xml"', ["companies[1].formats", '"ubl+pdf"']),
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
    assert "s3cret" not in told


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    shared = 'purchases = "shared"\n'
    wrong = (
        GOOD.replace('"5m"', '"often"').replace("/coda", "/[x]").replace('state_dir = "state"', "")
        + 'colour = "red"\nsales = 3\naccounts = ["BE1"]\n'
        + shared
        + SECOND.replace('source = "billtobox"', 'sales = "../x"')
        + shared
        + SECOND.replace("Garage Dupont", "Third").replace("BE0428759497", "1")
        + SECOND.replace("Garage Dupont", "Fourth")
        + SECOND.replace("Garage Dupont", "Fifth").replace('"billtobox"', '"box"')
        + SECOND.replace("Garage Dupont", "Sixth")
    )
    assert [one.partition(": ")[0] for one in problems(tmp_path, wrong)] == [
        "service.state_dir",
        "service.poll_interval",
        "delivery.statements",
        "companies[1].colour (Bakkerij Peeters)",
        "companies[1].accounts[1] (Bakkerij Peeters)",
        "companies[1].sales (Bakkerij Peeters)",
        "companies[2].sales (Garage Dupont)",
        "companies[3].identifier (Third)",
        "companies[2].source (Garage Dupont)",
        "companies[5].source (Fifth)",
        "companies[6].identifier (Sixth)",
        "companies[2].purchases (Garage Dupont)",
    ]


def test_a_company_without_a_name_is_checked_for_the_rest(tmp_path: Path) -> None:
    told = problems(tmp_path, GOOD.replace('name = "Bakkerij Peeters"', "").replace(".701", ".702"))
    assert [one.partition(":")[0] for one in told] == [
        "companies[1].name",
        "companies[1].identifier",
    ]


def test_the_name_of_a_company_stands_beside_its_number(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, GOOD.replace(".701", ".702"))
    assert told.startswith("companies[1].identifier (Bakkerij Peeters): ")


def test_a_source_that_is_wrong_is_still_the_one_that_companies_name(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, GOOD.replace('client_id = "us"', ""))
    assert told.startswith("sources[1].client_id")


def test_the_largest_document_may_be_below_the_usual_threshold(tmp_path: Path) -> None:
    small = GOOD.replace("[delivery]", 'max_document_size = "1 MB"\n[delivery]')
    assert load(tmp_path, small).service.max_document_size == 1_000_000
    (told,) = problems(
        tmp_path, small.replace("[delivery]", 'spool_threshold = "2 MB"\n[delivery]')
    )
    assert told.startswith("service.spool_threshold: this is more than max_document_size")


def test_a_file_of_certificates_is_looked_into(tmp_path: Path) -> None:
    def said(name: str) -> str:
        text = GOOD.replace("client_id =", f'ca_file = "{name}"\nclient_id =')
        (problem,) = problems(tmp_path, text)
        return problem

    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    assert "sources[1].ca_file (billtobox): key.pem holds no certificate" in said("key.pem")
    assert "in PEM form" in said("key.pem")
    assert f"absent.pem can't be read ({reason_of_absence(tmp_path)})" in said("absent.pem")


def test_two_sources_of_one_name_are_told(tmp_path: Path) -> None:
    source = GOOD[GOOD.index("[[sources]]") : GOOD.index("[[companies]]")]
    (told,) = problems(tmp_path, GOOD + source)
    assert told.startswith('sources[2].name (billtobox): sources[1] is "billtobox" too')


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "127.3.2.1", "[::1]:80"])
def test_this_machine_needs_no_https(tmp_path: Path, host: str) -> None:
    local = GOOD.replace("https://example.test", f"http://{host}")
    assert load(tmp_path, local).sources[0].url == f"http://{host}/v4"


def test_a_folder_with_brackets_is_a_folder(tmp_path: Path) -> None:
    base = tmp_path / "[books] [enterprise]"
    base.mkdir()
    config = load(base, GOOD)
    made = destination(config.delivery, config.companies[0], "sales")
    assert made == base / "out" / "Bakkerij Peeters_BE0403170701" / "ventes"


@not_under_wine("has no symbolic links")
def test_a_link_to_the_file_counts_as_the_file(tmp_path: Path) -> None:
    real, shown = tmp_path / "real", tmp_path / "shown"
    real.mkdir()
    shown.mkdir()
    load(real, GOOD)
    try:
        (shown / "synqup.toml").symlink_to(real / "synqup.toml")
    except OSError:
        pytest.skip("this account may not make links")
    assert (
        load_config(shown / "synqup.toml", STAGE_NAMES, SECTIONS).service.state_dir
        == shown / "state"
    )


def test_an_empty_file_lacks_every_section(tmp_path: Path) -> None:
    assert [one.partition(":")[0] for one in problems(tmp_path, "")] == [
        *("service", "delivery", "sources", "companies")
    ]


def test_a_file_of_a_secret_is_sought_beside_the_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace('env = "SYNQUP_BILLTOBOX_SECRET"', 'file = "a.secret"'))
    assert config.sources[0].client_secret == Secret(file=str(tmp_path / "a.secret"))


def test_two_companies_with_one_folder_and_one_name_are_told(tmp_path: Path) -> None:
    shared = GOOD.replace("[enterprise_name]_[enterprise_identifier]", "all") + SECOND
    told = problems(tmp_path, shared)
    assert len(told) == 3
    assert "Garage Dupont and Bakkerij Peeters" in told[0]


def test_folders_are_one_whatever_the_case_of_their_letters(tmp_path: Path) -> None:
    own = 'sales = "Shared"\n'
    (told,) = problems(tmp_path, GOOD + own + SECOND + own.lower())
    assert told.startswith("companies[2].sales (Garage Dupont)")
    assert "Bakkerij Peeters (companies[1])" in told


NAMES = """[delivery]
invoice_name = "[enterprise_identifier]_[id]"
statement_name = "[accounting_file_id]_[id]"
"""


def test_two_companies_may_share_a_folder_where_the_names_tell_them_apart(tmp_path: Path) -> None:
    shared = GOOD.replace("[enterprise_name]_[enterprise_identifier]", "all") + SECOND
    assert len(load(tmp_path, shared.replace("[delivery]\n", NAMES)).companies) == 2


def test_a_variable_of_one_value_tells_no_companies_apart(tmp_path: Path) -> None:
    shared = GOOD.replace("[enterprise_name]_[enterprise_identifier]", "all") + SECOND
    third = SECOND.replace("Garage Dupont", "Third").replace("BE0428759497", "BE0202239951")
    (told,) = problems(tmp_path, shared.replace("[delivery]\n", NAMES) + third)
    assert told.startswith("companies[3].statements (Third): Third and Garage Dupont")


def test_one_company_may_come_from_two_sources(tmp_path: Path) -> None:
    source = GOOD[GOOD.index("[[sources]]") : GOOD.index("[[companies]]")]
    company = GOOD[GOOD.index("[[companies]]") :]
    other = (source + company).replace('"billtobox"\nkind', '"two"\nkind')
    other = other.replace('source = "billtobox"', 'source = "two"')
    assert len(load(tmp_path, GOOD + other).companies) == 2


def test_one_company_may_have_one_folder_for_all(tmp_path: Path) -> None:
    one = GOOD.replace("/achats", "").replace("/ventes", "").replace("/coda", "")
    assert load(tmp_path, one).companies


def test_the_same_company_twice_is_told(tmp_path: Path) -> None:
    twice = GOOD + SECOND.replace("BE0428759497", "BE 0403 170 701")
    assert any("companies[1] is BE0403170701 too" in one for one in problems(tmp_path, twice))


def test_a_file_number_that_a_path_needs_is_asked_for(tmp_path: Path) -> None:
    text = GOOD.replace("[enterprise_name]_", "[accounting_file_id]_") + SECOND
    (told,) = problems(tmp_path, text)
    assert told.startswith("companies[2].accounting_file_id (Garage Dupont): this is missing")
    assert "purchases and sales and statements" in told


OTHERS = '[delivery]\nothers = "deliver"\n'


def test_two_companies_may_not_share_a_folder_of_others(tmp_path: Path) -> None:
    shared = GOOD.replace("[delivery]\n", OTHERS + 'others_path = "others"\n') + SECOND
    (told,) = problems(tmp_path, shared)
    assert told.startswith("companies[2].others_path (Garage Dupont): Garage Dupont and Bakkerij")
    unused = shared.replace('"deliver"', '"skip"')
    assert load(tmp_path, unused).delivery.others == "skip"


def test_the_path_of_others_needs_what_it_is_made_of(tmp_path: Path) -> None:
    path = 'others_path = "others/[accounting_file_id]"\n'
    (told,) = problems(tmp_path, GOOD.replace("[delivery]\n", OTHERS + path) + SECOND)
    assert told.startswith("companies[2].accounting_file_id (Garage Dupont)")
    config = load(tmp_path, GOOD.replace("[delivery]\n", OTHERS + path))
    made = destination(config.delivery, config.companies[0], "others_path")
    assert made == tmp_path / "others" / "PEET01"


def test_what_becomes_of_documents_has_careful_defaults(tmp_path: Path) -> None:
    delivery = load(tmp_path, GOOD).delivery
    assert (delivery.formats, delivery.duplicates, delivery.others) == ("ubl", "skip", "quarantine")


def test_a_company_may_have_forms_of_its_own(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + 'formats = "ubl+pdf"\n' + SECOND)
    assert [formats_of(config.delivery, one) for one in config.companies] == ["ubl+pdf", "ubl"]


@pytest.mark.skipif(sys.platform == "win32", reason="there it is a path like any other")
def test_a_path_of_windows_is_told_elsewhere(tmp_path: Path) -> None:
    told = problems(tmp_path, GOOD + 'sales = "D:/Winbooks/Data/PEET01/outbound"\n')
    assert "companies[1].sales" in told[0]
    assert "Windows" in told[0]


def test_accounts_are_kept_in_one_spelling(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + 'accounts = ["be68 5390 0754 7034"]\n')
    assert config.companies[0].accounts == ("BE68539007547034",)
