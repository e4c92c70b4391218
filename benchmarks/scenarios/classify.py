"""Classification alone: microseconds for one document, beside a bare parse of the same file."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random

from lxml import etree
from msgspec import Struct, structs

from benchmarks import plot
from benchmarks.dataset import lengthened, padded
from benchmarks.failure import BenchmarkError
from benchmarks.measure import Figure, figure, ratio
from benchmarks.report import Report
from benchmarks.workplace import Workplace
from pipeline.payload import Payload
from stages.formats.registry import format_of
from stages.kind import Kind
from stages.matching.classification import Classification, ListHint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules
from stages.sandbox.invoices import Invoice, draw_invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.ubl import to_ubl
from stages.settings import Company

SMALL, LARGE = 15_000, 5_000_000
#: Bytes that are classified in each round: as many documents as that makes.
VOLUME = 50_000_000


class Subject(Struct, frozen=True):
    """One document, and what it costs in microseconds of processor time, round by round."""

    name: str
    data: bytes
    classify: Figure
    parse: Figure
    times: Figure


def measure(work: Workplace) -> Report:
    """Classify one document again and again, in turn with parsing it and reading nothing."""
    ours, *others = Mailbox(0, max(work.companies, 2), work.seed).companies
    drawn = draw_invoice(Random(work.seed), 1, ours, others[0])
    invoice = structs.replace(drawn, credit=False, self_billed=False, embeds_pdf=False)
    with_pdf = structs.replace(invoice, embeds_pdf=True)
    index = CompanyIndex([Company(name=ours.name, identifier=ours.identifier, source="")])
    found = [
        _subject("UBL of 15 KB", to_ubl(lengthened(invoice, SMALL)), index, work),
        _subject("UBL of 5 MB with a PDF", _large(with_pdf, work.seed), index, work),
    ]
    return Report(
        scenario="classify",
        title="Classification: one document, in one process, in memory",
        columns=("", "bytes", "classify, CPU µs", "bare parse, CPU µs", "times a bare parse"),
        rows=[
            (one.name, f"{len(one.data):,}", str(one.classify), str(one.parse), str(one.times))
            for one in found
        ],
        charts={
            "classify": plot.bars(
                "Classification, of a bare parse of the same file",
                "times a bare parse by lxml",
                {one.name: one.times for one in found},
            )
        },
        data={
            one.name: {
                "bytes": len(one.data),
                "classify": one.classify,
                "parse": one.parse,
                "times": one.times,
            }
            for one in found
        },
        notes=(
            "the format by the first bytes, the structure, what the document says, and whose it is",
        ),
    )


def _large(invoice: Invoice, seed: int) -> bytes:
    return padded(invoice, LARGE, Random(seed))


def _subject(name: str, data: bytes, index: CompanyIndex, work: Workplace) -> Subject:
    payload = Payload(len(data), sha256="", data=data)
    if (classification := _classify(payload, index)).kind is not Kind.SALES:
        raise BenchmarkError(f"the {name} is no sale: {classification.reason}")
    count = work.documents or max(1, VOLUME // len(data))
    classify, parse = [], []
    for round_ in range(1, work.rounds() + 1):
        classify.append(_microseconds(partial(_classify, payload, index), count))
        parse.append(_microseconds(partial(etree.fromstring, data), count))
        work.tell(f"round {round_} of {work.rounds()}: {name} took {classify[-1]:,.0f} µs")
    return Subject(name, data, figure(classify), figure(parse), ratio(classify, parse))


def _classify(payload: Payload, index: CompanyIndex) -> Classification:
    content = format_of(payload).read(payload).content
    assert content is not None
    return apply_rules(content, index, ListHint())


def _microseconds(do: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        do()
    return (time.process_time() - began) / times * 1e6
