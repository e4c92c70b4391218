"""Registry of connectors: a table with one line for each kind of [[sources]].

A line names the parts of its connector as `module:object` (the form of entry points), and they are
imported when the first source of that kind is opened: an HTTP client takes longer to import than
all the rest of Synqup, and most commands open no source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pipeline.errors import ConfigurationError
from pipeline.sign_in import InteractiveSignIn
from pipeline.source import Source
from pipeline.turns import Turns
from stages.settings import SourceSettings
from stages.setup.questions import Question, SettingQuestion, setting_questions
from stages.sources.billit.settings import Billit
from stages.sources.billtobox.settings import Billtobox
from stages.sources.codabox.settings import CodaBox
from stages.sources.einvoice_be.settings import EInvoiceBe
from stages.sources.peppyrus.settings import Peppyrus
from stages.sources.recommand.settings import Recommand
from stages.sources.scrada.settings import Scrada
from stages.sources.sftp.settings import Sftp

if TYPE_CHECKING:
    from stages.sandbox.platform import Platform


class Connector(Struct, frozen=True):
    """One connector.

    settings: the class of its section in [[sources]]; its tag is the `kind` that users write.
    source: names its Source, which is made of such a section and of the state folder, and sends no
    request until it is used.
    platform: names the Platform that the sandbox is for it; a Wire, if it speaks HTTP.
    questions: names what `synqup init` asks about the section, besides its required fields.
    sign_in: names its InteractiveSignIn, which is made as the source is; "" for that of OAuth 2.0,
    or none. takes_turns: whether it keeps what nodes of a cluster take turns to change: it is made
    of their turns as well, or of None.
    """

    settings: type[SourceSettings]
    source: str
    platform: str
    questions: str = ""
    sign_in: str = ""
    takes_turns: bool = False

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
        "stages.sources.billtobox.questions:QUESTIONS",
        takes_turns=True,
    ),
    Connector(
        Sftp, "stages.sources.sftp.source:SftpSource", "stages.sources.sftp.sandbox:SftpPlatform"
    ),
    Connector(
        CodaBox,
        "stages.sources.codabox.source:CodaBoxSource",
        "stages.sources.codabox.sandbox:CodaBoxWire",
        "stages.sources.codabox.questions:QUESTIONS",
        sign_in="stages.sources.codabox.sign_in:OneTimeToken",
        takes_turns=True,
    ),
    Connector(
        Billit,
        "stages.sources.billit.source:BillitSource",
        "stages.sources.billit.sandbox:BillitWire",
        "stages.sources.billit.questions:QUESTIONS",
        takes_turns=True,
    ),
    Connector(
        EInvoiceBe,
        "stages.sources.einvoice_be.source:EInvoiceBeSource",
        "stages.sources.einvoice_be.sandbox:EInvoiceBeWire",
    ),
    Connector(
        Recommand,
        "stages.sources.recommand.source:RecommandSource",
        "stages.sources.recommand.sandbox:RecommandWire",
        "stages.sources.recommand.questions:QUESTIONS",
    ),
    Connector(
        Peppyrus,
        "stages.sources.peppyrus.source:PeppyrusSource",
        "stages.sources.peppyrus.sandbox:PeppyrusWire",
    ),
    Connector(
        Scrada,
        "stages.sources.scrada.source:ScradaSource",
        "stages.sources.scrada.sandbox:ScradaWire",
    ),
)

#: The sections that [[sources]] of the configuration may hold.
SECTIONS = tuple(connector.settings for connector in CONNECTORS)

_BY_SECTION = {connector.settings: connector for connector in CONNECTORS}


def open_source(settings: SourceSettings, state_dir: Path, turns: Turns | None = None) -> Source:
    """The source that a [[sources]] section describes; no request is sent yet.

    state_dir: where it keeps what outlives the process; in a cluster, the folder that all nodes
    share. turns: what these take turns by; None without a cluster.
    """
    connector = _BY_SECTION[type(settings)]
    make: Callable[..., Source] = resolve_name(connector.source)
    return make(settings, state_dir, turns) if connector.takes_turns else make(settings, state_dir)


def own_sign_in(
    settings: SourceSettings, state_dir: Path, turns: Turns | None = None
) -> InteractiveSignIn | None:
    """The sign-in by a person that a connector brings itself; None if it brings none.

    ConfigurationError or SecretMissing if it lacks something.
    """
    if not (name := _BY_SECTION[type(settings)].sign_in):
        return None
    make: Callable[[Any, Path, Turns | None], InteractiveSignIn] = resolve_name(name)
    return make(settings, state_dir, turns)


def questions_of(connector: Connector) -> Sequence[SettingQuestion]:
    """All that has to be asked about a section of a connector."""
    own: Sequence[Question] = resolve_name(connector.questions) if connector.questions else ()
    return setting_questions(connector.settings, own)


def platform_of(connector: Connector) -> Platform:
    """The platform of a connector, for the sandbox.

    ConfigurationError if a package is missing that this connector alone needs.
    """
    try:
        make: Callable[[], Platform] = resolve_name(connector.platform)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            connector.kind,
            [f'the package {error.name} is missing; install "synqup[{connector.kind}]"'],
        ) from None
    return make()
