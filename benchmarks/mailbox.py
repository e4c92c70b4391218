"""A sandbox of the product's own as a process beside us: a server that is far away."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec
from msgspec import Struct

from benchmarks.dataset import LISTS, Item
from benchmarks.failure import BenchmarkError
from benchmarks.ours import ROOT, SYNQUP
from pipeline.app.wiring import load_config
from stages.kind import Kind
from stages.sources.billtobox.settings import Billtobox

#: Seconds within which it has to end.
CLOSING = 20.0


class Line(Struct):
    """A line of the sandbox's manifest."""

    id: str
    kind: Kind
    size: int
    sha256: str


class Far(Struct, frozen=True):
    """A mailbox being served. config: one that works, which delivers to `out` beside it."""

    config: Path
    url: str
    token: str
    items: list[Item]


@contextmanager
def far_away(folder: Path, documents: int, latency: float) -> Iterator[Far]:
    """Serve a new mailbox, each answer after so many seconds, from a folder of its own."""
    config, manifest = folder / "synqup.toml", folder / "manifest.jsonl"
    command = [
        *SYNQUP,
        *("sandbox", "--documents", str(documents), "--latency", str(latency * 1000)),
        *("--write-config", str(config), "--manifest", str(manifest)),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = re.match("listening on (http://.*)", process.stdout.readline())
            if ready is None:
                raise BenchmarkError("the sandbox does not start")
            yield Far(config, ready[1], _token(config), _items(manifest))
        finally:
            process.terminate()
            # Before its output is closed, into which it says that it stops.
            process.wait(CLOSING)


def _items(manifest: Path) -> list[Item]:
    lines = msgspec.json.Decoder(Line).decode_lines(manifest.read_bytes())
    return [Item(f"{LISTS[line.kind]}/{line.id}", line.size, line.sha256) for line in lines]


def _token(config: Path) -> str:
    source = load_config(config).sources[0]
    assert isinstance(source, Billtobox)
    assert source.client_secret is not None
    form = {
        "grant_type": "client_credentials",
        "client_id": source.client_id,
        "client_secret": Path(source.client_secret.file or "").read_text().strip(),
    }
    with urlopen(Request(source.token_url, urlencode(form).encode())) as answer:
        token: str = msgspec.json.decode(answer.read())["access_token"]
    return token
