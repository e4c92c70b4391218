"""Evidence: all identifiers of a party are weighed, in whatever order they stand."""

from __future__ import annotations

from itertools import permutations

import pytest

from stages.formats.party import Identifier, Party
from stages.matching.evidence import evidence, weigh
from stages.matching.parties import CompanyIndex
from stages.settings import Company

UNIT = "BE0700900917"
A = Company(name="A", identifier="BE0700100171", source="s", identifiers=(UNIT,))
B = Company(name="B", identifier="BE0700200240", source="s", identifiers=(UNIT,))
INDEX = CompanyIndex([A, B])

UNIT_VAT = Identifier("PartyTaxScheme/CompanyID", "", UNIT, is_vat=True)
LEGAL_A = Identifier("PartyLegalEntity/CompanyID", "0208", "0700100171")
LEGAL_B = Identifier("PartyLegalEntity/CompanyID", "0208", "0700200240")
VAT_A = Identifier("PartyTaxScheme/CompanyID", "", "BE0700100171", is_vat=True)
ENDPOINT_B = Identifier("EndpointID", "0208", "0700200240")
STRANGER = Identifier("PartyLegalEntity/CompanyID", "0208", "0800100144")


def party(*identifiers: Identifier) -> Party:
    return Party("somebody", identifiers, "BE")


@pytest.mark.parametrize("order", list(permutations([UNIT_VAT, LEGAL_B, ENDPOINT_B])))
def test_what_singles_a_company_out_beats_what_comes_first(order: list[Identifier]) -> None:
    weighed = weigh(party(*order), INDEX, "s")
    assert weighed.companies == (B,)
    assert weighed.is_decided
    assert weighed.identifier != UNIT_VAT


def test_a_shared_number_alone_leaves_all_that_have_it() -> None:
    weighed = weigh(party(UNIT_VAT), INDEX, "s")
    assert weighed.companies == (A, B)
    assert not weighed.is_decided


@pytest.mark.parametrize("order", list(permutations([VAT_A, LEGAL_B, ENDPOINT_B])))
def test_numbers_of_two_companies_contradict_one_another(order: list[Identifier]) -> None:
    weighed = weigh(party(*order), INDEX, "s")
    assert set(weighed.companies) == {A, B}
    told = {one.candidate: one for one in evidence(weighed)}
    assert len(told["A (BE0700100171)"].supports) == 1
    assert len(told["A (BE0700100171)"].contradicts) == 2
    assert len(told["B (BE0700200240)"].supports) == 2


def test_another_member_of_a_unit_is_a_stranger() -> None:
    alone = CompanyIndex([A])
    weighed = weigh(party(UNIT_VAT, STRANGER), alone, "s")
    assert weighed.companies == (A,)
    assert weighed.stranger == STRANGER
    assert not weighed.is_decided
    (told,) = evidence(weighed)
    assert "of no configured company" in told.contradicts[0]


@pytest.mark.parametrize("vat", [VAT_A, Identifier("PartyTaxScheme/CompanyID", "", "0800100144")])
def test_the_legal_entity_tells_of_a_stranger_before_an_endpoint(vat: Identifier) -> None:
    plain = Company(name="A", identifier="BE0700100171", source="s")
    endpoint = Identifier("EndpointID", "0208", "0700100171")
    weighed = weigh(party(vat, STRANGER, endpoint), CompanyIndex([plain]), "s")
    assert weighed.companies == (plain,)
    assert weighed.stranger == STRANGER
    # The other way round the legal entity is ours, whoever takes its mail.
    other = weigh(party(vat, LEGAL_A, Identifier("EndpointID", "0208", "0800100144")), INDEX, "s")
    assert other.is_decided
    assert other.companies == (A,)


@pytest.mark.parametrize(
    ("number", "country", "is_strange"),
    [
        ("0800.100.144", "BE", True),
        ("0800100144", "", True),
        ("0800100144", "NL", False),  # a number of another register there
        ("0800100145", "BE", False),
        ("2123456791", "BE", False),  # of an establishment
        ("0123456749", "BE", False),  # made up, although its check digits are right
        ("0000000097", "BE", False),
    ],
)
def test_a_legal_entity_without_a_scheme_is_a_stranger_too(
    number: str, country: str, *, is_strange: bool
) -> None:
    legal = Identifier("PartyLegalEntity/CompanyID", "", number)
    weighed = weigh(Party("somebody", (VAT_A, legal), country), INDEX, "s")
    assert weighed.companies == (A,)
    assert weighed.is_decided is not is_strange
    # Elsewhere such a number may be that of a customer, or of anything.
    other = Identifier("PartyIdentification/ID", "", number)
    assert weigh(Party("somebody", (VAT_A, other), country), INDEX, "s").is_decided


def test_the_number_of_a_unit_that_is_not_configured_contradicts_nothing() -> None:
    plain = Company(name="A", identifier="BE0700100171", source="s")
    weighed = weigh(party(UNIT_VAT, LEGAL_A), CompanyIndex([plain]), "s")
    assert weighed.companies == (plain,)
    assert weighed.is_decided


def test_a_person_s_address_tells_only_where_nothing_else_does() -> None:
    mail = Identifier("Contact/ElectronicMail", "", "boss@b.be", is_contact=True)
    b = Company(name="B", identifier="BE0700200240", source="s", identifiers=("boss@b.be",))
    index = CompanyIndex([A, b])
    assert weigh(party(LEGAL_A, mail), index, "s").companies == (A,)
    assert weigh(party(STRANGER, mail), index, "s").companies == (b,)
