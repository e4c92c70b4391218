"""`synqup classify` and `check` tell an accountant whose a document is, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.app.wiring import load_config
from pipeline.app.wiring_sandbox import serve_sandbox
from stages.check import examine
from stages.sandbox import Mailbox, write_config
from tests.helpers.cases import case
from tests.helpers.documents import configured
from tests.helpers.invoices import ubl
from tests.helpers.processes import synqup

MEMBERS = """identifiers = ["BE0700900917"]
[[companies]]
name = "Dochter B"
identifier = "BE0700200240"
identifiers = ["BE0700900917"]
source = "box"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of two members of a VAT unit."""
    configured(tmp_path, more=MEMBERS)
    path = tmp_path / "synqup.toml"
    path.write_text(path.read_text("utf-8").replace("BE0403170701", "BE0700100171"), "utf-8")
    return path


def told(config: Path, name: str, *more: str) -> dict[str, object]:
    path = case("02-vat-unit", name)
    found = json.loads(synqup("classify", "--config", config, "--json", *more, path))
    assert isinstance(found, dict)
    return found


def test_the_evidence_is_told_for_and_against_each_candidate(config: Path) -> None:
    found = told(config, "customer-named-A-by-vat-and-B-by-the-rest.xml")
    assert (found["kind"], found["company"]) == ("unknown", "")
    by_candidate = {one["candidate"]: one for one in found["evidence"]}  # type: ignore[attr-defined]
    one = by_candidate["purchase of Supplier (BE0700100171)"]
    assert [len(one[side]) for side in ("supports", "contradicts")] == [1, 2]
    other = by_candidate["purchase of Dochter B (BE0700200240)"]
    assert [len(other[side]) for side in ("supports", "contradicts")] == [2, 1]
    plain = synqup(
        "classify",
        "--config",
        config,
        case("02-vat-unit", "customer-named-A-by-vat-and-B-by-the-rest.xml"),
    )
    assert "    for: PartyTaxScheme/CompanyID BE0700100171" in plain
    assert "    against: " in plain


def test_the_mailbox_settles_what_the_content_does_not(config: Path) -> None:
    name = "customer-named-A-by-vat-and-B-by-the-rest.xml"
    for mailbox in ("BE0700100171", "BE0700200240"):
        found = told(config, name, "--mailbox", mailbox)
        assert (found["kind"], mailbox in str(found["company"])) == ("purchase", True)


def test_one_company_or_a_configuration_is_needed(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "invoice.xml"
    file.write_text(ubl(), "utf-8")
    assert "--company" in synqup("classify", file, expect=2)
    assert "--company" in synqup(
        "classify", "--company", "BE0403170701", "--config", config, file, expect=2
    )
    assert "sales" in synqup("classify", "--company", "BE0403170701", file)


@pytest.mark.anyio
async def test_check_names_a_number_that_several_companies_list(
    config: Path, tmp_path: Path
) -> None:
    findings = await examine(load_config(config))
    (shared,) = [one for one in findings if one.about == "company"]
    assert shared.ok
    assert "BE0700900917 is listed by Supplier (BE0700100171), Dochter B (BE0700200240)" in (
        shared.sentence
    )
    mailbox = Mailbox(2, 2, 1)
    async with serve_sandbox(mailbox) as sandbox:
        write_config(tmp_path / "plain.toml", sandbox, mailbox)
        found = await examine(load_config(tmp_path / "plain.toml"))
    assert not [one for one in found if one.about == "company"]
