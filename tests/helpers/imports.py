"""Import graph of the code: which module imports which, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Modules by name, and for each the modules that it imports.
Graph = dict[str, set[str]]


def sources(*folders: str) -> dict[str, Path]:
    """The modules below these folders, by their dotted names."""
    return {
        name_of(path.relative_to(ROOT)): path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def name_of(path: Path) -> str:
    """`pipeline/engine/queue.py` is pipeline.engine.queue, a package's __init__ the package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_in(*folders: str) -> Graph:
    """Who imports whom among the modules below these folders, also within functions."""
    modules = sources(*folders)
    return {name: set(_imported(name, path, modules)) - {name} for name, path in modules.items()}


def _imported(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _statements(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            start = ".".join([*above, node.module or ""]).rstrip(".") if node.level else node.module
            # What is imported from a package is a module of it, or a name in its __init__.
            named = [
                one if (one := f"{start}.{alias.name}") in modules else str(start)
                for alias in node.names
            ]
        else:
            continue
        yield from (one for one in named if one in modules)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node; to look into their expressions would take most of the time."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for one in getattr(node, field, ()):
            yield one
            yield from _statements(one)


def cycles(imports: Graph) -> list[list[str]]:
    """The groups of modules of which each imports all others, perhaps by way of more (Tarjan)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(one: str) -> None:
        number[one] = lowest[one] = len(number)
        stack.append(one)
        for other in sorted(imports[one]):
            if other not in number:
                visit(other)
                lowest[one] = min(lowest[one], lowest[other])
            elif other in stack:
                lowest[one] = min(lowest[one], number[other])
        if lowest[one] == number[one]:
            at = stack.index(one)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for one in sorted(imports):
        if one not in number:
            visit(one)
    return found
