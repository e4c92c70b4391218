"""The same invoice by two routes is delivered once; a corrected one is another."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.document import Document, Sidecar
from pipeline.errors import AlreadyDelivered, RetryableError
from pipeline.ledger.models import State
from pipeline.payload import Payload
from stages.delivery import publish as parcel
from stages.delivery.rename import rename_exclusively
from stages.kind import Kind
from stages.matching.fingerprint import fingerprint
from stages.model import Fingerprint
from stages.sandbox.invoices import Invoice
from stages.sandbox.state_index import State as MailboxState
from tests.helpers.cii import SELLER, d16b
from tests.helpers.documents import SUPPLIER, configured
from tests.helpers.invoices import invoice, ubl
from tests.helpers.trial import Trial, trial
from tests.helpers.writing import bench

pytestmark = pytest.mark.anyio

INVOICE = ubl()


def told(text: str) -> Fingerprint:
    found = fingerprint(invoice(text))
    assert found is not None
    return found


def vat(number: str) -> str:
    return f"<cac:PartyTaxScheme><cbc:CompanyID>{number}</cbc:CompanyID></cac:PartyTaxScheme>"


def legal(number: str, scheme: str = "") -> str:
    scheme = f' schemeID="{scheme}"' if scheme else ""
    return (
        f"<cac:PartyLegalEntity><cbc:CompanyID{scheme}>{number}</cbc:CompanyID>"
        "</cac:PartyLegalEntity>"
    )


def country(code: str) -> str:
    return (
        "<cac:PostalAddress><cac:Country><cbc:IdentificationCode>"
        f"{code}</cbc:IdentificationCode></cac:Country></cac:PostalAddress>"
    )


def endpoint(number: str, scheme: str = "0208") -> str:
    return f'<cbc:EndpointID schemeID="{scheme}">{number}</cbc:EndpointID>'


@pytest.mark.parametrize(
    "supplier",
    [
        vat("BE0403170701"),
        vat("BE 0403.170.701"),
        vat("0403170701"),
        legal("0403.170.701"),
        endpoint("BE0403170701", "9925"),
        endpoint("5790000435975", "0088") + legal("0403170701", "0208"),
        legal("0202239951", "0208") + vat("BE0403170701"),
        country("BE") + vat("403170701"),
    ],
)
def test_a_supplier_is_known_by_any_spelling_of_its_number(supplier: str) -> None:
    assert told(ubl(supplier)) == told(INVOICE)
    assert told(ubl(supplier)).supplier == "BE0403170701"


def test_a_foreign_supplier_is_known_by_its_vat_number() -> None:
    first = told(ubl(vat("NL820098395B01") + legal("0403170701")))
    assert first == told(ubl(vat("NL8200.98.395.B.01")))
    assert first == told(ubl(country("NL") + vat("820098395B01")))
    assert first != told(ubl(legal("0403170701")))


def test_ubl_and_cii_of_one_invoice_have_one_identity() -> None:
    assert told(ubl(country("FR") + vat("FR11999999998"))) == told(d16b())
    assert told(d16b()).supplier == told(d16b(old=True)).supplier
    assert "FR11999999998" in SELLER


def total(amount: str, root: str = "Invoice") -> str:
    return ubl(root=root).replace(">12.10<", f">{amount}<")


@pytest.mark.parametrize("amount", ["12.1", "12.10", "12.1000", " 12.10 ", "+12.10", "012.10"])
def test_an_amount_is_one_however_it_is_written(amount: str) -> None:
    assert told(total(amount)) == told(INVOICE)


def test_the_sign_tells_invoices_apart_and_not_credit_notes() -> None:
    assert told(total("-12.10")) != told(INVOICE)
    assert told(total("-12.10", "CreditNote")) == told(total("12.10", "CreditNote"))
    assert told(total("0")) == told(total("-0.00"))


@pytest.mark.parametrize("amount", ["1,5", "NaN", "1e999999999999", "Infinity"])
def test_an_amount_that_is_none_is_compared_as_it_stands(amount: str) -> None:
    assert told(total(amount)) == told(total(amount))
    assert told(total(amount)) != told(INVOICE)


def test_a_date_is_one_with_and_without_its_time_zone() -> None:
    assert told(INVOICE.replace("2026-02-01", "2026-02-01+01:00")) == told(INVOICE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0403170701", "0202239951"),
        (">F-1<", ">F-2<"),
        ("2026-02-01", "2027-02-01"),
        ("12.10", "12.11"),
        ("</cbc:IssueDate>", "</cbc:IssueDate><cbc:InvoiceTypeCode>384</cbc:InvoiceTypeCode>"),
    ],
)
def test_each_part_tells_two_apart(old: str, new: str) -> None:
    assert old in INVOICE
    other = told(INVOICE.replace(old, new))
    assert other.hash("BE1", "sales") != told(INVOICE).hash("BE1", "sales")


def test_it_is_of_one_company_and_one_side() -> None:
    one = told(INVOICE)
    assert (
        len({one.hash(*whose) for whose in (("BE1", "sales"), ("BE1", "purchase"), ("B", ""))}) == 3
    )
    assert one.hash("BE1", "sales") < 2**63


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (endpoint("0403170701"), ""),
        (">F-1<", "> <"),
        ("2026-02-01", ""),
        (">12.10<", "><"),
    ],
)
def test_without_one_of_its_parts_there_is_none(old: str, new: str) -> None:
    assert old in INVOICE
    assert fingerprint(invoice(INVOICE.replace(old, new))) is None


async def test_the_second_is_recorded_as_a_duplicate_of_the_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        assert isinstance(await one.bring(INVOICE, "1"), Document)
        other = total("12.1")
        again = await one.bring(other, "2", source="two")
        assert isinstance(again, AlreadyDelivered)
        assert "the same as invoice 1 of source box, which was delivered" in str(again)
        assert one.files() == ["F-1.xml"]
        assert not list((tmp_path / "staging").iterdir())


async def test_two_in_one_group_are_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        group = [await one.make(INVOICE, id_) for id_ in "123"]
        first, *others = await one.work(*group)
        assert isinstance(first, Document)
        assert [type(other) for other in others] == [AlreadyDelivered] * 2
        assert one.files() == ["F-1.xml"]


async def test_when_the_first_fails_its_duplicate_waits_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: Path, target: Path) -> None:
        raise PermissionError(13, "denied", str(source), None, str(target))

    async with bench(tmp_path) as one:
        group = [await one.make(INVOICE, id_) for id_ in "12"]
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "rename_exclusively", denied)
            assert [type(end) for end in await one.work(*group)] == [RetryableError] * 2
        assert [await one.state(document) for document in group] == [State.WAITING] * 2
        assert not list((tmp_path / "staging").iterdir())
        # The next poll brings both again, perhaps the other way round.
        second, first = await one.work(*reversed(group))
        assert isinstance(second, Document)
        assert isinstance(first, AlreadyDelivered)
        assert one.files() == ["F-1.xml"]


async def test_while_the_first_is_half_visible_its_duplicate_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: Path, target: Path) -> None:
        # Neither the document nor its sidecar on its way back.
        if "xml" in target.suffix or source.parent.name == "out":
            raise PermissionError(13, "denied", str(source), None, str(target))
        rename_exclusively(source, target)

    pdf = Sidecar("pdf", Payload(5, "", b"%PDF-"))
    async with bench(tmp_path) as one:
        somebody = tmp_path / "out" / SUPPLIER / "out" / "F-1.xml"
        somebody.parent.mkdir(parents=True)
        somebody.write_text("somebody's")
        first = structs.replace(await one.make(INVOICE, "1"), sidecars=(pdf,))
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "rename_exclusively", denied)
            assert [type(end) for end in await one.work(first)] == [RetryableError]
        assert await one.state(first) is State.STAGED
        waits = await one.bring(INVOICE, "2")
        assert isinstance(waits, RetryableError)
        assert "has yet to be delivered" in str(waits)
        # The importer takes what it knows; the document still goes by the name of its sidecar.
        somebody.unlink()
        await one.write.recovery.retry(lambda _: False)
        assert one.files() == ["F-1-2.pdf", "F-1-2.xml"]
        assert isinstance(await one.bring(INVOICE, "2"), AlreadyDelivered)


async def test_a_corrected_one_is_delivered_and_marked(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.bring(INVOICE, "1")
        with capture_logs() as logs:
            assert isinstance(await one.bring(total("13.00"), "2"), Document)
        assert [log["before"] for log in logs if "number" in log["event"]] == ["invoice 1"]
        assert one.files() == ["F-1-2.xml", "F-1.xml"]


async def test_a_corrected_one_is_not_marked_before_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: Path, target: Path) -> None:
        raise PermissionError(13, "denied", str(source), None, str(target))

    async with bench(tmp_path) as one:
        await one.bring(INVOICE, "1")
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(parcel, "rename_exclusively", denied)
            assert isinstance(await one.bring(total("13.00"), "2"), RetryableError)
        assert not [log for log in logs if "before" in log]


async def test_duplicates_may_be_wanted(tmp_path: Path) -> None:
    async with bench(tmp_path, 'duplicates = "deliver"') as one:
        await one.bring(INVOICE, "1")
        with capture_logs() as logs:
            assert isinstance(await one.bring(INVOICE, "2"), Document)
        assert [log["event"] for log in logs if log.get("before") == "invoice 1"] == [
            "document was delivered before"
        ]
        assert one.files() == ["F-1-2.xml", "F-1.xml"]
        # Those of that time are known when they are no longer wanted.
        one.config = configured(tmp_path)
        assert isinstance(await one.bring(INVOICE, "3"), AlreadyDelivered)


async def test_an_invoice_between_two_of_our_companies_goes_to_both(tmp_path: Path) -> None:
    company = '[[companies]]\nname = "Customer"\nidentifier = "BE0417497106"\nsource = "box"\n'
    async with bench(tmp_path) as one:
        one.config = configured(tmp_path, more=company)
        for id_, whose, kind in (
            ("1", "BE0403170701", Kind.SALES),
            ("2", "BE0417497106", Kind.PURCHASE),
        ):
            found = await one.bring(INVOICE, id_, company=whose, kind=kind)
            assert isinstance(found, Document)
        assert one.files() == ["F-1.xml", "F-1.xml"]


# Through the whole pipeline, from two sandboxes with the same documents.


@asynccontextmanager
async def two_routes(folder: Path) -> AsyncIterator[tuple[Trial, Trial]]:
    async with trial(folder / "a") as one, trial(folder / "b") as two:
        text = two.path.read_text("utf-8")
        secret = two.path.with_name("synqup.toml.secret").as_posix()
        more = (
            text[text.index("[[sources]]") :]
            .replace('name = "billtobox"', 'name = "two"')
            .replace('source = "billtobox"', 'source = "two"')
            .replace("synqup.toml.secret", secret)
        )
        one.path.write_text(one.path.read_text("utf-8") + "\n" + more, "utf-8")
        yield one, two


async def test_two_sources_with_the_same_invoices(tmp_path: Path) -> None:
    async with two_routes(tmp_path) as (one, two):
        outcome = await one.bring(one.config())
        invoices, statements = Counter[str](), Counter[str]()
        for document in one.mailbox:
            kept = invoices if isinstance(document.content, Invoice) else statements
            kept[sha256(document.read()).hexdigest()] += 1
        assert outcome.counters.duplicates == invoices.total()
        assert outcome.counters.delivered == invoices.total() + 2 * statements.total()
        assert one.delivered() == invoices + statements + statements
        for route in (one, two):
            journal = route.journal()
            assert len(journal) == 30
            assert all(statuses == ["FORWARDED"] for statuses in journal.values())
        counts = {count.state: count.documents for count in one.summary().counts if not count.kind}
        assert counts == {State.DUPLICATE: invoices.total()}
        assert (await one.bring(one.config())).counters.done == 0


@pytest.mark.parametrize("formats", ["ubl+pdf", "pdf"])
async def test_what_is_listed_again_after_it_was_acknowledged_is_not_delivered_again(
    tmp_path: Path, formats: str
) -> None:
    async with trial(tmp_path, documents=12) as one:
        text = one.path.read_text("utf-8")
        one.path.write_text(text.replace("[delivery]\n", f'[delivery]\nformats = "{formats}"\n'))
        await one.bring(one.config())
        before = one.delivered()
        for document in one.mailbox:
            one.mailbox.set_state(document, MailboxState.PENDING)
        with capture_logs() as logs:
            counters = (await one.bring(one.config())).counters
        assert (counters.delivered, counters.quarantined, counters.waiting) == (0, 0, 0)
        assert one.delivered() == before
        assert all(told == ["FORWARDED"] * 2 for told in one.journal().values())
        # Known by what was fetched, whatever form of it was delivered.
        reasons = [str(log["reason"]) for log in logs if "left out" in log["event"]]
        assert all("the source lists it again" in reason for reason in reasons)
        assert reasons
