"""The rules of the house: who may import whom, how long a file may be, what stands in which table.

Each test names the offenders.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.helpers.imports import ROOT, cycles, imports_in, sources

#: The folders from the lowest layer to the highest. An import goes to a lower layer, or stays in
#: its folder. "pipeline" is the modules that lie directly in it, the contracts; each module that
#: lies directly in stages/ counts as a folder of its own.
LAYERS = (
    ("pipeline",),
    ("pipeline.config", "pipeline.ledger", "pipeline.app.service_manager", "pipeline.language"),
    ("pipeline.engine", "pipeline.network"),
    ("pipeline.cluster",),
    ("pipeline.health",),
    ("pipeline.control",),
    ("pipeline.alerts",),
    ("pipeline.monitor.page",),
    ("pipeline.monitor",),
    ("pipeline.push",),
    ("stages.digest_text",),
    ("stages", "stages.kind", "stages.naming", "stages.checksums", "stages.values"),
    ("stages.settings", "stages.ack_order", "stages.gone", "stages.revisions", "stages.unreadable"),
    ("stages.configuration",),
    ("stages.formats",),
    ("stages.model", "stages.reading"),
    ("stages.rendering.fonts", "stages.rendering.tables"),
    ("stages.matching", "stages.rendering"),
    ("stages.delivery", "stages.sandbox", "stages.setup", "stages.sources.http"),
    ("stages.sources.http.inbox",),
    ("stages.sources.*",),
    ("stages.sources",),
    ("stages.list", "stages.download", "stages.verify", "stages.classify", "stages.write"),
    ("stages.orders", "stages.readable"),
    ("stages.render", "stages.check"),
    ("stages.flow",),
    ("pipeline.app",),
)

#: The modules of pipeline that may import stages.
WIRING = "pipeline.app.wiring"
WIRING_SANDBOX = "pipeline.app.wiring_sandbox"
WIRING_SETUP = "pipeline.app.wiring_setup"
#: A file with as many lines is to be split.
LINES = 400
PARTS = ("pipeline", "stages", "tests", "benchmarks")

CODE = ("pipeline", "stages")
MODULES = sources(*CODE)


def folder_of(module: str) -> str:
    """Where a module stands in the table of layers."""
    is_package = MODULES[module].name == "__init__.py"
    folder = module if is_package else module.rpartition(".")[0]
    return module if folder == "stages" else folder


def layer_of(folder: str) -> int | None:
    exact = [number for number, layer in enumerate(LAYERS) if folder in layer]
    alike = [
        number
        for number, layer in enumerate(LAYERS)
        if any(fnmatchcase(folder, pattern) for pattern in layer)
    ]
    return next(iter(exact + alike), None)


def packages(*folders: str) -> list[Path]:
    """The folders that hold Python files."""
    return sorted({path.parent for path in sources(*folders).values()})


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_folder_stands_in_a_layer() -> None:
    missing = {folder for folder in map(folder_of, MODULES) if layer_of(folder) is None}
    assert not missing, "say in LAYERS of which layer they are"


def test_every_import_goes_to_a_lower_layer() -> None:
    offenders = [
        f"{importer} imports {imported}"
        for importer, names in imports_in(*CODE).items()
        for imported in sorted(names)
        if (above := folder_of(importer)) != (below := folder_of(imported))
        and (layer_of(above) or 0) <= (layer_of(below) or 0)
    ]
    assert not offenders


def test_the_engine_meets_the_stages_in_the_wiring() -> None:
    meeting = {
        importer
        for importer, names in imports_in(*CODE).items()
        if importer.startswith("pipeline")
        and any(name.partition(".")[0] == "stages" for name in names)
    }
    assert meeting == {WIRING, WIRING_SANDBOX, WIRING_SETUP}


@pytest.mark.parametrize(
    "folders", [CODE, ("tests",), ("benchmarks",)], ids=["code", "tests", "benchmarks"]
)
def test_no_modules_import_each_other_in_a_circle(folders: tuple[str, ...]) -> None:
    assert not cycles(imports_in(*folders))


def test_a_circle_and_an_arrow_would_be_seen() -> None:
    circle = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str](), "e": {"a"}}
    assert cycles(circle) == [["a", "b", "c"]]
    assert "stages.flow" in imports_in(*CODE)[WIRING]
    assert "stages.formats.ubl" in imports_in(*CODE)["stages.formats.xml"]
    assert "tests.crash.plan" in imports_in("tests")["tests.crash.hook"]


def test_no_file_is_long() -> None:
    lines = {
        relative(path): len(path.read_text("utf-8").splitlines())
        for path in sources(*PARTS).values()
    }
    assert not {path: count for path, count in lines.items() if count >= LINES}


def test_every_package_says_what_is_inside() -> None:
    silent = []
    for folder in packages("pipeline", "stages", "benchmarks", "tests/helpers", "tests/crash"):
        file = folder / "__init__.py"
        if not file.exists() or not ast.get_docstring(ast.parse(file.read_text("utf-8"))):
            silent.append(relative(folder))
    assert not silent


# The tables


def test_every_connector_stands_in_the_registry() -> None:
    root = ROOT / "stages" / "sources"
    connectors = {relative(folder) for folder in packages("stages/sources")} - {relative(root)}
    connectors = {path.split("/")[2] for path in connectors} - {"http"}
    registered = {
        name.split(".")[2]
        for importer, names in imports_in(*CODE).items()
        if folder_of(importer) == "stages.sources"
        for name in names
        if name.count(".") >= 2
    }
    assert connectors
    assert not connectors - registered, "give each a line in stages/sources/"


def test_every_format_stands_in_its_table() -> None:
    formats, vocabularies = set(), set()
    for name, path in MODULES.items():
        if folder_of(name) != "stages.formats" or path.name == "__init__.py":
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            if node.name == "recognises":
                formats.add(name)
            elif node.name == "read" and node.args.args[0].arg == "root":
                vocabularies.add(name)
    assert formats
    assert vocabularies
    assert not formats - imports_in(*CODE)["stages.formats.registry"], (
        "give each a line in its FORMATS"
    )
    assert not vocabularies - imports_in(*CODE)["stages.formats.xml"], (
        "give each a line in its VOCABULARIES"
    )


def test_every_stage_stands_in_the_flow() -> None:
    """Or in the wiring, as the list of documents, which is in front of the flow."""
    first = LAYERS.index(("stages.sources",)) + 1
    top = {folder for layer in LAYERS[first:-1] for folder in layer} - {"stages.flow"}
    assert not top - MODULES.keys(), "they are in LAYERS and nowhere else"
    assert not top - imports_in(*CODE)["stages.flow"] - imports_in(*CODE)[WIRING], (
        "give each a line in stages/flow.py"
    )


# The tests


def test_no_test_imports_another() -> None:
    offenders = [
        f"{importer} imports {imported}"
        for importer, names in imports_in("tests").items()
        for imported in sorted(names)
        if imported.startswith(("tests.unit", "tests.system", "tests.conftest"))
        or imported.rpartition(".")[2].startswith("test_")
    ]
    assert not offenders


def test_no_two_tests_have_one_name() -> None:
    """As pytest wants it where test folders are no packages."""
    names = Counter(path.name for path in sources("tests").values() if "test_" in path.name)
    assert not [name for name, count in names.items() if count > 1]


def test_unit_tests_lie_in_the_folders_of_what_they_test() -> None:
    tested = {module.split(".")[1] for module in MODULES if module.count(".") >= 1}
    folders = {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir()}
    assert not folders - tested - {"__pycache__"}


def test_the_lowest_versions_that_are_tried_are_those_that_are_allowed() -> None:
    locked = (ROOT / "requirements-lowest.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tried = dict(re.findall(r"(?m)^([a-z0-9-]+)==([0-9.]+)", locked))
    for allowed in project["dependencies"]:
        needed, _, marker = allowed.partition(";")
        if marker:  # of another system
            continue
        name, version = needed.partition(",")[0].split(">=")
        assert f"{tried[name]}.".startswith(f"{version}.")
