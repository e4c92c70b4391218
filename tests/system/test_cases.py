"""The inputs that went wrong elsewhere: whose each of them is, and which are the same.

docs/matching.md explains the rules by these examples. What concerns servers (cases 05 to 08 and 19)
is in the tests of the sources.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from msgspec import convert
from structlog.testing import capture_logs

from pipeline.document import Document
from pipeline.errors import AlreadyDelivered, Rejected
from stages.classify import classify_among
from stages.kind import Kind
from stages.settings import Company
from tests.helpers.cases import case
from tests.helpers.documents import classified, configured
from tests.helpers.writing import bench

OURS = Company("Bakkerij", "BE0403170701", "b", accounts=("BE45068999950189",))
A, B = "BE0700100171", "BE0700200240"


def companies(folder: str) -> list[Company]:
    """The companies beside a case, or our own one."""
    path = case(folder, "companies.toml")
    if not path.is_file():
        return [OURS]
    found = tomllib.loads(path.read_text("utf-8"))["companies"]
    return [convert(one, Company) for one in found]


@pytest.mark.parametrize(
    ("path", "mailbox", "kind", "company"),
    [
        ("01-placeholder-vat/slash-supplier-one.xml", "", Kind.PURCHASE, OURS.identifier),
        ("01-placeholder-vat/NA-supplier-two.xml", "", Kind.PURCHASE, OURS.identifier),
        ("02-vat-unit/purchase-of-B.xml", "", Kind.PURCHASE, B),
        ("02-vat-unit/purchase-of-B.xml", A, Kind.PURCHASE, B),
        ("02-vat-unit/sale-of-B.xml", "", Kind.SALES, B),
        ("02-vat-unit/B-invoices-A.xml", A, Kind.PURCHASE, A),
        ("02-vat-unit/B-invoices-A.xml", B, Kind.SALES, B),
        ("02-vat-unit/B-invoices-A.xml", "", Kind.UNKNOWN, ""),
        ("02-vat-unit/customer-named-A-by-vat-and-B-by-the-rest.xml", A, Kind.PURCHASE, A),
        ("02-vat-unit/customer-named-A-by-vat-and-B-by-the-rest.xml", B, Kind.PURCHASE, B),
        ("02-vat-unit/customer-named-A-by-vat-and-B-by-the-rest.xml", "", Kind.UNKNOWN, ""),
        ("03-statements-of-two-companies/A-and-B.camt053.xml", "", Kind.UNKNOWN, ""),
        ("03-statements-of-two-companies/A-and-B.camt053.xml", A, Kind.UNKNOWN, ""),
        ("03-statements-of-two-companies/A-and-B.cod", "", Kind.UNKNOWN, ""),
        ("04-statement-without-account/no-stmt.xml", OURS.identifier, Kind.UNKNOWN, ""),
        (
            "04-statement-without-account/stmt-whose-account-has-no-number.xml",
            OURS.identifier,
            Kind.UNKNOWN,
            "",
        ),
        ("10-mt940-dialects/balance-without-currency.sta", "", Kind.STATEMENT, OURS.identifier),
        ("10-mt940-dialects/blank-before-amount.sta", "", Kind.STATEMENT, OURS.identifier),
        ("10-mt940-dialects/blank-entry-date.sta", "", Kind.STATEMENT, OURS.identifier),
        ("10-mt940-dialects/expected-credit.sta", "", Kind.STATEMENT, OURS.identifier),
        ("10-mt940-dialects/line-end-before-amount.sta", "", Kind.STATEMENT, OURS.identifier),
        (
            "11-mt940-account-with-currency-part/bic-account-currency.sta",
            "",
            Kind.STATEMENT,
            OURS.identifier,
        ),
        ("11-mt940-account-with-currency-part/foreign.sta", "", Kind.UNKNOWN, ""),
        ("12-number-with-invisible-signs/bidi.xml", "", Kind.PURCHASE, OURS.identifier),
        ("12-number-with-invisible-signs/middle-dot.xml", "", Kind.PURCHASE, OURS.identifier),
        (
            "12-number-with-invisible-signs/non-breaking-hyphen.xml",
            "",
            Kind.PURCHASE,
            OURS.identifier,
        ),
        ("12-number-with-invisible-signs/zero-width.xml", "", Kind.PURCHASE, OURS.identifier),
        ("14-camt-other-namespaces/austrian.xml", "", Kind.STATEMENT, OURS.identifier),
        ("14-camt-other-namespaces/swiss.xml", "", Kind.STATEMENT, OURS.identifier),
        ("16-issue-date/with-z.xml", "", Kind.PURCHASE, OURS.identifier),
        ("17-credit-note-502/minus.xml", "", Kind.PURCHASE, OURS.identifier),
        ("20-same-statement-twice/b1.cod", "", Kind.STATEMENT, OURS.identifier),
    ],
)
def test_a_case_is_of_whom_it_is(path: str, mailbox: str, kind: Kind, company: str) -> None:
    folder, _, name = path.partition("/")
    found = classify_among(case(folder, name), companies(folder), mailbox)
    assert (found.kind, company in found.company) == (kind, True)
    if not company:
        assert found.company == ""
    if "-and-B" in name or (folder.startswith("02") and not company):
        assert A in found.reason
        assert B in found.reason
        assert {A, B} == {
            one for one in (A, B) if any(one in it.candidate for it in found.evidence)
        }


def test_a_foreign_account_is_never_its_currency() -> None:
    found = classify_among(case("11-mt940-account-with-currency-part", "foreign.sta"), [OURS])
    assert "123456789150ABCDEF009" in found.reason


@pytest.mark.anyio
async def test_a_customer_that_bears_nothing_is_as_the_list_says(tmp_path: Path) -> None:
    data = case("01-placeholder-vat", "customer-slash-only.xml").read_bytes()
    hint = {"kind": Kind.PURCHASE, "company": OURS.identifier}
    found = await classified(configured(tmp_path), data, **hint)
    assert (found.meta.kind, found.meta.company.identifier) == (Kind.PURCHASE, OURS.identifier)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name",
    [
        "attached-document.xml",
        "base64.txt",
        "double-bom.xml",
        "mt940-at-signs.sta",
    ],
)
async def test_what_the_list_calls_an_invoice_is_never_skipped(tmp_path: Path, name: str) -> None:
    data = case("09-invoice-taken-for-another-thing", name).read_bytes()
    kind = Kind.STATEMENT if name.endswith("sta") else Kind.PURCHASE
    config = configured(tmp_path, 'others = "skip"', 'accounts = ["BE45068999950189"]')
    try:
        found = await classified(config, data, kind=kind, company=OURS.identifier)
    except Rejected:
        return
    assert found.meta.kind is kind


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (
            "01-placeholder-vat/slash-supplier-one.xml",
            "01-placeholder-vat/slash-supplier-two.xml",
            False,
        ),
        ("01-placeholder-vat/NA-supplier-one.xml", "01-placeholder-vat/NA-supplier-two.xml", False),
        ("02-vat-unit/member-A-number-1.xml", "02-vat-unit/member-B-number-1.xml", False),
        ("13-sent-again-corrected/first.xml", "13-sent-again-corrected/corrected.xml", False),
        ("13-sent-again-corrected/first.xml", "13-sent-again-corrected/first.xml", True),
        ("16-issue-date/with-z.xml", "16-issue-date/with-zone.xml", True),
        ("17-credit-note-502/minus.xml", "17-credit-note-502/plus.xml", True),
        ("20-same-statement-twice/b1.cod", "20-same-statement-twice/b2.cod", True),
    ],
)
async def test_a_case_is_a_duplicate_or_not(
    tmp_path: Path, first: str, second: str, *, same: bool
) -> None:
    async with bench(tmp_path) as one:
        one.config = configured(tmp_path, more='accounts = ["BE45068999950189"]')
        for id_, path in (("1", first), ("2", second)):
            folder, _, name = path.partition("/")
            with capture_logs() as logs:
                end = await one.bring(case(folder, name).read_bytes(), id_)
            assert isinstance(end, AlreadyDelivered if same and id_ == "2" else Document)
        corrects = [
            log for log in logs if log["event"].endswith("number that was delivered before")
        ]
        # Of two suppliers that share nothing but a placeholder not even the number is the same.
        assert bool(corrects) is (not same and not first.startswith("01"))
        days = one.files()
        assert len(days) == 2 - same


@pytest.mark.anyio
async def test_an_issue_date_is_a_day_in_names_too(tmp_path: Path) -> None:
    for name in ("with-z.xml", "with-zone.xml"):
        data = case("16-issue-date", name).read_bytes()
        found = await classified(configured(tmp_path), data, id_=name)
        assert found.meta.issue_date == "2026-03-02"
