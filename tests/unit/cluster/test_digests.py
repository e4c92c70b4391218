"""Digests: the same configuration has the same, wherever its secrets and its state lie."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from pipeline.cluster.digests import differences, digest_of, parts
from pipeline.config.types import Secret, ServiceSettings


class Named(Struct, frozen=True):
    name: str
    folder: Path
    secret: Secret


class Whole(Struct, frozen=True):
    service: ServiceSettings
    companies: tuple[Named, ...]
    sources: tuple[Named, ...]
    delivery: Named


def named(name: str, folder: str = "/in", secret: str = "x") -> Named:
    return Named(name, Path(folder), Secret(env=secret))


def config(*companies: Named, secret: str = "x", state: str = "/state") -> Whole:
    return Whole(ServiceSettings(Path(state)), companies, (named("s", secret=secret),), named("d"))


def test_what_is_a_node_s_own_is_left_out() -> None:
    one = parts(config(named("A"), secret="x", state="/a"))
    other = parts(config(named("A"), secret="y", state="/b"))
    assert one == other
    assert digest_of(one) == digest_of(other)


def test_each_difference_is_named() -> None:
    one, other = (
        parts(config(named("A"), named("B"))),
        parts(config(named("A", "/out"), named("C"))),
    )
    assert list(differences("n", one, "m", other)) == [
        "node m does not have company B",
        "node n does not have company C",
        "company A is not the same on node n and node m",
    ]


def test_many_differences_are_few_sentences() -> None:
    one = parts(config(*[named(f"{number:03}") for number in range(500)]))
    found = differences("n", one, "m", parts(config()))
    assert len(found) == 6
    assert found[-1] == "and 495 more"


def test_the_order_of_entries_means_nothing() -> None:
    one, other = config(named("A"), named("B")), config(named("B"), named("A"))
    assert digest_of(parts(one)) == digest_of(parts(other))
