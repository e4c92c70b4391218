"""camt.053 statements made for tests."""

from __future__ import annotations

SPACE = "urn:iso:std:iso:20022:tech:xsd"

STATEMENT = """<Stmt><Id>ABC</Id>{number}<CreDtTm>2026-02-03T04:05:06</CreDtTm>
<Acct><Id>{account}</Id><Ownr><Nm>Holder NV</Nm><Id><OrgId><Othr><Id>0403170701</Id>
<Issr>KBO-BCE</Issr></Othr></OrgId></Id></Ownr></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Dt><Dt>2026-01-31</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Dt><Dt>2026-02-02</Dt></Dt></Bal>
<Ntry><Amt>1</Amt></Ntry></Stmt>"""

BALANCE = (
    "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='{currency}'>{amount}</Amt>"
    "<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
)

IBAN = "<IBAN>BE68539007547034</IBAN>"


def camt(*statements: str, version: str = "08", message: str = "camt.053") -> bytes:
    return (
        f'<?xml version="1.0"?><Document xmlns="{SPACE}:{message}.001.{version}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>m</MsgId></GrpHdr>{''.join(statements)}</BkToCstmrStmt></Document>"
    ).encode()


def one(account: str = IBAN, number: str = "") -> str:
    return STATEMENT.format(account=account, number=number)


def balance(
    code: str,
    amount: str = "1250.00",
    sign: str = "CRDT",
    currency: str = "EUR",
    day: str = "2026-03-02",
) -> str:
    return BALANCE.format(code=code, amount=amount, sign=sign, currency=currency, day=day)
