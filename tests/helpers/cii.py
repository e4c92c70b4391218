"""CII invoices made for tests."""

from __future__ import annotations

from stages.formats import cii

SELLER = (
    '<ram:ID>5201</ram:ID><ram:GlobalID schemeID="0088">5790000436101</ram:GlobalID>'
    "<ram:Name>Seller</ram:Name>"
    '<ram:SpecifiedLegalOrganization><ram:ID schemeID="0002">999999998</ram:ID>'
    "</ram:SpecifiedLegalOrganization>"
    "<ram:DefinedTradeContact><ram:EmailURIUniversalCommunication><ram:URIID>a@b.fr</ram:URIID>"
    "</ram:EmailURIUniversalCommunication></ram:DefinedTradeContact>"
    "<ram:PostalTradeAddress><ram:CountryID>FR</ram:CountryID></ram:PostalTradeAddress>"
    '<ram:URIUniversalCommunication><ram:URIID schemeID="EM">c@d.fr</ram:URIID>'
    "</ram:URIUniversalCommunication>"
    '<ram:SpecifiedTaxRegistration><ram:ID schemeID="FC">201/113/40209</ram:ID>'
    "</ram:SpecifiedTaxRegistration>"
    '<ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">FR11999999998</ram:ID>'
    "</ram:SpecifiedTaxRegistration>"
)

BUYER = (
    '<ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">BE0403170701</ram:ID>'
    "</ram:SpecifiedTaxRegistration>"
)


def d16b(type_code: str = "380", *, old: bool = False, lines: int = 1, others: str = "") -> str:
    date = '<udt:DateTimeString format="102">20260201</udt:DateTimeString>'
    data = (
        f'<rsm:CrossIndustryInvoice xmlns:rsm="{cii.D16B}100" xmlns:ram="{cii.RAM}100" '
        f'xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">'
        f"<rsm:ExchangedDocument><ram:ID>F-1</ram:ID><ram:TypeCode>{type_code}</ram:TypeCode>"
        f"<ram:IssueDateTime>{date}</ram:IssueDateTime></rsm:ExchangedDocument>"
        f"<rsm:SupplyChainTradeTransaction>"
        f"{'<ram:IncludedSupplyChainTradeLineItem/>' * lines}"
        f"<ram:ApplicableHeaderTradeAgreement>{others}"
        f"<ram:SellerTradeParty>{SELLER}</ram:SellerTradeParty>"
        f"<ram:BuyerTradeParty>{BUYER}</ram:BuyerTradeParty>{others}"
        f"</ram:ApplicableHeaderTradeAgreement><ram:ApplicableHeaderTradeSettlement>{others}"
        f"<ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode>"
        f"<ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        f"<ram:GrandTotalAmount>13.10</ram:GrandTotalAmount>"
        f"<ram:DuePayableAmount>12.10</ram:DuePayableAmount>"
        f"</ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        f"</ram:ApplicableHeaderTradeSettlement></rsm:SupplyChainTradeTransaction>"
        f"</rsm:CrossIndustryInvoice>"
    )
    if old:
        for new, before in (
            (f"{cii.D16B}100", f"{cii.ZUGFERD_1}1p0"),
            (f"{cii.RAM}100", f"{cii.RAM}12"),
            ("CrossIndustryInvoice", "CrossIndustryDocument"),
            ("rsm:ExchangedDocument", "rsm:HeaderExchangedDocument"),
            ("rsm:SupplyChain", "rsm:SpecifiedSupplyChain"),
            ("ApplicableHeaderTrade", "ApplicableSupplyChainTrade"),
            ("SettlementHeaderMonetary", "SettlementMonetary"),
        ):
            data = data.replace(new, before)
    return data
