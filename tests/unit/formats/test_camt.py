"""camt.053: whose account, which statement, of when; and its siblings, which are no statements."""

from __future__ import annotations

import pytest

from stages.formats.content import Other, Statement
from stages.formats.xml import content_of
from stages.matching.fingerprint import fingerprint
from tests.helpers.camt import IBAN, SPACE, balance, camt, one
from tests.helpers.cases import case


def read(data: bytes) -> Statement:
    content = content_of(data)
    assert isinstance(content, Statement), content
    return content


@pytest.mark.parametrize("version", ["02", "03", "04", "05", "06", "07", "08", "13"])
def test_every_version(version: str) -> None:
    found = read(camt(one(), version=version))
    assert (found.format, found.accounts) == ("camt.053", ("BE68539007547034",))
    assert (found.number, found.issue_date) == ("ABC", "2026-02-02")
    assert found.holder_name == "Holder NV"
    assert [(holder.scheme, holder.value) for holder in found.holders] == [
        ("KBO-BCE", "0403170701")
    ]


def test_a_zone_is_no_part_of_the_day() -> None:
    assert read(camt(one().replace("2026-02-02<", "2026-02-02+01:00<"))).issue_date == "2026-02-02"


def test_accounts_without_an_iban_and_several_statements() -> None:
    other = one("<Othr><Id>123-456</Id></Othr>", "<ElctrncSeqNb>7</ElctrncSeqNb>")
    found = read(camt(one(), other))
    assert found.accounts == ("BE68539007547034", "123-456")
    assert found.number == "7"
    assert len(found.holders) == 1


def test_without_a_closing_balance_its_making_dates_it() -> None:
    assert read(camt(one().replace("CLBD", "CLAV"))).issue_date == "2026-02-03"


def test_in_an_envelope() -> None:
    inner = camt(one()).removeprefix(b'<?xml version="1.0"?>')
    found = read(b"<BizMsgEnvlp><Hdr/>" + inner + b"</BizMsgEnvlp>")
    assert found.accounts == ("BE68539007547034",)


def test_ten_thousand_entries() -> None:
    entries = "<Ntry><Amt>1</Amt><Sts>BOOK</Sts></Ntry>" * 10_000
    assert read(camt(one() + one().replace("<Ntry>", entries + "<Ntry>"))).number == "ABC"


@pytest.mark.parametrize("message", ["camt.052", "camt.054", "pain.001", "pain.002", "pain.008"])
def test_siblings_are_no_statements(message: str) -> None:
    content = content_of(camt(one(), message=message))
    assert isinstance(content, Other)
    assert content.format == message
    assert message in content.description
    assert not content.possible_kinds


SPELT = f"{SPACE}:camt.053.001.08"


@pytest.mark.parametrize(
    "namespace",
    [
        "ISO:camt.053.001.02:APC:STUZZA:payments:003",
        "http://www.six-interbank-clearing.com/de/camt.053.001.04.ch.02.xsd",
        "urn:iso:std:iso:20022:tech:xsd:CAMT.053.001.08",
        "https://bank.example/schema/camt.053",
        "urn:a-bank:statement",
        "",
    ],
)
def test_any_namespace(namespace: str) -> None:
    standard = camt(one())
    assert read(standard.replace(SPELT.encode(), namespace.encode())) == read(standard)


@pytest.mark.parametrize("name", ["austrian.xml", "swiss.xml"])
def test_the_namespaces_of_the_cases(name: str) -> None:
    (part,) = read(case("14-camt-other-namespaces", name).read_bytes()).parts
    assert part.accounts == ("BE45068999950189",)
    assert (part.number, part.issue_date) == ("1", "2026-03-02")
    assert (part.opening, part.closing) == ("2026-03-01 EUR 0", "2026-03-02 EUR 0")


@pytest.mark.parametrize(
    ("element", "message"),
    [("BkToCstmrAcctRpt", "camt.052"), ("BkToCstmrDbtCdtNtfctn", "camt.054")],
)
def test_siblings_in_no_namespace(element: str, message: str) -> None:
    data = camt(one()).replace(f' xmlns="{SPELT}"'.encode(), b"")
    content = content_of(data.replace(b"BkToCstmrStmt", element.encode()))
    assert isinstance(content, Other)
    assert (content.format, content.is_known) == (message, True)


@pytest.mark.parametrize("name", ["BkToCstmrStmt", "BkToCstmrStmtV01"])
def test_without_its_root_and_in_the_first_version(name: str) -> None:
    data = camt(one()).replace(b"BkToCstmrStmt", name.encode())
    assert read(data) == read(camt(one()))
    inner = data[data.index(b"<BkTo") : data.index(b"</Document>")]
    assert read(inner) == read(camt(one()))


@pytest.mark.parametrize("namespace", ["urn:x:docs.200:1", "urn:abcd.123", ""])
def test_other_documents_are_not_taken_for_messages(namespace: str) -> None:
    content = content_of(f'<Document xmlns="{namespace}"><Page/></Document>'.encode())
    assert isinstance(content, Other)
    assert (content.format, content.is_known) == ("xml", False)


@pytest.mark.parametrize(
    ("stated", "accounts"),
    [
        ("<IBAN>be68 5390 0754 7034</IBAN>", ("BE68539007547034",)),
        ("<Othr><Id>BE68 5390 0754 7034</Id></Othr>", ("BE68539007547034",)),
        ("<Othr><Id>123-456</Id></Othr>", ("123-456",)),
        ("<IBAN/><Othr><Id/></Othr><Othr><Id>7</Id></Othr>", ("7",)),
        *((text, ()) for text in ("", "<IBAN/>", "<IBAN>-</IBAN>", "<Othr/>")),
        *((f"<Othr><Id>{text}</Id></Othr>", ()) for text in ("NOTPROVIDED", "EUR", "0000")),
    ],
)
def test_what_is_an_account(stated: str, accounts: tuple[str, ...]) -> None:
    (part,) = read(camt(one(stated))).parts
    assert part.accounts == accounts


def test_the_number_of_a_person_with_a_business() -> None:
    (part,) = read(camt(one().replace("OrgId>", "PrvtId>"))).parts
    assert [(holder.scheme, holder.value) for holder in part.holders] == [("KBO-BCE", "0403170701")]


def spelt(*balances: str) -> tuple[str, str]:
    start, _, end = one().partition("<Bal>")
    rest = end.rpartition("</Bal>")[2]
    (part,) = read(camt(f"{start}{''.join(balances)}{rest}")).parts
    return part.opening, part.closing


def test_balances() -> None:
    opening, closing = balance("OPBD", "1000", day="2026-03-01"), balance("CLBD")
    both = ("2026-03-01 EUR 1000", "2026-03-02 EUR 1250")
    assert spelt(opening, closing) == spelt(closing, opening) == both
    assert spelt(balance("PRCD", "1000.0", day="2026-03-01+01:00"), closing) == both
    assert spelt(balance("CLBD", "0.50", "DBIT", "CHF")) == ("", "2026-03-02 CHF -0.5")
    assert spelt(balance("CLBD", "0.00", "DBIT")) == ("", "2026-03-02 EUR 0")
    assert spelt(closing, closing) == ("", both[1])


@pytest.mark.parametrize(
    "stated",
    [
        balance("CLAV"),
        balance("CLBD", ""),
        balance("CLBD", "1.250,00"),
        balance("CLBD", sign=""),
        balance("CLBD", currency=""),
        balance("CLBD", day="2026-02-30"),
        balance("CLBD") + balance("CLBD", "1"),
    ],
)
def test_a_balance_that_is_in_doubt_is_not_stated(stated: str) -> None:
    assert spelt(stated) == ("", "")


@pytest.mark.parametrize(
    ("element", "message"),
    [("BkToCstmrAcctRpt", "camt.052"), ("BkToCstmrDbtCdtNtfctnV01", "camt.054")],
)
def test_siblings_in_the_namespace_of_statements(element: str, message: str) -> None:
    content = content_of(camt(one()).replace(b"BkToCstmrStmt", element.encode()))
    assert isinstance(content, Other)
    assert (content.format, content.is_known) == (message, True)


@pytest.mark.parametrize(
    ("old", "new", "accounts"),
    [
        (f"<Id>{IBAN}</Id>", "<Id>BE68 5390 0754 7034</Id>", ("BE68539007547034",)),
        (f"<Id>{IBAN}</Id>", "<Prxy><Id>32470123</Id></Prxy>", ("32470123",)),
        (f"<Id>{IBAN}</Id>", f"<Id>{IBAN}</Id><Prxy><Id>7</Id></Prxy>", ("BE68539007547034",)),
        (f"<Id>{IBAN}</Id>", "<Id><IBAN/></Id><Prxy><Id>7</Id></Prxy>", ("7",)),
        (IBAN, "<BBAN>539007547034</BBAN>", ("539007547034",)),
        (IBAN, "<PrtryAcct><Id>123-456</Id></PrtryAcct>", ("123-456",)),
        (f"<Id>{IBAN}</Id>", "<Prxy><Id>NONE</Id></Prxy>", ()),
    ],
)
def test_other_places_of_an_account(old: str, new: str, accounts: tuple[str, ...]) -> None:
    assert old in one()
    (part,) = read(camt(one().replace(old, new))).parts
    assert part.accounts == accounts


@pytest.mark.parametrize("kind", ["OrgId", "PrvtId"])
def test_the_legal_entity_identifier_of_the_owner(kind: str) -> None:
    lei = "529900T8BM49AURSDO55"
    stated = one().replace("<OrgId>", f"<OrgId><LEI>{lei}</LEI>").replace("OrgId", kind)
    (part,) = read(camt(stated)).parts
    assert [(holder.scheme, holder.value) for holder in part.holders] == [
        ("KBO-BCE", "0403170701"),
        ("LEI", lei),
    ]


@pytest.mark.parametrize(
    ("sequence", "number"),
    [
        ("<ElctrncSeqNb>7</ElctrncSeqNb><LglSeqNb>8</LglSeqNb>", "7"),
        ("<ElctrncSeqNb>0</ElctrncSeqNb><LglSeqNb>8</LglSeqNb>", "8"),
        ("<ElctrncSeqNb>0</ElctrncSeqNb>", "0"),
        ("", "ABC"),
    ],
)
def test_a_filler_is_a_number_only_where_there_is_no_other(sequence: str, number: str) -> None:
    assert read(camt(one(number=sequence))).number == number


class TestPages:
    def pages(self, statement: str = "", message: str = "") -> Statement:
        balances = balance("OPBD") + balance("CLBD")
        start, _, end = one(number=f"{statement}<LglSeqNb>9</LglSeqNb>").partition("<Bal>")
        stated = f"{start}{balances}{end.rpartition('</Bal>')[2]}"
        data = camt(stated).replace(b"</GrpHdr>", f"{message}</GrpHdr>".encode())
        return read(data)

    def told(self, statement: str = "", message: str = "") -> tuple[str, ...]:
        return fingerprint(self.pages(statement, message), "bytes", lambda *_: False).parts

    @pytest.mark.parametrize("name", ["StmtPgntn", "MsgPgntn"])
    def test_each_has_an_identity_of_its_own(self, name: str) -> None:
        numbers = [("1", "false"), ("2", "false"), ("2", "true"), ("3", "1")]
        found = set()
        for number, is_last in numbers:
            page = f"<{name}><PgNb>{number}</PgNb><LastPgInd>{is_last}</LastPgInd></{name}>"
            is_statement = name == "StmtPgntn"
            found.add(self.told(page) if is_statement else self.told(message=page))
        assert len(found) == len(numbers)
        assert all(parts[0] == "statement" for parts in found)

    def test_of_a_message_and_of_a_statement_in_it(self) -> None:
        page = "<{0}><PgNb>{1}</PgNb><LastPgInd>false</LastPgInd></{0}>"
        found = self.pages(page.format("StmtPgntn", 4), page.format("MsgPgntn", 2))
        assert found.parts[0].page == "2+/4+"

    def test_one_without_its_number_is_its_bytes(self) -> None:
        page = "<StmtPgntn><LastPgInd>false</LastPgInd></StmtPgntn>"
        assert self.told(page) == ("bytes", "bytes")

    def test_a_statement_without_pages(self) -> None:
        assert self.pages().parts[0].page == ""
        assert self.told() == self.told("<StmtPgntn><LastPgInd>true</LastPgInd></StmtPgntn>")
