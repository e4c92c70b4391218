"""Registry of connectors: a table with one line for each kind of [[sources]].

A line names the parts of its connector as `module:object` (the form of entry points), and they are
imported when the first source of that kind is opened: an HTTP client takes longer to import than
all the rest of Synqup, and most commands open no source.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pipeline.source import Source
from stages.settings import SourceSettings
from stages.sources.billtobox.settings import Billtobox
from stages.sources.einvoice_be.settings import EInvoiceBe

if TYPE_CHECKING:
    from stages.sandbox.platform import Platform


class Connector(Struct, frozen=True):
    """One connector.

    settings: the class of its section in [[sources]]; its tag is the `kind` that users write.
    source: names its Source, which is made of such a section and of the state folder, and sends no
    request until it is used.
    platform: names the Platform that the sandbox is for it; a Wire, if it speaks HTTP.
    """

    settings: type[SourceSettings]
    source: str
    platform: str

    @property
    def kind(self) -> str:
        """As users write it."""
        return str(self.settings.__struct_config__.tag)


#: A new connector is a folder beside this file, and one line here.
CONNECTORS = (
    Connector(
        Billtobox,
        "stages.sources.billtobox.source:BilltoboxSource",
        "stages.sources.billtobox.sandbox:BilltoboxWire",
    ),
    Connector(
        EInvoiceBe,
        "stages.sources.einvoice_be.source:EInvoiceBeSource",
        "stages.sources.einvoice_be.sandbox:EInvoiceBeWire",
    ),
)

#: The sections that [[sources]] of the configuration may hold.
SECTIONS = tuple(connector.settings for connector in CONNECTORS)

_BY_SECTION = {connector.settings: connector for connector in CONNECTORS}


def open_source(settings: SourceSettings, state_dir: Path) -> Source:
    """The source that a [[sources]] section describes; no request is sent yet."""
    make: Callable[[Any, Path], Source] = resolve_name(_BY_SECTION[type(settings)].source)
    return make(settings, state_dir)


def platform_of(connector: Connector) -> Platform:
    """The platform of a connector, for the sandbox."""
    make: Callable[[], Platform] = resolve_name(connector.platform)
    return make()
