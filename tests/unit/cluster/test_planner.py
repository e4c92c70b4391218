"""Planner: what is due becomes a job, once, and what a dead node left is set free."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster import units
from pipeline.cluster.database import Database
from pipeline.cluster.planner import Planner, queue
from pipeline.cluster.units import Ended, Failure
from tests.helpers.clustering import add_node, claim, execute, jobs, prepared, publish, rows


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    found = prepared(postgres)
    add_node(found, "a")
    yield found
    found.close()


def plan(database: Database) -> int:
    return database.run(Planner().plan)


def rescue(database: Database, *in_hand: str, node: str = "a") -> int:
    return database.run(lambda connection: Planner().rescue(connection, node, in_hand))


def fetch(database: Database, beat: float = 0.0, node: str = "") -> int:
    """Take a job as a worker does, whose heartbeat was so many seconds ago; its number."""
    worker = rows(
        database,
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s * interval '1 s')"
        " RETURNING id",
        beat,
    )[0][0]
    taken = rows(
        database,
        "SELECT (procrastinate_fetch_job_v2(%s::varchar[], %s)).id",
        [queue("s"), queue("s", node)],
        worker,
    )
    return int(taken[0][0])


def due_in(database: Database) -> float:
    found = rows(database, "SELECT extract(epoch FROM due - now())::float8 FROM cluster_units")
    return float(found[0][0])


def let_pass(database: Database, seconds: float) -> None:
    """Let time pass for the units."""
    execute(
        database,
        "UPDATE cluster_units SET due = due - %(s)s, began = began - %(s)s, ended = ended - %(s)s"
        .replace("%(s)s", f"interval '{seconds} s'"),
    )  # fmt: skip


def test_a_unit_that_is_due_becomes_one_job(database: Database) -> None:
    publish(database, "s", ["0", "1"])
    assert plan(database) == 2
    assert plan(database) == 0
    assert sorted(database.run(jobs)) == [("todo", "s\n0"), ("todo", "s\n1")]


def test_a_unit_is_due_again_in_an_interval_should_its_job_be_lost(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    execute(database, "TRUNCATE procrastinate_jobs CASCADE")
    assert plan(database) == 0
    assert 290 < due_in(database) <= 300
    let_pass(database, 300)
    assert plan(database) == 1


def test_a_zombie_that_ends_the_job_of_another_silences_nothing(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    job = fetch(database)
    claimed = claim(database, "s")
    execute(database, "SELECT procrastinate_finish_job_v1(%s, 'succeeded', true)", job)
    assert database.run(lambda connection: units.end(connection, claimed, Ended(300, 1)))
    let_pass(database, 300)
    assert plan(database) == 1


def test_a_stalled_job_beside_a_waiting_one_blocks_nothing(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    fetch(database, beat=20)
    claim(database, "s")
    # As a node did that planned while the other one died.
    execute(
        database,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args) VALUES"
        " (%s, 'poll', %s, %s, '{\"source\": \"s\", \"slice\": \"all\", \"node\": \"\"}')",
        queue("s"), units.name_of("s", "all"), units.name_of("s", "all"),
    )  # fmt: skip
    assert rescue(database) == 1
    assert database.run(jobs) == [("todo", "s\nall")]
    assert fetch(database) > 0


def test_what_a_dead_node_had_in_hand_is_due_at_once(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    fetch(database, beat=14)
    claim(database, "s", node="b")
    assert rescue(database) == 0
    execute(database, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '16 s'")
    assert rescue(database) == 1
    assert plan(database) == 1


def test_a_job_whose_worker_is_forgotten_is_stalled(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    fetch(database)
    execute(database, "DELETE FROM procrastinate_workers")
    assert rescue(database) == 1
    assert plan(database) == 1


def test_a_job_that_was_done_and_could_not_be_ended_blocks_nothing(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    fetch(database)
    claimed = claim(database, "s")
    database.run(lambda connection: units.end(connection, claimed, Ended(5, 1)))
    assert rescue(database) == 0
    let_pass(database, 30)
    assert (rescue(database), plan(database)) == (1, 1)


def test_a_claim_whose_answer_was_lost_blocks_nothing(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    fetch(database)
    claim(database, "s")
    let_pass(database, 20)
    assert rescue(database, units.name_of("s", "all")) == 0
    assert rescue(database, node="b") == 0
    assert rescue(database) == 1


def test_a_job_in_hand_is_not_made_again(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    fetch(database)
    claim(database, "s")
    let_pass(database, 400)
    assert plan(database) == 0
    assert rescue(database, units.name_of("s", "all")) == 0


def test_a_paused_source_is_not_planned_nor_claimed(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    execute(database, "INSERT INTO sources (name, paused_at) VALUES ('s', 1)")
    assert database.run(lambda connection: units.claim(connection, "a", "s", "all")) is None
    execute(database, "TRUNCATE procrastinate_jobs CASCADE")
    let_pass(database, 300)
    assert plan(database) == 0
    execute(database, "UPDATE sources SET paused_at = NULL")
    assert plan(database) == 1


def test_a_source_that_wants_to_be_left_alone_is_not_planned(database: Database) -> None:
    publish(database, "s", ["all"])
    execute(database, "INSERT INTO cluster_pauses VALUES ('s', now() + interval '1 minute')")
    assert plan(database) == 0
    execute(database, "UPDATE cluster_pauses SET until = now() - interval '1 s'")
    assert plan(database) == 1


def test_only_what_a_living_node_knows_is_planned(database: Database) -> None:
    add_node(database, "b", age=20)
    publish(database, "s", ["all"], node="b")
    assert plan(database) == 0
    add_node(database, "b")
    assert plan(database) == 1


def test_a_sticky_unit_stays_with_its_node_until_that_dies(database: Database) -> None:
    add_node(database, "b")
    for node in "ab":
        publish(database, "s", ["all"], node=node, sticky=True)
    claimed = claim(database, "s", node="b")
    database.run(lambda connection: units.end(connection, claimed, Ended(0, 1)))
    assert plan(database) == 1
    [(name,)] = rows(database, "SELECT queue_name FROM procrastinate_jobs")
    assert name == queue("s", "b")
    add_node(database, "b", age=20)
    assert (rescue(database), plan(database)) == (1, 1)
    [(name,)] = rows(database, "SELECT queue_name FROM procrastinate_jobs")
    assert name == queue("s")


def test_a_node_that_lets_an_interval_pass_loses_its_unit(database: Database) -> None:
    publish(database, "s", ["all"], sticky=True)
    claimed = claim(database, "s")
    database.run(lambda connection: units.end(connection, claimed, Ended(0, 1)))
    plan(database)
    let_pass(database, 200)
    assert rescue(database) == 0
    let_pass(database, 200)
    assert (rescue(database), plan(database)) == (1, 1)
    [(name,)] = rows(database, "SELECT queue_name FROM procrastinate_jobs")
    assert name == queue("s")


def test_jobs_of_units_that_are_gone_go_too(database: Database) -> None:
    publish(database, "s", ["all"])
    plan(database)
    publish(database, "s", ["0", "1"])
    assert rescue(database) == 1
    assert database.run(jobs) == []


def test_a_poll_that_was_given_up_records_nothing(database: Database) -> None:
    publish(database, "s", ["all"])
    zombie, other = claim(database, "s"), claim(database, "s", node="b")
    failure = Failure("SourceError", "s", "it is late")
    late = Ended(9999, 1, failure=failure)
    assert not database.run(lambda connection: units.end(connection, zombie, late))
    assert database.run(lambda connection: units.end(connection, other, Ended(60, 2)))
    assert database.run(lambda connection: units.state(connection, "s")).failing == 0


def test_a_hint_has_the_next_poll_come_sooner_also_while_one_runs(database: Database) -> None:
    publish(database, "s", ["all"])
    claimed = claim(database, "s")
    database.run(lambda connection: units.hint(connection, "s", 30))
    database.run(lambda connection: units.end(connection, claimed, Ended(300, 1)))
    assert due_in(database) <= 30
    database.run(lambda connection: units.hint(connection, "s", 0))
    assert due_in(database) <= 0


def test_a_hint_disturbs_no_source_that_has_to_recover(database: Database) -> None:
    publish(database, "s", ["all"])
    claimed = claim(database, "s")
    failed = Ended(900, 1, failure=Failure("SignInRefused", "s", "no"), heeds_hints=False)
    database.run(lambda connection: units.end(connection, claimed, failed))
    database.run(lambda connection: units.hint(connection, "s", 0))
    assert due_in(database) > 800
    database.run(lambda connection: units.due_now(connection, "s"))
    assert due_in(database) <= 0


def test_a_source_says_what_all_of_its_units_say(database: Database) -> None:
    publish(database, "s", ["0", "1"])
    first, second = claim(database, "s", "0"), claim(database, "s", "1")
    database.run(lambda connection: units.end(connection, first, Ended(60, 1, unreadable=2)))
    state = database.run(lambda connection: units.state(connection, "s"))
    assert (state.units, state.failing, state.complete_at) == (2, 0, None)
    refused = Failure("KeyRefused", "s, X", "the key is refused", "Put another", 30.0)
    failed = Ended(60, 2, unreadable=3, failure=refused)
    database.run(lambda connection: units.end(connection, second, failed))
    state = database.run(lambda connection: units.state(connection, "s"))
    assert (state.unreadable, state.failing, state.failures) == (5, 1, [refused])
    third = claim(database, "s", "1")
    assert third.failures == 1
    database.run(lambda connection: units.end(connection, third, Ended(60, 3, unreadable=0)))
    state = database.run(lambda connection: units.state(connection, "s"))
    assert (state.unreadable, state.failing) == (2, 0)
    assert state.complete_at is not None


def test_units_follow_what_the_nodes_know_of(database: Database) -> None:
    add_node(database, "b")
    publish(database, "s", ["0", "1"])
    publish(database, "s", ["0", "10", "11"], node="b")
    publish(database, "s", ["0"])
    slices = [row[0] for row in rows(database, "SELECT slice FROM cluster_units ORDER BY slice")]
    assert slices == ["0", "10", "11"]
    database.run(lambda connection: units.withdraw(connection, "b", "s"))
    database.run(lambda connection: units.withdraw(connection, "a", "s"))
    assert rows(database, "SELECT slice FROM cluster_units") == []
