"""Nodes of a cluster as real processes: they share the work, and take over what one leaves."""

from __future__ import annotations

import re
import time

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from psycopg.conninfo import make_conninfo

from tests.helpers.clustered import worlds
from tests.helpers.half_open import way_to
from tests.helpers.postgres import PostgresServer, running_postgres
from tests.helpers.processes import synqup
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.slow


def test_two_nodes_deliver_all_of_a_hundred_companies_once(postgres: str) -> None:
    with worlds(postgres, "--companies", 100, "--documents", 600) as world:
        nodes = [world.node(name) for name in "ab"]
        for node in nodes:
            node.start()
        world.until(lambda: world.delivered() == 600)
        world.until(lambda: len(world.box.journal()) >= 600)
        # Who was there first may have brought all of it.
        world.until(lambda: world.rows(
            "SELECT 1 FROM cluster_units u JOIN cluster_units v ON u.node = 'a' AND v.node = 'b'"
        ))  # fmt: skip
        for node in nodes:
            node.send("SIGTERM")
        assert [node.wait() for node in nodes] == [0, 0]
        world.box.assert_everything_stands_once()
        # What is not theirs any more is nobody's.
        assert world.rows("SELECT count(*) FROM cluster_nodes") == [(0,)]
        assert world.rows("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == [
            (0,)
        ]


def test_a_second_process_of_a_name_is_refused_in_words(postgres: str) -> None:
    with worlds(postgres, "--documents", 1) as world:
        world.node("a").start()
        world.until(lambda: world.delivered() == 1)
        other = world.node("a", folder="another")
        said = synqup("run", "--config", other.config, expect=1)
        assert "another process of this name is at work" in said


@pytest.mark.parametrize(
    "how", ["kill", pytest.param("stop", marks=posix_only("no signal stops a process"))]
)
def test_what_a_node_leaves_is_taken_over(postgres: str, how: str) -> None:
    with worlds(postgres, "--companies", 60, "--documents", 30, "--new-every", 0.2) as world:
        a, b = world.node("a"), world.node("b")
        a.start()
        b.start()
        world.until(lambda: world.rows(
            "SELECT 1 FROM cluster_units u JOIN cluster_units v ON u.node = 'a' AND v.node = 'b'"
        ))  # fmt: skip
        a.send("SIGKILL" if how == "kill" else "SIGSTOP")
        began = time.monotonic()
        units = world.rows("SELECT source, slice, token FROM cluster_units")
        # Each unit is polled again by the node that is left.
        world.until(
            lambda: all(
                world.rows(
                    "SELECT 1 FROM cluster_units WHERE slice = %s AND token > %s + 1"
                    " AND node = 'b' AND completed > began",
                    slice_, token,
                )
                for _, slice_, token in units
            )
        )  # fmt: skip
        print(f"taken over {time.monotonic() - began:.1f} s after {how}")
        if how == "stop":
            # Others may have waited for it a little less long than it takes to give itself up.
            world.until(lambda: time.monotonic() > began + 12)
            a.send("SIGCONT")
            assert a.wait() == 1
            said = a.output.read_text()
            assert re.search(r"node a: (it has not reached|another process)", said)


@pytest.mark.parametrize("how", ["half open", "cut"])
def test_a_node_that_reaches_nobody_ends_with_a_sentence(
    postgres_server: PostgresServer, postgres: str, how: str
) -> None:
    with (
        worlds(postgres, "--documents", 5) as world,
        way_to(postgres_server.port) as way,
    ):
        node = world.node("a")
        dsn = make_conninfo(postgres, host="127.0.0.1", port=way.port)
        (node.config.parent / "dsn").write_text(dsn)
        node.start()
        world.until(lambda: world.delivered() == 5)
        way.mute.set() if how == "half open" else way.cut()
        assert node.wait() == 1
        assert re.search("(node a|the ledger).*: ", node.output.read_text().splitlines()[-1])


def test_a_database_that_is_killed_and_comes_back_holds_nothing_up_for_long() -> None:
    with (
        running_postgres() as server,
        server.database() as dsn,
        worlds(dsn, "--companies", 100, "--documents", 600) as world,
    ):
        nodes = [world.node(name) for name in "ab"]
        for node in nodes:
            node.start()
        world.until(lambda: world.delivered() > 30)
        server.kill()
        time.sleep(2)
        server.start()

        def all_are_there() -> bool:
            # Where the server took too long, they have ended; as a service manager does:
            for node in nodes:
                if node.process is not None and node.process.poll() == 1:
                    node.start()
            return world.delivered() == 600

        world.until(all_are_there)
        for node in nodes:
            node.send("SIGTERM")
        assert [node.wait() for node in nodes] == [0, 0]


def test_jobs_that_are_lost_hold_nothing_up(postgres: str) -> None:
    with worlds(postgres, "--companies", 100, "--documents", 400) as world:
        world.node("a").start()
        world.until(lambda: world.delivered() > 50)
        world.rows("TRUNCATE procrastinate_jobs CASCADE")
        world.until(lambda: world.delivered() == 400)


def test_a_source_that_is_paused_on_one_node_rests_on_all(postgres: str) -> None:
    with worlds(postgres, "--companies", 100, "--documents", 10) as world:
        nodes = [world.node(name) for name in "ab"]
        for node in nodes:
            node.start()
        world.until(lambda: world.delivered() == 10)
        synqup("pause", "billtobox", "--config", nodes[0].config)
        time.sleep(4)
        tokens = world.rows("SELECT slice, token FROM cluster_units ORDER BY slice")
        time.sleep(5)
        assert world.rows("SELECT slice, token FROM cluster_units ORDER BY slice") == tokens
        # Whoever is asked lets it go on.
        synqup("resume", "billtobox", "--config", nodes[1].config)
        world.until(
            lambda: all(
                after > before
                for (_, before), (_, after) in zip(
                    tokens,
                    world.rows("SELECT slice, token FROM cluster_units ORDER BY slice"),
                    strict=True,
                )
            )
        )


def test_a_poll_that_is_asked_for_is_of_all_parts(postgres: str) -> None:
    with worlds(postgres, "--companies", 100, "--documents", 10) as world:
        node = world.node("a", interval="1h")
        node.start()
        world.until(lambda: world.delivered() == 10)
        idle = "SELECT 1 FROM cluster_units WHERE ended IS NULL OR ended < began"
        world.until(lambda: not world.rows(idle))
        before = world.rows("SELECT slice, token FROM cluster_units ORDER BY slice")
        synqup("poll", "billtobox", "--config", node.config)
        sql = "SELECT slice, token - 1 FROM cluster_units ORDER BY slice"
        world.until(lambda: world.rows(sql) == before)


def test_companies_that_come_and_go_are_followed(postgres: str) -> None:
    with worlds(postgres, "--companies", 100, "--documents", 200) as world:
        node = world.node("a")
        text = node.config.read_text()
        head, *companies = text.split("[[companies]]")
        *companies, last = companies
        last, cluster = last.split("[cluster]")
        few = [head, *companies[:9], companies[9] + "\n[cluster]" + cluster]
        node.config.write_text("[[companies]]".join(few))
        node.start()
        world.until(lambda: world.rows("SELECT slice FROM cluster_units") == [("all",)])
        node.config.write_text(text)
        world.until(lambda: world.delivered() == 200)
        assert len(world.rows("SELECT slice FROM cluster_units")) > 1
        node.config.write_text("[[companies]]".join(few))
        world.until(lambda: world.rows("SELECT slice FROM cluster_units") == [("all",)])


def test_nodes_that_are_configured_differently_say_so(postgres: str) -> None:
    with worlds(postgres, "--companies", 2, "--documents", 2) as world:
        a, b = world.node("a"), world.node("b")
        text = b.config.read_text()
        at = text.index("[[companies]]")
        name = re.findall(r'name = "([^"]*)"', text[at:])[0]
        after = text.index("[[companies]]", at + 1)
        b.config.write_text(text[:at] + text[after:])
        a.start()
        b.start()
        world.until(lambda: f"node b does not have company {name}" in a.output.read_text())
        world.until(lambda: f"node b does not have company {name}" in b.output.read_text())


def test_a_catch_up_ends_when_all_parts_are_done_beside_a_node(postgres: str) -> None:
    with worlds(postgres, "--companies", 100, "--documents", 300) as world:
        a, other = world.node("a", interval="1h"), world.node("b")
        a.start()
        other.start("catch-up")
        assert other.wait() == 0
        assert world.delivered() == 300
        world.until(lambda: len(world.box.journal()) >= 300)
        assert world.rows("SELECT count(*) FROM cluster_units WHERE completed IS NULL") == [(0,)]


def test_a_catch_up_alone_brings_all(postgres: str) -> None:
    with worlds(postgres, "--companies", 60, "--documents", 120) as world:
        node = world.node("a")
        node.start("catch-up")
        assert node.wait() == 0
        world.box.assert_everything_stands_once()
        said = node.output.read_text()
        assert "120" in said
