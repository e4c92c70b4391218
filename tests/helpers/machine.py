"""A fresh machine that systemd runs, with the program and a configuration, beside a sandbox."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tests.helpers.processes import ROOT, Mailbox, mailbox
from tests.helpers.systemd import Container, container

SCRIPT = f"""#!{sys.executable}
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
if os.path.exists("/srv/hang") and sys.argv[1] == "run":
    from pipeline.app.service_manager.sd_notify import SystemdLink
    SystemdLink.alive = lambda _: time.sleep(1000)
from pipeline.app.cli import main
main()
"""
CONFIG = "/etc/synqup/synqup.toml"


class Machine:
    """A fresh machine with the program and a configuration, beside a sandbox."""

    def __init__(self, inside: Container, box: Mailbox) -> None:
        self.inside = inside
        self.box = box
        self.config = inside.folder / "etc" / "synqup" / "synqup.toml"

    def synqup(self, *arguments: object, expect: int | None = 0) -> str:
        return self.inside.run("/srv/bin/synqup", *arguments, expect=expect)

    def delivered(self) -> set[str]:
        found = (self.inside.folder / "srv").glob("*books*/**/*.*")
        return {sha256(path.read_bytes()).hexdigest() for path in found if path.is_file()}

    def held(self) -> set[str]:
        return {one["sha256"] for one in self.box.manifest()}

    @property
    def state(self) -> Path:
        return self.inside.folder / "lib" / "synqup"

    def log(self) -> str:
        return (self.state / "logs" / "synqup.log").read_text()

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@contextmanager
def fresh_machine(folder: Path, *options: object) -> Iterator[Machine]:
    """options: of the sandbox."""
    with mailbox(folder, *options) as box, container(folder) as inside:
        it = Machine(inside, box)
        program = inside.folder / "srv" / "bin" / "synqup"
        program.parent.mkdir()
        program.write_text(SCRIPT)
        program.chmod(0o755)
        it.config.parent.mkdir()
        text = box.config.read_text().replace('"state"', '"/var/lib/synqup"')
        it.config.write_text(text.replace('"out/', '"/srv/books/'))
        secret = box.config.with_name("synqup.toml.secret").read_text()
        it.config.with_name("synqup.toml.secret").write_text(secret)
        yield it
