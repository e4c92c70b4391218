"""How long a path can become is known before any document is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from pipeline.alternatives import alternative
from pipeline.long_paths import MAX_PATH
from stages.check import longest_paths
from stages.naming.longest import longest_name
from stages.naming.names import file_name
from tests.helpers.documents import configured

KNOWN = {
    "enterprise_name": "Bakkerij: Noël & Zonen",
    "enterprise_identifier": "BE0403170701",
    "accounting_file_id": "",
}


@pytest.mark.parametrize(
    ("template", "longest"),
    [
        ("[issue_date]", 10 + 6 + 4),
        ("[issue_date]_[kind]", 10 + 1 + 9 + 6 + 4),
        ("[enterprise_identifier]-[account]", 12 + 1 + 34 + 6 + 4),
        ("[enterprise_name]", 22 + 6 + 4),
        ("[document_number]", 254),
        ("[counterparty] [issue_date]", 254),
    ],
)
def test_the_longest_name_of_a_template(template: str, longest: int) -> None:
    assert longest_name(template, KNOWN, "xml") == longest


@given(
    st.sampled_from(["[issue_date]_[document_number]_[counterparty]", "[id]", "x[kind][id]"]),
    st.text(max_size=300),
    st.integers(1, 99_999),
)
def test_no_name_is_longer(template: str, text: str, number: int) -> None:
    values = {
        **KNOWN,
        "issue_date": "2026-11-26",
        "document_number": text,
        "counterparty": text,
        "id": text,
        "kind": "statement",
    }
    name = alternative(file_name(template, values, "xml"), number)
    units = len(name.encode("utf-16-le", "surrogatepass")) // 2
    assert units <= longest_name(template, KNOWN, "xml")


def test_check_names_the_longest_path_of_each_template(tmp_path: Path) -> None:
    delivery = 'statement_name = "[issue_date]"'
    config = configured(tmp_path, delivery)
    invoices, statements = longest_paths(config, allowed=True)
    folder = tmp_path / "out" / "BE0403170701"
    length = len(str(folder / "out")) + 1 + 254
    assert f'"[document_number]" gives paths of at most {length}' in invoices.sentence
    assert f"may not open more than {MAX_PATH}; if" in invoices.sentence
    assert statements.sentence.endswith(f"(in {folder / 'coda'})")
    (turned_off, _) = longest_paths(config, allowed=False)
    assert "LongPathsEnabled" in turned_off.sentence
    assert invoices.ok
    assert turned_off.ok
