"""Registry of connectors: a table with one line for each kind of [[sources]]."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.source import Source
from stages.sandbox.wire import Wire
from stages.settings import SourceSettings
from stages.sources.billtobox.sandbox import BilltoboxWire
from stages.sources.billtobox.settings import Billtobox
from stages.sources.billtobox.source import BilltoboxSource


class Connector(Struct, frozen=True):
    """One connector.

    settings: the class of its section in [[sources]]; its tag is the `kind` that users write.
    open: makes its Source of such a section and of the state folder; no request is sent yet.
    wire: the wire format with which the sandbox is its platform.
    """

    settings: type[SourceSettings]
    open: Callable[[Any, Path], Source]
    wire: Wire


#: A new connector is a folder beside this file, and one line here.
CONNECTORS = (Connector(Billtobox, BilltoboxSource, BilltoboxWire()),)

#: The sections that [[sources]] of the configuration may hold.
SECTIONS = tuple(connector.settings for connector in CONNECTORS)

_BY_SECTION = {connector.settings: connector for connector in CONNECTORS}


def open_source(settings: SourceSettings, state_dir: Path) -> Source:
    """The source that a [[sources]] section describes; no request is sent yet."""
    return _BY_SECTION[type(settings)].open(settings, state_dir)
