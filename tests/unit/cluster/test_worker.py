"""The engine's jobs, taken from a real PostgreSQL."""

from __future__ import annotations

import gc
import logging
from concurrent.futures import Future

import pytest
from structlog.testing import capture_logs

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster.planner import Planner
from pipeline.cluster.worker import JobWorker
from tests.helpers.clustering import add_node, eventually, execute, prepared, publish


def test_a_job_that_another_node_has_ended_is_told_in_a_line(
    postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = prepared(postgres)
    add_node(database, "a")
    publish(database, "box", ["all"])
    database.run(Planner().plan)
    handed: list[Future[None]] = []
    worker = JobWorker(postgres, "a", lambda _source, _slice, done: handed.append(done))
    with capture_logs() as logs, caplog.at_level(logging.ERROR, "asyncio"):
        worker.start()
        worker.serve("box")
        eventually(lambda: bool(handed))
        # As another node does that takes this one for dead.
        execute(database, "SELECT procrastinate_finish_job_v1(id, 'failed', true) FROM"
                " procrastinate_jobs")  # fmt: skip
        handed[0].set_result(None)

        def is_told() -> bool:
            gc.collect()
            return any("was not found" in str(one.get("reason")) for one in logs)

        eventually(is_told)
        worker.stop()
    assert not caplog.records
    database.close()
