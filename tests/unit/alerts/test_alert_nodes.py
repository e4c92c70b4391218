"""What is wrong with nodes is told once when it begins and once when it is over, by names."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from pipeline.alerts.conditions import Seen
from pipeline.alerts.memory import Memory, new_memory
from pipeline.alerts.message import Message
from pipeline.alerts.rules import look
from pipeline.alerts.saying import said
from pipeline.alerts.settings import CAUSES, AlertSettings
from pipeline.alerts.texts import CAUSES as TEXTS
from pipeline.health.model import Health, SourceHealth
from pipeline.nodes import ClusterView, DatabaseView, NodeReport, NodeView, Overdue
from tests.helpers.alerting import DAY, HOUR, LANGUAGES, MINUTE, MORNING, ROOM

DATABASE = DatabaseView(0.001, "on")


class Nodes:
    """A cluster of three nodes in simulated time, looked at every minute by n1."""

    def __init__(self) -> None:
        self.now = MORNING
        self.teller = "n1"
        self.began = MORNING - DAY
        self.silent: dict[str, float] = {}
        self.gone: set[str] = set()
        self.changed: dict[str, dict[str, Any]] = {}
        self.reports: dict[str, NodeReport] = {}
        self.view: dict[str, Any] = {}
        self.shared_free: int | None = ROOM
        self.settings = AlertSettings(summary="never")
        self.memory: Memory = new_memory(self.now)

    def health(self) -> Health:
        nodes = tuple(
            structs.replace(
                NodeView(
                    name,
                    "host",
                    "1.0",
                    self.now - self.silent.get(name, self.now - 2),
                    name not in self.silent,
                    MORNING - DAY,
                    report=self.reports.get(name, NodeReport(disk_free=ROOM)),
                ),
                **self.changed.get(name, {}),
            )
            for name in ("n1", "n2", "n3")
            if name not in self.gone
        )
        return Health(
            at=self.now,
            started_at=self.began,
            progress_at=self.now,
            sources=(SourceHealth("box", self.now - 60),),
            destinations=(),
            quarantined=0,
            waiting=0,
            unacknowledged=0,
            ledger_bytes=1,
            disk_free=self.reports.get(self.teller, NodeReport(disk_free=ROOM)).disk_free,
            shared_free=self.shared_free,
            cluster=ClusterView(self.now, DATABASE, nodes, **self.view),
            node=self.teller,
        )

    def run(self, seconds: float, language: str = "en") -> list[Message]:
        found = []
        end = self.now + seconds
        while self.now < end:
            self.now += MINUTE
            seen = Seen(self.now, self.health(), self.settings, "office")
            self.memory, news = look(self.memory, seen)
            found += [said(one, LANGUAGES[language]) for one in news]
        return found

    def subjects(self, seconds: float) -> list[str]:
        return [one.subject for one in self.run(seconds)]


@pytest.fixture
def it() -> Nodes:
    one = Nodes()
    assert not one.run(HOUR)
    return one


def test_a_silent_node_is_one_message_and_one_when_it_works_again(it: Nodes) -> None:
    it.silent["n2"] = it.now
    assert not it.run(9 * MINUTE)
    (begun,) = it.run(DAY)
    assert (begun.cause, begun.subject) == ("node", "node n2 is silent")
    assert "the other nodes take over its work. No document is lost." in begun.text
    del it.silent["n2"]
    assert it.subjects(DAY) == ["node n2 works again"]


def test_whoever_has_the_turn_next_repeats_nothing(it: Nodes) -> None:
    it.silent["n1"] = it.now
    it.teller, it.began = "n2", it.now
    assert it.subjects(HOUR) == ["node n1 is silent"]
    it.teller, it.began = "n3", it.now
    assert not it.run(HOUR)
    del it.silent["n1"]
    assert it.subjects(HOUR) == ["node n1 works again"]


def test_a_node_that_is_not_waited_for_any_more_is_forgotten(it: Nodes) -> None:
    it.silent["n2"] = it.now
    it.run(HOUR)
    it.gone.add("n2")
    (over,) = it.run(HOUR)
    assert (over.subject, over.state) == ("node n2 is forgotten", "over")


def test_before_the_others_are_seen_nothing_of_them_is_over(it: Nodes) -> None:
    it.silent["n2"] = it.now
    it.run(HOUR)
    unseen = structs.replace(it.health(), cluster=None)
    memory, news = look(it.memory, Seen(it.now + 1, unseen, it.settings))
    assert not news
    assert memory.incidents


def test_a_hiccup_of_a_node_is_silent(it: Nodes) -> None:
    it.silent["n2"] = it.now
    assert not it.run(5 * MINUTE)
    del it.silent["n2"]
    assert not it.run(HOUR)


def test_configurations_that_differ_are_told_after_ten_minutes(it: Nodes) -> None:
    it.changed["n2"] = {"differs": ("company A is not the same on node n2 and node n1",)}
    it.view = {"differs_since": it.now}
    assert not it.run(9 * MINUTE)
    (begun,) = it.run(HOUR)
    assert begun.subject == "the nodes are configured differently"
    assert "company A is not the same on node n2 and node n1" in begun.text
    it.view, it.changed = {}, {}
    assert it.subjects(HOUR) == ["the nodes are configured alike again"]


def test_a_source_that_no_node_gets_to_is_told(it: Nodes) -> None:
    it.view = {"overdue": (Overdue("box", 2, 10, it.now - 20 * MINUTE),)}
    (begun,) = it.run(HOUR)
    assert begun.subject == "source box is not polled in time"
    assert "2 of its 10 parts should have been polled, the first of them 21 minutes ago" in (
        begun.text
    )
    it.view = {}
    assert it.subjects(HOUR) == ["source box is polled in time again"]


def test_a_disk_and_what_is_stuck_are_told_of_their_node(it: Nodes) -> None:
    it.reports["n2"] = NodeReport(disk_free=10**9)
    (begun,) = it.run(HOUR)
    assert begun.cause == "disk"
    assert "the state folder of node n2" in begun.text.lower()
    it.reports["n2"] = NodeReport(disk_free=ROOM)
    (over,) = it.run(HOUR)
    assert (over.cause, over.state) == ("disk", "over")
    it.reports["n3"] = NodeReport(disk_free=ROOM, silence=20 * MINUTE)
    (stuck,) = it.run(HOUR)
    assert "nothing has moved on node n3 for 20 minutes" in stuck.text
    # What one node alone tells of itself is not told twice.
    it.reports["n1"] = NodeReport(disk_free=10**9)
    (own,) = it.run(HOUR)
    assert "the state folder of node n1" in own.text.lower()


def test_the_disk_of_the_folder_that_all_share_is_told_once(it: Nodes) -> None:
    it.shared_free = 10**9
    (begun,) = it.run(HOUR)
    assert begun.cause == "disk"
    assert "the shared folder" in begun.text.lower()
    # Whichever node tells of it.
    it.teller = "n2"
    assert not it.run(HOUR)
    it.shared_free = None
    assert not it.run(HOUR)
    it.shared_free = 10_000_000
    (worse,) = it.run(HOUR, "nl")
    assert "de gedeelde map" in worse.text.lower()
    it.shared_free = ROOM
    (over,) = it.run(HOUR)
    assert (over.cause, over.state) == ("disk", "over")


def test_a_node_that_was_ended_and_was_back_at_once_is_told(it: Nodes) -> None:
    it.changed["n2"] = {"ended_at": it.now - 30, "started_at": it.now}
    (begun, over) = it.run(2 * HOUR)
    assert (begun.cause, begun.state, over.state) == ("ended", "problem", "over")
    assert "on node n2, by a kill" in begun.text
    # One whose silence was told is not told again.
    it.changed["n3"] = {"ended_at": it.now - HOUR, "started_at": it.now}
    assert not it.run(HOUR)


@pytest.mark.parametrize(
    ("language", "subject", "text"),
    [
        ("nl", "node n2 zwijgt", "de andere nodes nemen het werk over"),
        ("fr", "le nœud n2 ne répond plus", "les autres nœuds reprennent son travail"),
    ],
)
def test_it_is_told_in_the_languages_of_the_readers(
    it: Nodes, language: str, subject: str, text: str
) -> None:
    it.silent["n2"] = it.now
    (begun,) = it.run(HOUR, language)
    assert begun.subject == subject
    assert text in begun.text


def test_each_cause_may_be_chosen() -> None:
    assert {"node", "configuration", "overdue"} <= set(CAUSES) & set(TEXTS)
