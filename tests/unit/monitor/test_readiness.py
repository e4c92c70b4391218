"""What is told of the health names sources and no companies, and is bounded."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble
from pipeline.monitor.readiness import MAX_TROUBLES, folder_digest, readiness


def health(*sources: SourceHealth, **more: Any) -> Health:
    more = {"destinations": (), **more}
    return Health(100.0, 50.0, 99.0, sources, quarantined=0, waiting=0, **more, **ZERO)


ZERO: dict[str, Any] = {"unacknowledged": 0, "ledger_bytes": 0}


def reason(text: str) -> str:
    source = SourceHealth("box", 1.0, Trouble(2.0, text, "Do this"))
    told = readiness(health(source))["sources"][0]["trouble"]
    assert (told["since"], told["remedy"]) == ("1970-01-01T00:00:02Z", "Do this")
    said: str = told["reason"]
    return said


def test_all_is_well() -> None:
    told = readiness(
        health(
            SourceHealth("box", 90.0, None, 1e9),
            destinations=(DestinationHealth("/srv/a"), DestinationHealth("/srv/b", None, 7)),
        )
    )
    assert told["ready"] is True
    assert told["at"] == "1970-01-01T00:01:40Z"
    assert told["sources"] == [
        {
            "name": "box",
            "last_good_poll": "1970-01-01T00:01:30Z",
            "sign_in_ends_at": "2001-09-09T01:46:40Z",
            "paused_since": None,
            "trouble": None,
        }
    ]
    assert told["destinations"] == {"working": 2, "failing": 0, "troubles": []}
    assert told["state"] is None
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


def test_a_source_that_is_paused_is_no_failure() -> None:
    for trouble in (None, Trouble(2.0, "no answer")):
        told = readiness(health(SourceHealth("box", None, trouble, None, 60.0, "jan")))
        assert told["ready"] is True
        (source,) = told["sources"]
        assert (source["paused_since"], source["trouble"]) == ("1970-01-01T00:01:00Z", None)


def test_a_source_that_has_not_been_polled_is_why_it_is_not_ready() -> None:
    told = readiness(health(SourceHealth("box")))
    assert told["ready"] is False
    assert told["sources"][0]["trouble"] == {
        "since": "1970-01-01T00:00:50Z",
        "reason": "it has not been polled to its end so far",
        "remedy": "",
    }


def test_folders_are_told_by_a_digest_and_only_the_first_of_many() -> None:
    trouble = Trouble(3.0, "the system says: Permission denied", "Repair it")
    many = tuple(DestinationHealth(f"/srv/Bakkerij {n}/in", trouble) for n in range(500))
    told = readiness(health(SourceHealth("box", 1.0), destinations=many))
    assert (told["ready"], told["destinations"]["failing"]) == (False, 500)
    assert len(told["destinations"]["troubles"]) == MAX_TROUBLES
    assert told["destinations"]["troubles"][0] == {
        "folder": folder_digest("/srv/Bakkerij 0/in"),
        "since": "1970-01-01T00:00:03Z",
        "reason": "the system says: Permission denied",
        "remedy": "Repair it",
    }
    assert "Bakkerij" not in str(told)


def test_a_ledger_that_can_not_be_written_is_told() -> None:
    state = Trouble(4.0, "the disk is full", "Make room")
    told = readiness(health(SourceHealth("box", 1.0), state=state))
    assert told["ready"] is False
    assert told["state"]["reason"] == "the disk is full"


def test_words_of_a_server_and_numbers_of_companies_are_left_out() -> None:
    assert reason('the source answered 403: "Peeters "NV" may not"') == (
        'the source answered 403: "…"'
    )
    for number in ("0403170701", "BE0403170701", "0403.170.701", "BE71096123456769"):
        assert reason(f"there is no list at /companies/{number}/in (404)") == (
            "there is no list at /companies/…/in (404)"
        )
    for kept in ("the source answered 503", "10.100.200.101:8443: refused", "after 3,710 bytes"):
        assert reason(kept) == kept
