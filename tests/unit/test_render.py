"""An invoice goes as XML, with its PDF beside it, or as PDF alone; the XML stays as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from aiohttp import web

from pipeline.document import Document
from pipeline.errors import RetryableError
from stages.download import Download
from stages.kind import Kind
from stages.model import Classified
from stages.render import NoPdf, Render
from tests.helpers.attachments import described, reference
from tests.helpers.documents import classified, configured
from tests.helpers.invoices import ubl
from tests.helpers.rendered import payload, text_of
from tests.helpers.serving import serving

pytestmark = pytest.mark.anyio

OWN = b"%PDF-1.7\nof the platform\n%%EOF\n"
INSIDE = b"%PDF-1.7\nof the sender\n%%EOF\n"
WITH_PDF = ubl(before=reference(INSIDE))
WITH_ANNEX = ubl(before=reference(INSIDE, says=described("Bijlage")))
BARE = ubl()
#: Bytes by which an XML loses its end.
CUT = -10
BROKEN = BARE.encode()[:CUT]

Answer = Callable[[], web.Response]


class Bench:
    def __init__(self, folder: Path, answers: list[Answer]) -> None:
        self.folder = folder
        self.answers = answers
        self.asked: list[str] = []
        self.url = self.service = ""

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.json_response({"access_token": "t"})
        self.asked.append(request.headers["Accept"])
        return self.answers[min(len(self.asked), len(self.answers)) - 1]()

    async def render(
        self,
        data: str,
        formats: str,
        *,
        more: str = "",
        spool: bool = False,
        broken: bool = False,
        **hints: object,
    ) -> Document[Classified]:
        """broken: whether the XML has lost its end, and a checksum vouches for it all the same."""
        forms = f'formats = "{formats}"'
        config = configured(self.folder, forms, more, self.url, self.service)
        path = self.folder / "spool" / "document" if spool else None
        download = Download(self.folder / "spool")
        document = await classified(config, data, spool=path, **hints)
        if broken:
            document = document.with_meta(document.meta, payload(data.encode()[:CUT]))
        try:
            return await Render(download.fetch_form).process(document)
        finally:
            await document.ack.source.close()

    def left(self) -> set[str]:
        return {path.name for path in (self.folder / "spool").iterdir()}


@asynccontextmanager
async def bench(folder: Path, *answers: Answer) -> AsyncIterator[Bench]:
    one = Bench(folder, list(answers))
    async with serving(one.handle) as url:
        one.url = str(url.origin())
        yield one


def pdf(data: bytes = OWN, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: web.Response(body=data, content_type="application/pdf", headers=named)


def status(code: int) -> Answer:
    return lambda: web.json_response({"message": "no"}, status=code)


def page() -> web.Response:
    return web.Response(text="<!doctype html><html></html>", content_type="text/html")


def xml() -> web.Response:
    return web.Response(text=BARE, content_type="application/xml")


def empty() -> web.Response:
    return web.Response(body=b"", content_type="application/pdf")


NONE: dict[str, Answer] = {
    **{str(code): status(code) for code in (400, 404, 405, 406, 410, 415, 501)},
    "an XML": xml,
    "nothing": empty,
    "too large": pdf(OWN + bytes(200_000)),
}


def beside(document: Document[Classified]) -> bytes:
    (sidecar,) = document.sidecars
    assert sidecar.extension == "pdf"
    assert sidecar.payload.sha256 == sha256(sidecar.payload.read()).hexdigest()
    return sidecar.payload.read()


def body(document: Document[Classified]) -> bytes:
    assert document.payload is not None
    return document.payload.read()


async def test_as_ubl_alone_nothing_is_looked_for(tmp_path: Path) -> None:
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(WITH_PDF, "ubl")
        assert (document.sidecars, body(document)) == ((), WITH_PDF.encode())
        assert not one.asked


async def test_the_pdf_inside_goes_beside_and_the_xml_stays_as_it_is(tmp_path: Path) -> None:
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(WITH_PDF, "ubl+pdf")
        assert (beside(document), body(document)) == (INSIDE, WITH_PDF.encode())
        assert document.held == len(INSIDE) + len(WITH_PDF.encode())
        assert not one.asked


async def test_where_none_is_inside_the_platform_is_asked(tmp_path: Path) -> None:
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(BARE, "ubl+pdf")
        assert (beside(document), body(document)) == (OWN, BARE.encode())
        assert one.asked == ["application/pdf"]


@pytest.mark.parametrize(("data", "expected"), [(WITH_PDF, INSIDE), (BARE, OWN)])
async def test_as_pdf_alone_it_takes_the_place_of_the_xml(
    tmp_path: Path, data: str, expected: bytes
) -> None:
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(data, "pdf")
        assert (body(document), document.sidecars) == (expected, ())
        assert document.meta.extension == "pdf"
        assert document.payload is not None
        assert document.payload.sha256 == sha256(expected).hexdigest()


@pytest.mark.parametrize("what", NONE)
@pytest.mark.parametrize("spool", [False, True])
async def test_where_there_is_none_one_is_made_of_the_xml(
    tmp_path: Path, what: str, spool: bool
) -> None:
    async with bench(tmp_path, NONE[what]) as one:
        document = await one.render(BARE, "ubl+pdf", spool=spool)
        assert "F-1" in text_of(beside(document))
        assert (body(document), document.meta.warnings) == (BARE.encode(), ())
        assert one.asked == ["application/pdf"]
        await document.release()
        assert not one.left()
        alone = await one.render(BARE, "pdf")
        assert "F-1" in text_of(body(alone))
        assert (alone.meta.extension, alone.sidecars) == ("pdf", ())


async def test_ours_is_in_the_language_of_the_company(tmp_path: Path) -> None:
    async with bench(tmp_path, status(404)) as one:
        for more, said in (("", "Invoice"), ('language = "nl"\n', "Factuur")):
            assert text_of(beside(await one.render(BARE, "ubl+pdf", more=more))).startswith(said)
        french = await one.render(BARE, 'ubl+pdf"\nlanguage = "fr')
        assert text_of(beside(french)).startswith("Facture")


@pytest.mark.parametrize("what", NONE)
async def test_what_can_t_be_rendered_goes_alone_and_why_is_recorded(
    tmp_path: Path, what: str
) -> None:
    async with bench(tmp_path, NONE[what]) as one:
        document = await one.render(BARE, "ubl+pdf", broken=True)
        assert (document.sidecars, body(document)) == ((), BROKEN)
        (warning,) = document.meta.warnings
        assert "none can be made of the XML: the XML is not well-formed" in warning
        assert warning.startswith("no PDF goes beside it: it holds no PDF, and the platform")
        assert not one.left()
        assert len(one.asked) == 1


@pytest.mark.parametrize("what", NONE)
async def test_where_only_a_pdf_may_go_its_want_is_told(tmp_path: Path, what: str) -> None:
    async with bench(tmp_path, NONE[what]) as one:
        with pytest.raises(NoPdf, match=r'holds no PDF.*Write formats = "ubl\+pdf"'):
            await one.render(BARE, "pdf", broken=True)


async def test_a_web_page_is_tried_again_and_then_stands_for_none(tmp_path: Path) -> None:
    async with bench(tmp_path, page) as one:
        document = await one.render(BARE, "ubl+pdf", broken=True)
        assert not document.sidecars
        assert "with a web page" in document.meta.warnings[0]
        with pytest.raises(RetryableError, match="web page"):
            await one.render(BARE, "pdf")
    async with bench(tmp_path, page, pdf()) as one:
        assert beside(await one.render(BARE, "ubl+pdf")) == OWN


@pytest.mark.parametrize("formats", ["ubl+pdf", "pdf"])
async def test_while_the_platform_fails_the_invoice_waits(tmp_path: Path, formats: str) -> None:
    async with bench(tmp_path, status(500)) as one:
        with pytest.raises(RetryableError, match="its PDF can't be had for now") as refused:
            await one.render(BARE, formats)
        # What the engine counts against the source is of other sorts.
        assert type(refused.value) is RetryableError
        assert len(one.asked) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        pdf(OWN, Content_Digest="sha-256=:" + "A" * 43 + "=:"),
        pdf(OWN, Content_MD5="A" * 22 + "=="),
        pdf(OWN[:20]),
    ],
)
async def test_a_damaged_pdf_is_fetched_again(tmp_path: Path, damaged: Answer) -> None:
    async with bench(tmp_path, damaged, damaged, pdf()) as one:
        assert beside(await one.render(BARE, "ubl+pdf", sha256="0" * 64, size=1)) == OWN
        assert len(one.asked) == 3
    async with bench(tmp_path, damaged) as one:
        document = await one.render(BARE, "ubl+pdf", broken=True)
        assert not document.sidecars
        assert "arrived damaged 3 times" in document.meta.warnings[0]


async def test_a_pdf_without_a_checksum_where_one_has_to_be_is_none(tmp_path: Path) -> None:
    large = OWN + bytes(40_000) + OWN
    async with bench(tmp_path, pdf(large)) as one:
        one.service = "require_checksum = true"
        document = await one.render(BARE, "ubl+pdf", broken=True)
        assert not document.sidecars
        assert "no checksum that could be checked" in document.meta.warnings[0]
        assert not one.left()


async def test_an_annex_is_not_taken_for_the_invoice(tmp_path: Path) -> None:
    async with bench(tmp_path, pdf()) as one:
        assert beside(await one.render(WITH_ANNEX, "ubl+pdf")) == OWN
        assert body(await one.render(WITH_ANNEX, "pdf")) == OWN
    async with bench(tmp_path, status(404)) as one:
        for document in (
            beside(await one.render(WITH_ANNEX, "ubl+pdf")),
            body(await one.render(WITH_ANNEX, "pdf")),
        ):
            assert "Bijlage" in text_of(document)
        # It goes beside the XML for want of a better one, and never alone.
        broken = await one.render(WITH_ANNEX, "ubl+pdf", broken=True)
        assert beside(broken) == INSIDE
        with pytest.raises(NoPdf):
            await one.render(WITH_ANNEX, "pdf", broken=True)


@pytest.mark.parametrize("formats", ["ubl+pdf", "pdf"])
async def test_what_lies_in_a_file_is_rendered_into_files(tmp_path: Path, formats: str) -> None:
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(WITH_PDF, formats, spool=True)
        expected = {"document", "document.1"} if formats == "ubl+pdf" else {"document.1"}
        assert one.left() == expected
        assert document.held == 0
        assert (body(document) if formats == "pdf" else beside(document)) == INSIDE
        await document.release()
        assert not one.left()


async def test_a_pdf_of_the_platform_in_a_file_is_let_go_of_with_the_document(
    tmp_path: Path,
) -> None:
    large = OWN[:-7] + bytes(40_000) + OWN[-7:]
    async with bench(tmp_path, pdf(large)) as one:
        document = await one.render(BARE, "ubl+pdf")
        assert beside(document) == large
        assert document.sidecars[0].payload.spool is not None
        await document.release()
        assert not one.left()


async def test_a_company_may_have_forms_of_its_own(tmp_path: Path) -> None:
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(WITH_PDF, "ubl", more='formats = "ubl+pdf"\n')
        assert beside(document) == INSIDE
        assert not (await one.render(WITH_PDF, "pdf", more='formats = "ubl"\n')).sidecars


async def test_what_is_no_invoice_goes_as_it_is(tmp_path: Path) -> None:
    order = BARE.replace("Invoice", "Order")
    others = 'ubl+pdf"\nothers = "deliver"\nothers_path = "others'
    async with bench(tmp_path, pdf()) as one:
        document = await one.render(order, others, company="BE0403170701")
        assert document.meta.kind is Kind.UNKNOWN
        assert not document.sidecars
        assert not one.asked


CODA = """\
0000018011520105        0938409934CODELICIOUS               GEBABEBB   00403170701 00001          984309          834080       2
10155001548226815 EUR0BE                  0000000004004100241214CODELICIOUS               PROFESSIONAL ACCOUNT               255
8225001548226815 EUR0BE                  0000000004004100120515                                                                0
9               000002000000000000000000000000000000000                                                                           1
"""  # noqa: E501 - the records of CODA have 128 characters


async def test_a_statement_has_a_pdf_beside_it_if_it_is_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path, pdf()) as one:
        asked = 'ubl"\nstatement_formats = "coda+pdf'
        document = await one.render(CODA, asked, kind=Kind.STATEMENT)
        assert "4004,10" in text_of(beside(document))
        assert (body(document), document.meta.extension) == (CODA.encode(), "cod")
        assert not (await one.render(CODA, "ubl+pdf", kind=Kind.STATEMENT)).sidecars
        more = 'statement_formats = "coda"\n'
        assert not (await one.render(CODA, asked, more=more, kind=Kind.STATEMENT)).sidecars
        assert not one.asked
