"""[cluster]: which folder the nodes share, where the ledger is named, and what this node is."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipeline.config.types import Secret
from tests.helpers.settings import GOOD, load, problems

CLUSTER = '\n[cluster]\ndsn = {env = "SYNQUP_DSN"}\nshared_dir = "shared"\n'


def test_without_it_all_lies_in_the_state_folder(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.cluster is None
    assert config.shared_dir == config.service.state_dir == tmp_path / "state"


def test_its_folder_is_the_one_that_all_share(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + CLUSTER)
    assert config.cluster is not None
    assert config.shared_dir == config.cluster.shared_dir == tmp_path / "shared"
    assert config.service.state_dir == tmp_path / "state"
    assert config.cluster.dsn == Secret(env="SYNQUP_DSN")
    assert config.cluster.name == socket.gethostname()


def test_the_file_of_its_dsn_lies_beside_the_configuration(tmp_path: Path) -> None:
    text = CLUSTER.replace('env = "SYNQUP_DSN"', 'file = "dsn"') + 'node = "north 1"\n'
    config = load(tmp_path, GOOD + text)
    assert config.cluster is not None
    assert config.cluster.dsn == Secret(file=str(tmp_path / "dsn"))
    assert config.cluster.name == "north 1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('shared_dir = "shared"', "", ["cluster.shared_dir: this key is missing"]),
        ('dsn = {env = "SYNQUP_DSN"}', "", ["cluster.dsn: this key is missing"]),
        ('{env = "SYNQUP_DSN"}', '"host=here"', ["cluster.dsn"]),
        ('"shared"', '"state"', ["cluster.shared_dir", "each node has a state_dir of its own"]),
        ('"shared"', '"state/shared"', ["cluster.shared_dir", "lie in one another"]),
        ('"shared"', '"."', ["cluster.shared_dir", "lie in one another"]),
        ('"shared"', '"../shared"', ["cluster.shared_dir", "leaves"]),
        ("shared_dir", "share_dir", ["cluster.share_dir", 'mean "shared_dir"']),
        ('"shared"', '"shared"\nnode = " "', ["cluster.node", "can't be empty"]),
        ('"shared"', '"shared"\nnode = "n\\n1"', ["cluster.node", "63 printable characters"]),
        ('"shared"', '"shared"\nnode = "a/b"', ["cluster.node", "without a slash"]),
        ('"shared"', '"shared"\nnode = ""', ["cluster.node", "can't be empty"]),
        ('"shared"', f'"shared"\nnode = "{"n" * 64}"', ["cluster.node", "63 printable"]),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    found = "\n".join(problems(tmp_path, GOOD + CLUSTER.replace(old, new)))
    for words in said:
        assert words in found


@pytest.mark.parametrize("name", ["", "a/b", "n\t1", "n" * 64])
def test_the_name_of_a_machine_that_is_none_for_a_node_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    (found,) = problems(tmp_path, GOOD + CLUSTER)
    assert "cluster.node: this is missing, and the name of this machine" in found
    assert 'write node = "NAME"' in found
    assert load(tmp_path, GOOD + CLUSTER + 'node = "n1"\n').cluster is not None
