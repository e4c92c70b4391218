"""The small inputs for issue 10 that are wrapped, or lie where nobody looks: what is right."""

from __future__ import annotations

import pytest

from stages.classify import classify_file
from stages.kind import Kind
from tests.helpers.cases import case

OURS = "BE0403170701"


@pytest.mark.parametrize(
    ("path", "kind", "format_"),
    [
        ("09-invoice-taken-for-another-thing/attached-document.xml", Kind.PURCHASE, "ubl-invoice"),
        ("09-invoice-taken-for-another-thing/base64.txt", Kind.PURCHASE, "ubl-invoice"),
        ("09-invoice-taken-for-another-thing/double-bom.xml", Kind.PURCHASE, "ubl-invoice"),
        ("15-pdf-attached-to-a-page/annotation-only.pdf", Kind.PURCHASE, "facturx-pdf"),
        ("15-pdf-attached-to-a-page/page-af-only.pdf", Kind.PURCHASE, "facturx-pdf"),
        ("18-utf16-statement/coda.cod", Kind.STATEMENT, "coda"),
        ("18-utf16-statement/mt940.sta", Kind.STATEMENT, "mt940"),
        ("21-blank-lines-in-front/invoice.xml", Kind.PURCHASE, "ubl-invoice"),
    ],
)
def test_a_case_is_what_it_ought_to_be(path: str, kind: Kind, format_: str) -> None:
    found = classify_file(case(path), OURS)
    assert (found.kind, found.format) == (kind, format_)
