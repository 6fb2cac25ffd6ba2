"""The house stays as it was drawn: small files and functions; what may import what, import-linter checks (run.sh)."""

import ast

from tests.conftest import ROOT

FILE, FUNCTION = 300, 60  # lines
LONGER: dict[str, str] = {}  # function -> the reason


def test_files_and_functions_are_small() -> None:
    found = []
    rooms = [ROOT / name for name in ("fas", "tests", "local", "utils", "benchmarks")]
    files = [path for room in rooms for path in sorted(room.rglob("*.py"))]
    assert len(files) > 100
    for path in files:
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        if (lines := len(text.splitlines())) > FILE:
            found.append(f"{name}: {lines} lines; a file has {FILE} at the most: cut it by what is in it")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in LONGER:
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION:
                    found.append(f"{name}:{node.lineno}: {node.name} has {lines} lines, more than {FUNCTION}")
    assert not found, "\n".join(found)


def test_every_room_says_what_belongs_there() -> None:
    for room in sorted((ROOT / "fas").glob("*/__init__.py")):
        assert ast.get_docstring(ast.parse(room.read_text())), f"{room}: says nothing"
