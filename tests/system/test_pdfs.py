"""The PDFs of a whole mailbox stand beside its invoices or in their place, whatever fails."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from stages.sandbox import FaultSpec
from stages.sandbox.invoices import Invoice
from stages.sandbox.pdf import to_pdf
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio


def forms(one: Trial, formats: str) -> None:
    text = one.path.read_text("utf-8")
    one.path.write_text(text.replace("[delivery]\n", f'[delivery]\nformats = "{formats}"\n'))


def pdfs(one: Trial) -> Counter[str]:
    return Counter(
        sha256(to_pdf(document.content)).hexdigest()
        for document in one.mailbox
        if isinstance(document.content, Invoice)
    )


async def test_every_invoice_has_its_pdf_beside_it(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=60) as one:
        forms(one, "ubl+pdf")
        outcome = await one.bring(one.config())
        assert outcome.counters.delivered == 60
        embedding = [d.content.embeds_pdf for d in one.mailbox if isinstance(d.content, Invoice)]
        assert 0 < sum(embedding) < len(embedding)
        assert one.delivered() == one.held() + pdfs(one)
        for path in (tmp_path / "out").rglob("*.xml"):
            assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
        told = one.journal().values()
        assert len(told) == 60
        assert all(statuses == ["FORWARDED"] for statuses in told)


async def test_every_invoice_goes_as_pdf_alone(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=40) as one:
        forms(one, "pdf")
        await one.bring(one.config())
        statements = Counter(
            sha256(document.read()).hexdigest()
            for document in one.mailbox
            if not isinstance(document.content, Invoice)
        )
        assert one.delivered() == pdfs(one) + statements
        assert not list((tmp_path / "out").rglob("*.xml"))


async def test_faults_of_the_platform_lose_and_double_neither(tmp_path: Path) -> None:
    faults = [FaultSpec(name, rate=0.15) for name in ("truncated", "error")]
    async with trial(tmp_path, *faults, documents=60) as one:
        forms(one, "ubl+pdf")
        for _ in range(6):
            await one.bring(one.config())
        delivered = one.delivered()
        assert delivered == one.held() + pdfs(one)
