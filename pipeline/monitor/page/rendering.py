"""Rendering: says a model in one language, by the templates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import CodeType
from typing import Any
from urllib.parse import urlencode

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from pipeline.document import Key
from pipeline.language.codes import NAMES
from pipeline.language.languages import Language
from pipeline.language.reasons import reason_and_remedy
from pipeline.language.texts import Sentence, said
from pipeline.ledger.search import FoundDocument
from pipeline.monitor.page.languages import languages
from pipeline.monitor.page.model import Flow, Overview
from pipeline.monitor.page.names import KINDS as KIND_NAMES, STAGES, STATES, VERBS
from pipeline.monitor.page.plot import FOOT, HEIGHT, WIDTH, plot
from pipeline.monitor.page.tally import KINDS

PACKAGE = "pipeline.monitor.page"
#: The files that a browser fetches, by their names, and their media types.
STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
#: The sections of the first screen that are kept up to date.
SECTIONS = ("state", "attention", "companies", "flow", "sources", "nodes")
#: Companies on the first screen; the others stand on a page of their own.
FIRST_COMPANIES = 15


class Compiled(BytecodeCache):
    """The compiled templates, which are the same in each language."""

    def __init__(self) -> None:
        self._code: dict[str, CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give what was compiled before."""
        bucket.code = self._code.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what has been compiled."""
        assert bucket.code is not None
        self._code[bucket.key] = bucket.code


class Renderer:
    """The templates in one language."""

    def __init__(self, language: Language, compiled: Compiled) -> None:
        self.language = language
        environment = Environment(
            loader=PackageLoader(PACKAGE),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=compiled,
        )
        environment.install_gettext_translations(  # type: ignore[attr-defined] # of the extension
            language.catalog, newstyle=True
        )
        environment.filters.update(
            say=language.say,
            number=language.number,
            moment=language.moment,
            day=language.day,
            time=self._time,
            sentence=self._sentence,
            document=document_link,
            label=language.label,
        )
        environment.globals.update(
            language=language,
            languages=NAMES,
            static=static_links(),
            plot=plot,
            width=WIDTH,
            height=HEIGHT,
            foot=FOOT,
            kinds=KINDS,
            first_companies=FIRST_COMPANIES,
            total_of=_total,
            amount=self._amount,
            reason_of=self._reason,
            state_level=lambda state: STATES[state][0],
            state_name=lambda state: self._name(STATES[state][1]),
            stage_name=lambda stage: self._name(STAGES.get(stage, stage)),
            kind_name=lambda kind: self._name(KIND_NAMES.get(kind, kind)),
            verb_name=lambda verb: self._name(VERBS.get(verb, verb)),
        )
        self._environment = environment

    def prepare(self) -> None:
        """Compile the templates."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def page(self, template: str, **values: Any) -> str:
        """A whole page."""
        return self._environment.get_template(template).render(**values)

    def sections(self, overview: Overview, *, acts: bool) -> dict[str, str]:
        """The sections of the first screen by their names. acts: for one who may act."""
        return {
            name: self._environment.get_template(f"_{name}.html").render(it=overview, acts=acts)
            for name in SECTIONS
        }

    def _name(self, name: str) -> str:
        return self.language.say(said(name)) if name else ""

    def _amount(self, found: FoundDocument) -> str:
        """The amount of a document, in its currency; empty if it is not known."""
        try:
            return self.language.amount(Decimal(found.amount), found.currency)
        except ArithmeticError:
            return found.amount

    def _reason(self, found: FoundDocument) -> Markup:
        """Why a document is in its state, and what to do."""
        reason, remedy = reason_and_remedy(found.reason, found.label)
        parts = [self._sentence(Sentence(one)) for one in (reason, remedy) if one]
        return Markup(" ").join(parts)

    def _time(self, at: float | None) -> Markup:
        """A time for people, and for programs."""
        if at is None:
            return Markup("–")  # noqa: RUF001 - a dash
        return Markup('<time title="{}">{}</time>').format(
            self.language.full(at), self.language.moment(at)
        )

    def _sentence(self, said: Any) -> Markup:
        """A sentence with its first letter large and its full stop."""
        text = self.language.say(said).strip()
        if text and text[-1] not in ".!?…":
            text += "."
        return escape(text[:1].upper() + text[1:])


def _total(flow: Flow, kind: str) -> int:
    return sum(one.get(kind, 0) for one in flow.hours)


@cache
def renderers() -> Mapping[str, Renderer]:
    """The renderers by the codes of their languages; making them takes some 100 ms."""
    compiled = Compiled()
    found = {code: Renderer(language, compiled) for code, language in languages().items()}
    for one in found.values():
        one.prepare()
    return found


def document_link(key: Key) -> str:
    """The address of the page of a document."""
    query = {"source": key.source, "id": key.id, "revision": key.revision}
    return f"/document?{urlencode(query)}"


@cache
def static_file(name: str) -> bytes:
    """A file that browsers fetch."""
    return (files(PACKAGE) / "static" / name).read_bytes()


@cache
def static_links() -> Mapping[str, str]:
    """The addresses of the files, which change with their content: a browser may keep them."""
    return {
        name: f"/static/{name}?{hashlib.sha256(static_file(name)).hexdigest()[:10]}"
        for name in STATIC
    }
