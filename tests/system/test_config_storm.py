"""A storm of edits of the configuration: nothing lost, nothing twice, nothing where no edit said.

The storm is short in every pytest; `SYNQUP_STORM=100 pytest tests/system/test_config_storm.py`
makes the whole one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.processes import Process
from tests.crash.world import Host, World, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

EDITS = int(os.environ.get("SYNQUP_STORM", "20"))
DOCUMENTS = 12
OURS = "out/[enterprise_name]_[enterprise_identifier]/achats"


class Storm:
    """Edits the configuration in ways that people and editors do; keeps the valid one in mind.

    named: every folder of purchases, below `out`, that a valid version has named.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._config = world.config
        self._rng = random.Random(seed)
        self._valid = self._config.read_text()
        self._number = 0
        self.named = {"achats"}

    def edit(self) -> None:
        """One more edit, drawn by the seed; valid and invalid ones by turns."""
        self._number += 1
        ways = (self._save, self._replace, self._restore, self._move)
        wrongs = (self._half, self._nonsense, self._delete, self._empty, self._binary)
        self._rng.choice(wrongs if self._number % 2 else ways)()

    def end(self) -> None:
        """Leave a valid version."""
        self._config.parent.mkdir(exist_ok=True)
        self._replace()

    def _version(self) -> str:
        """Another valid version: other folders for purchases, other sizes of stages."""
        folder = f"achats-{self._number % 5}"
        self.named.add(folder)
        sizes = f"\n[stages.download]\nworkers = {self._rng.randint(1, 16)}\n"
        return self._valid.replace(OURS, OURS.replace("achats", folder)) + sizes

    def _save(self) -> None:
        self._config.write_text(self._version())

    def _replace(self) -> None:
        draft = self._config.with_name("draft")
        draft.write_text(self._version())
        draft.replace(self._config)

    def _restore(self) -> None:
        text = self._version()
        self._config.unlink(missing_ok=True)
        time.sleep(self._rng.uniform(0, 0.5))
        self._config.write_text(text)

    def _move(self) -> None:
        """Rename the folder away and back, with another version in it."""
        folder = self._config.parent
        away = folder.with_name("away")
        folder.rename(away)
        time.sleep(self._rng.uniform(0, 0.5))
        (away / self._config.name).write_text(self._version())
        away.rename(folder)

    def _half(self) -> None:
        """A version that names a folder which no valid one names, cut off in the middle."""
        text = self._valid.replace(OURS, OURS.replace("achats", "half-written"))
        self._config.write_text(text[: self._rng.randint(len(text) // 2, len(text) - 200)])

    def _nonsense(self) -> None:
        text = self._valid.replace(OURS, OURS.replace("achats", "invalid"))
        self._config.write_text(text + "\nnonsense = true\n")

    def _delete(self) -> None:
        self._config.unlink(missing_ok=True)

    def _empty(self) -> None:
        self._config.write_text("")

    def _binary(self) -> None:
        self._config.write_bytes(b"\xff\xfe\x00" * 50)


def separate(world: World) -> None:
    """Give the configuration a folder of its own, which can be moved."""
    folder = world.folder / "etc"
    folder.mkdir()
    text = world.config.read_text().replace('"out/', f'"{world.out}/')
    text = text.replace('"var/state"', f'"{world.state}"')
    world.config.with_name("synqup.toml.secret").rename(folder / "synqup.toml.secret")
    world.config.unlink()
    world.config = folder / "synqup.toml"
    world.config.write_text(text)


def folders_of_purchases(world: World) -> set[str]:
    return {one.path.parts[-2] for one in world.taken} - {"ventes", "coda"}


def problems(world: World) -> list[str]:
    """As ever, but that purchases may lie in whichever folder was named."""
    return [one for one in world.problems() if not one.startswith("in a wrong folder")]


def all_acknowledged(world: World) -> Callable[[], bool]:
    return lambda: world.acknowledged() == {one["id"] for one in world.manifest}


def wait_until_polled_anew(world: World) -> None:
    """A poll ends under the configuration with which it began."""
    began = time.time()

    def polled() -> bool:
        assert world.synqup("status", "--json") == 0
        (source,) = json.loads(world.said())["sources"]
        # The first poll may not have come to an end before the edit began it anew.
        return (source["polled_at"] or 0.0) > began + 1

    wait_until(polled)


def end(process: Process) -> None:
    process.send(signal.SIGTERM)
    assert process.wait() == 0, process.said()


def test_a_storm_of_edits_loses_nothing_and_misplaces_nothing(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, DOCUMENTS, companies=2, latency=0.01) as world:
        separate(world)
        storm = Storm(world, seed=EDITS)
        with world.importer(), world.running("run") as process:
            wait_until(lambda: "achats" in folders_of_purchases(world))
            for _ in range(EDITS):
                storm.edit()
                world.grow(DOCUMENTS)
                time.sleep(random.Random(storm._number).uniform(0, 0.6))
            storm.end()
            wait_until(all_acknowledged(world))
            # The last version is the one in force.
            world.grow(DOCUMENTS)
            wait_until(all_acknowledged(world))
            end(process)
        assert "Traceback" not in process.said()
        assert problems(world) == []
        assert folders_of_purchases(world) <= storm.named
        assert len(folders_of_purchases(world)) > 1


def test_edits_after_the_folder_was_moved_are_still_followed(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, DOCUMENTS) as world:
        separate(world)
        with world.running("run") as process:
            wait_until(all_acknowledged(world))
            folder = world.config.parent
            folder.rename(folder.with_name("away"))
            time.sleep(1)
            folder.with_name("away").rename(folder)
            time.sleep(1)
            world.edit("/achats", "/moved")
            wait_until(lambda: process.said().count("configuration applied"))
            world.grow(DOCUMENTS)
            wait_until(all_acknowledged(world))
            end(process)
        world.take()
        assert problems(world) == []
        assert folders_of_purchases(world) == {"achats", "moved"}


def test_a_folder_made_anew_with_another_version_is_followed(host: Host, tmp_path: Path) -> None:
    """As a deployment does it: the new folder stands ready and takes the old one's place."""
    with host.world(tmp_path, DOCUMENTS) as world:
        separate(world)
        with world.running("run") as process:
            wait_until(all_acknowledged(world))
            folder, new = world.config.parent, world.config.parent.with_name("new")
            new.mkdir()
            for path in folder.iterdir():
                (new / path.name).write_text(path.read_text().replace("/achats", "/moved"))
            folder.rename(folder.with_name("old"))
            new.rename(folder)
            wait_until(lambda: process.said().count("configuration applied"))
            end(process)


def test_a_company_whose_paths_change_keeps_each_document_in_one_of_them(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 60, latency=0.02) as world:
        with world.importer(), world.running("run") as process:
            wait_until(lambda: len(world.taken) > 10)
            world.edit("/achats", "/aankopen")
            wait_until(all_acknowledged(world))
            wait_until(lambda: "configuration applied" in process.said())
            wait_until_polled_anew(world)
            wait_until(lambda: len(world.taken) == 60)
            world.grow(20)
            wait_until(all_acknowledged(world))
            end(process)
        assert problems(world) == []
        assert folders_of_purchases(world) == {"achats", "aankopen"}
        late = [one.path.parts[-2] for one in world.taken[60:]]
        assert "achats" not in late


def test_a_rotated_secret_is_taken_up_without_a_restart(host: Host, tmp_path: Path) -> None:
    with host.world(tmp_path, DOCUMENTS) as world:
        secret = world.config.with_name("synqup.toml.secret")
        right = secret.read_text()
        secret.write_text("not-this-one\n")
        with world.running("run") as process:
            wait_until(lambda: "sign-in" in process.said())
            secret.write_text(right)
            wait_until(all_acknowledged(world))
            end(process)
        assert "not-this-one" not in process.said() + world.log()
        world.take()
        assert world.problems() == []


def test_a_company_taken_out_and_put_back_in_mid_backlog_loses_nothing(
    host: Host, tmp_path: Path
) -> None:
    with host.world(tmp_path, 60, companies=2, latency=0.02) as world:
        whole = world.config.read_text()
        first = whole.split("[[companies]]")[1]
        without_first = whole.replace("[[companies]]" + first, "")
        with world.importer(), world.running("run") as process:
            wait_until(lambda: len(world.taken) > 10)
            for text in (without_first, whole, without_first, whole):
                world.config.write_text(text)
                time.sleep(0.5)
            wait_until(all_acknowledged(world))
            end(process)
        assert world.problems() == []
