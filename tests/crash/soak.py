"""The service for long: a server at fault, SIGKILLs, edits of the configuration, an importer."""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from stages.sandbox.checksums import checksum_headers
from stages.sandbox.fault_spec import FaultSpec

from .world import Host, Taken, World

#: Short lives; the ones after them are long, for what grows to show.
SHORT = 20
#: Seconds between two samples of a process, and the time it is given to grow up.
BETWEEN = 0.5
GROWN = 4.0


#: What the server does wrong, and in which share of its answers: all of it passes.
FAULTS = (
    FaultSpec("error", rate=0.005),
    FaultSpec("reset", rate=0.005),
    FaultSpec("truncated", rate=0.005),
    FaultSpec("damaged", rate=0.002),
    FaultSpec("too-many-seconds", rate=0.0005, seconds=1),
    FaultSpec("expired-token", rate=0.0005),
    FaultSpec("repeated-page", rate=0.02),
    FaultSpec("invalid-json", rate=0.005),
    FaultSpec("web-page", on="document", rate=0.002),
    FaultSpec("error", on="acknowledgement", rate=0.005),
    FaultSpec("lost-acknowledgement", rate=0.01),
    FaultSpec("ignored-acknowledgement", rate=0.002),
    FaultSpec("clock", rate=0.01),
)


class Sample(NamedTuple):
    """What one process held at one time. memory: bytes of resident set."""

    pid: int
    at: float
    memory: int
    descriptors: int


class Soaked(NamedTuple):
    """What came of it. growth: of the longest life, memory late over memory early.

    excused: documents that arrived with one byte changed on their way and for which nothing but an
    ETag, or nothing at all, vouches: no program could have told.
    """

    documents: int
    seconds: float
    kills: int
    edits: int
    most_memory: int
    most_descriptors: int
    growth: float
    excused: list[str]
    problems: list[str]


def soak(host: Host, folder: Path, documents: int, seed: int, patience: float) -> Soaked:
    """Bring so many documents through kills and edits drawn by a seed; give up after patience."""
    rng = random.Random(seed)
    began = time.monotonic()
    samples: list[Sample] = []
    kills = edits = 0
    with host.world(folder / "soak", documents, companies=3, seed=seed, faults=FAULTS) as world:
        versions = _versions(world)
        with world.importer():
            done = False
            while not done and time.monotonic() < began + patience:
                life = rng.uniform(1, 8) if kills < SHORT else rng.uniform(15, 40)
                # Nothing starts with a configuration that can't be used.
                world.config.write_text(versions[0])
                with world.running("run") as process:
                    until = time.monotonic() + life
                    while time.monotonic() < until and not (done := _done(world, documents)):
                        if rng.random() < 0.2:
                            world.config.write_text(rng.choice(versions))
                            edits += 1
                        time.sleep(BETWEEN)
                        samples += _sample(process.pid)
                    if done:
                        world.config.write_text(versions[0])
                        process.send(signal.SIGTERM)
                        status = process.wait()
                    else:
                        process.kill()
                        kills += 1
        excused = _excuse(world)
        problems = world.problems()
        if not done:
            came = f"{len(world.taken)} of {documents} came, {len(world.acknowledged())} were told"
            problems.insert(0, f"it did not come to its end in time: {came}; what follows may come")
        elif status:
            problems.append(f"the last life ended with {status}:\n{world.said()[-2000:]}")
    return Soaked(
        documents,
        round(time.monotonic() - began, 1),
        kills,
        edits,
        max(sample.memory for sample in samples),
        max(sample.descriptors for sample in samples),
        _growth(samples),
        excused,
        problems[:20],
    )


def _excuse(world: World) -> list[str]:
    """Count what was damaged on its way, and could not be told from whole, as the document it was.

    Proved for each: it differs in one byte from a document that comes without a checksum which
    proves damage.
    """
    known = {one["sha256"] for one in world.manifest}
    unvouched: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
    for document in world.mailbox:
        data = document.read()
        if checksum_headers(document, data).keys() <= {"ETag"}:
            unvouched[len(data)].append((sha256(data).hexdigest(), data))
    excused = []
    for number, one in enumerate(world.taken):
        if one.sha256 in known:
            continue
        data = (world.folder / "taken" / str(number)).read_bytes()
        for digest, whole in unvouched[len(data)]:
            if sum(a != b for a, b in zip(data, whole, strict=True)) == 1:
                world.taken[number] = Taken(digest, one.path)
                excused.append(one.path.name)
    return excused


def _versions(world: World) -> list[str]:
    """The configuration as it is, with other sizes, half-written, and nonsense."""
    text = world.config.read_text()
    return [
        text,
        text + "\n[stages.download]\nworkers = 4\n",
        text + "\n[stages.write]\nworkers = 1\nqueue = 8\n",
        text[: len(text) // 2],
        text + "\nnonsense = true\n",
    ]


def _done(world: World, documents: int) -> bool:
    return len(world.taken) >= documents and len(world.acknowledged()) >= documents


def _sample(pid: int) -> list[Sample]:
    proc = Path("/proc") / str(pid)
    try:
        resident = int((proc / "statm").read_text().split()[1]) * 4096
        descriptors = len(list((proc / "fd").iterdir()))
    except (OSError, IndexError):
        return []  # it has just ended
    return [Sample(pid, time.monotonic(), resident, descriptors)]


def _growth(samples: list[Sample]) -> float:
    """Of the process watched longest: the last third's memory over the second third's."""
    lives = defaultdict(list)
    for sample in samples:
        lives[sample.pid].append(sample)
    longest = max(lives.values(), key=len, default=[])
    grown = [sample.memory for sample in longest if sample.at > longest[0].at + GROWN]
    third = len(grown) // 3
    if not third:
        return 1.0
    early, late = grown[third : 2 * third], grown[-third:]
    return round((sum(late) / third) / (sum(early) / third), 3)
