"""Imports in socketify/ point downwards, and in no circle: those of types, inside of functions and by name count as well."""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: The package itself stands for what users import, the paths of earlier versions among it.
ORDER = "native wire system metrics loop core http websocket topics app asgi,wsgi,ssgi process server socketify cli __main__"
RANKS = {layer: rank for rank, layers in enumerate(ORDER.split()) for layer in layers.split(",")}
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.glob("socketify/**/*.py"))}
TREES = {name.replace(".__init__", ""): ast.parse(path.read_text()) for name, path in FILES.items()}


def imported(module: str) -> Iterator[str]:
    package = module if f"{module}.__init__" in FILES else module.rpartition(".")[0]
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names = (f"{base}.{alias.name}" for alias in node.names)
            yield from (name if name in TREES else base for name in names)
        elif isinstance(node, ast.Constant) and "." in str(node.value):
            # For importlib.
            yield str(node.value)


IMPORTS = {module: TREES.keys() & set(imported(module)) for module in TREES}


def layer(module: str) -> str:
    name = module.split(".")[-1 if module == "socketify" else 1]
    return name if name in RANKS else "socketify"


@pytest.mark.parametrize("module", TREES)
def test_imports_point_downwards(module: str) -> None:
    others = {each for each in IMPORTS[module] if layer(each) != layer(module)}
    assert not {each for each in others if RANKS[layer(each)] >= RANKS[layer(module)]}


def test_there_is_no_circle() -> None:
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_no_two_classes_share_a_name() -> None:
    modules = defaultdict(list)
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(module)
    assert not {name: places for name, places in modules.items() if len(places) > 1}


def test_every_file_can_be_read_at_once() -> None:
    texts = {module: path.read_text() for module, path in FILES.items() if module != "socketify.native.abi"}
    assert not [module for module, text in texts.items() if text.count("\n") > 500]
