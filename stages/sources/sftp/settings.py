"""SFTP settings: the [[sources]] section of kind "sftp"."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from msgspec import Struct

from pipeline.config.loader import POINTER, LoadContext
from pipeline.config.types import Duration, Secret, above_zero, absolute, not_blank, one_of
from pipeline.files import check_file, os_reason
from pipeline.retry import RetryPolicy
from stages.kind import Kind
from stages.settings import SourceSettings
from stages.sources.sftp.patterns import folder_pattern

REMOVE, MOVE, KEEP = "remove", "move", "keep"

#: Names of files and folders that are left alone: those of uploads that go on (WinSCP, FileZilla,
#: browsers), hidden ones, locks, and what another program has put aside.
IGNORED = (
    "*.filepart",
    "*.part",
    "*.tmp",
    "*.partial",
    "*.crdownload",
    ".*",
    "~*",
    "processed",
)

#: Bytes of a file of known_hosts, at most.
LARGEST_KNOWN_HOSTS = 10_000_000

_FINGERPRINT = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?")


def fingerprint_of_key(text: str) -> str:
    """Validate the fingerprint of a host key; return it as OpenSSH writes it. Raises ValueError."""
    if not text.strip():
        return ""
    if match := _FINGERPRINT.fullmatch(text.strip()):
        return f"SHA256:{match[1]}"
    raise ValueError(
        'a fingerprint looks like "SHA256:" and 43 signs; `synqup check` shows that of the server'
    )


def host_name(text: str) -> str:
    """Validate the name or number of a host. Raises ValueError."""
    if "://" in text or "@" in text or "/" in text or any(map(str.isspace, text)):
        raise ValueError('write the host alone, like "sftp.example.com"; user and port are keys')
    return text


def port_number(number: int) -> int:
    """Validate a port. Raises ValueError."""
    if not 1 <= number <= 65535:
        raise ValueError("a port is 1 to 65535; the usual one is 22")
    return number


def server_folder(text: str) -> str:
    """Validate a folder at the server. Raises ValueError."""
    if "\0" in text or ".." in PurePosixPath(text).parts:
        raise ValueError('write a folder of the server without ".."')
    return text


def folder_below_root(text: str) -> str:
    """Validate a folder at the server that lies below the root. Raises ValueError."""
    server_folder(text)
    if not text.strip("/. ") or text.startswith("/"):
        raise ValueError('write a folder below the root, like "archive"')
    return str(PurePosixPath(text))


def marker_pattern(text: str) -> str:
    """Validate the pattern of a marker's name. Raises ValueError."""
    if text and (text.count("*") != 1 or "/" in text or text.strip() == "*"):
        raise ValueError(f'"{text}" is no pattern of a marker; write one like "*.ok"')
    return text


class DocumentFolder(Struct, frozen=True, forbid_unknown_fields=True):
    """A pattern of folders whose files are documents.

    path: below the root, with [company], [year], [month], [iban], *, ? and **. kind: of its
    documents, if all are of one. files: names of the files that are documents.
    """

    path: Annotated[str, folder_pattern]
    kind: Annotated[str, one_of("", "purchase", "sales", "statement")] = ""
    files: tuple[str, ...] = ("*",)

    @property
    def hint(self) -> Kind | None:
        """The kind, None if it is not known."""
        return Kind(self.kind) if self.kind else None


class Preset(Struct, frozen=True):
    """What a preset stands for where the section says nothing else."""

    host: str
    acknowledge: str
    folders: tuple[DocumentFolder, ...]
    ignore: tuple[str, ...]
    renditions: bool


def _codabox() -> Preset:
    """The tree that CodaBox's own SyncTool fetches from and removes from (its source, 2023)."""
    folders = [
        DocumentFolder(f"{home}{path}", kind)
        for home in ("", "home/")
        for path, kind in (
            ("[company]/[year]/[iban]", "statement"),
            ("[company]/[year]/Invoices-IN-*", "purchase"),
            ("[company]/[year]/Invoices-OUT-*", "sales"),
            ("[company]/**", ""),
        )
    ]
    ignore = (*IGNORED, "*processed*")
    return Preset("sftp.codabox.com", REMOVE, tuple(folders), ignore, renditions=True)


PRESETS = {"codabox": _codabox()}
#: What holds where there is no preset: every file below the root.
_PLAIN = Preset("", "", (DocumentFolder("**"),), IGNORED, renditions=False)


class Sftp(SourceSettings, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sftp"):
    """[[sources]] of kind "sftp".

    key: a private key as OpenSSH or PEM writes it; passphrase: of that key. known_hosts: a file as
    ssh(1) has it; fingerprint: of the server's key, in its place. preset: sets what is usual at one
    provider. root: the folder at the server below which everything lies; "" for the one that a
    sign-in leads to. folders: those that hold documents; by default all below the root.
    acknowledge: "remove" documents that are safe here, "move" them to `archive` or `errors` (below
    the root), or "keep" them and change nothing. ignore: names that are left alone. marker: only
    files with such a file beside them are taken, like "*.ok", where * is the name of the file with
    or without its extension. renditions: a PDF beside another file of the same name is another form
    of it. settle: seconds in which size and time have to be unchanged. keepalive: seconds between
    two signs of life on an idle connection. timeout: seconds without an answer. parallel: files
    that are read at once. max_depth, max_files: levels of folders, and files, of one walk.
    """

    user: Annotated[str, not_blank]
    host: Annotated[str, host_name] = ""
    port: Annotated[int, port_number] = 22
    password: Secret | None = None
    key: Secret | None = None
    passphrase: Secret | None = None
    known_hosts: Path | None = None
    fingerprint: Annotated[str, fingerprint_of_key] = ""
    preset: Annotated[str, one_of("", *PRESETS)] = ""
    root: Annotated[str, server_folder] = ""
    folders: tuple[DocumentFolder, ...] = ()
    acknowledge: Annotated[str, one_of("", REMOVE, MOVE, KEEP)] = ""
    archive: Annotated[str, folder_below_root] = "archive"
    errors: Annotated[str, folder_below_root] = "error"
    ignore: tuple[str, ...] | None = None
    marker: Annotated[str, marker_pattern] = ""
    renditions: bool | None = None
    settle: Duration = Duration(30)
    keepalive: Annotated[Duration, above_zero] = Duration(15)
    connect_timeout: Annotated[Duration, above_zero] = Duration(10)
    timeout: Annotated[Duration, above_zero] = Duration(60)
    parallel: Annotated[int, above_zero] = 8
    max_depth: Annotated[int, above_zero] = 16
    max_files: Annotated[int, above_zero] = 100_000
    attempts: Annotated[int, above_zero] = 5
    retry_wait: Annotated[Duration, above_zero] = Duration(0.5)
    longest_retry_wait: Annotated[Duration, above_zero] = Duration(20)

    @property
    def usual(self) -> Preset:
        """What the preset says."""
        return PRESETS.get(self.preset, _PLAIN)

    @property
    def server(self) -> str:
        """The host in use."""
        return self.host or self.usual.host

    @property
    def acknowledging(self) -> str:
        """How it acknowledges: REMOVE, MOVE or KEEP."""
        return self.acknowledge or self.usual.acknowledge

    @property
    def document_folders(self) -> tuple[DocumentFolder, ...]:
        """The folders that hold documents, of which the first counts that a folder matches."""
        return self.folders or self.usual.folders

    @property
    def left_alone(self) -> tuple[str, ...]:
        """The names that are left alone."""
        return self.usual.ignore if self.ignore is None else self.ignore

    @property
    def has_renditions(self) -> bool:
        """Whether a PDF beside another file is a form of it."""
        return self.usual.renditions if self.renditions is None else self.renditions

    @property
    def retries(self) -> RetryPolicy:
        """How failures that pass are retried."""
        return RetryPolicy(self.attempts, self.retry_wait, self.longest_retry_wait)

    @property
    def longest_silence(self) -> float:
        """Seconds that one request may take at most, or a list that waits for files to settle."""
        once = 2 * self.connect_timeout + self.timeout + self.longest_retry_wait
        return self.attempts * once + self.settle

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check what the single keys can't: that one can sign in, and whom one trusts."""

        def wrong(name: str, what: str, right: str) -> None:
            if context.is_valid(key, name):
                context.add_problem(f"{key}.{name}", what, right)

        if find_spec("asyncssh") is None:
            wrong("kind", "the package asyncssh is missing", 'install "synqup[sftp]"')
        usual = self.usual if context.is_valid(key, "preset") else PRESETS["codabox"]
        if not self.host and not usual.host:
            wrong("host", "this is missing", 'write host = "sftp.example.com"')
        if not self.acknowledge and not usual.acknowledge:
            wrong(
                "acknowledge",
                "this is missing, and says what becomes of documents that are safe here",
                'write "remove", "move" (to the folder `archive`), or "keep" to change nothing',
            )
        if context.is_valid(key, "password", "key") and self.key is None:
            if self.password is None:
                wrong("password", "this is missing, and so is `key`", POINTER)
            if self.passphrase is not None:
                wrong("passphrase", "this is of a key, and `key` is missing", "remove it")
        self._check_trust(base, wrong)

    def _check_trust(self, base: Path, wrong: Any) -> None:
        if self.known_hosts is None:
            return
        if self.fingerprint:
            wrong("fingerprint", "known_hosts says which key is trusted", "write one of both")
        try:
            check_file(absolute(base, self.known_hosts), LARGEST_KNOWN_HOSTS)
        except OSError as error:
            wrong(
                "known_hosts",
                f"{self.known_hosts} can't be read ({os_reason(error)})",
                "name a file as ssh has it, or write a fingerprint",
            )
