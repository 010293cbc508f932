"""Joins what a bundle's verification needs into one file, protocol/verifier.py, that runs without the rest of us.

The modules stay the only place where the logic is written. `--check` compares instead of writing.
"""

import ast
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "protocol/verifier.py"
ENTRY: Final = ("protocol.bundle.command", "main")
HEAD: Final = '''"""Checks a Gridlease proof bundle: copy it anywhere, run `python verifier.py FILE --block-hash 0x…`.

Standard library only; `sha3` (safe-pysha3) is used for speed where it is installed. Python 3.11 or newer. Joined from
the modules that are named below by tools/join_verifier.py (`make verifier`): change those, not this. SPEC "Proofs".
"""
'''


@dataclass
class Piece:
    """One statement at the top of a module, with the comments above it."""

    source: str
    defines: set[str]
    uses: set[str]
    wanted: bool = False


@dataclass
class Module:
    """A module of ours, taken apart."""

    name: str
    summary: str
    pieces: list[Piece] = field(default_factory=list)
    #: name → (module of ours, name there)
    ours: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: name → the import statement that brings it
    foreign: dict[str, str] = field(default_factory=dict)


class Joiner:
    """Finds what the entry needs, and writes it in an order in which it can run."""

    def __init__(self) -> None:
        self._modules: dict[str, Module] = {}
        #: modules in the order in which they must run
        self._order: list[Module] = []
        self._imports: set[str] = set()

    def join(self) -> str:
        self._want(*ENTRY)
        _refuse_clashes(self._order)
        parts = [HEAD, *sorted(self._imports)]
        for module in self._order:
            wanted = [piece.source for piece in module.pieces if piece.wanted]
            if wanted:
                title = f"# {module.name.replace('.', '/')}.py: {module.summary}"
                parts += ["", _shortened(title), "", *wanted]
        parts += ["", 'if __name__ == "__main__":', "    raise SystemExit(main())", ""]
        return _formatted("\n".join(parts))

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = module = _read(name)
            for origin, _ in module.ours.values():
                self._module(origin)
            self._order.append(module)
        return self._modules[name]

    def _want(self, module_name: str, name: str) -> None:
        module = self._module(module_name)
        if name in module.ours:
            self._want(*module.ours[name])
        elif name in module.foreign:
            self._imports.add(module.foreign[name])
        for piece in module.pieces:
            if name in piece.defines and not piece.wanted:
                piece.wanted = True
                for used in piece.uses:
                    self._want(module_name, used)


def _read(name: str) -> Module:
    path = ROOT / (name.replace(".", "/") + ".py")
    if not path.exists():
        path = ROOT / name.replace(".", "/") / "__init__.py"
    text = path.read_text()
    tree, lines = ast.parse(text), text.splitlines()
    module = Module(name, (ast.get_docstring(tree) or "").splitlines()[0])
    after = tree.body[0].end_lineno or 0
    for statement in tree.body[1:]:
        source = "\n".join(lines[after : statement.end_lineno]).strip("\n")
        after = statement.end_lineno or after
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _note_import(module, statement)
        elif isinstance(statement, ast.Expr) and module.pieces:
            # The docstring of the constant above.
            module.pieces[-1].source += "\n" + source
        else:
            module.pieces.append(Piece(source, _defined(statement), _used(statement)))
    return module


def _note_import(module: Module, statement: ast.Import | ast.ImportFrom) -> None:
    for alias in statement.names:
        known_as = alias.asname or alias.name
        if isinstance(statement, ast.Import):
            module.foreign[known_as] = ast.unparse(ast.Import([alias]))
        elif statement.module and statement.module.split(".")[0] == "protocol":
            module.ours[known_as] = (statement.module, alias.name)
        else:
            module.foreign[known_as] = ast.unparse(ast.ImportFrom(statement.module, [alias], 0))


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _refuse_clashes(modules: list[Module]) -> None:
    owners: dict[str, str] = {}
    for module in modules:
        for name in {name for piece in module.pieces if piece.wanted for name in piece.defines}:
            if owners.setdefault(name, module.name) != module.name:
                raise SystemExit(f"{name} is defined in {owners[name]} and in {module.name}: rename one")


def _shortened(line: str) -> str:
    return line if len(line) <= 120 else line[:119].rsplit(" ", 1)[0] + " …"


def _formatted(source: str) -> str:
    ruff = Path(sys.executable).parent / "ruff"
    for command in (["check", "--select", "I", "--fix-only", "--quiet"], ["format"]):
        done = subprocess.run(
            [ruff, *command, "--stdin-filename", str(TARGET), "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        source = done.stdout
    return source


def main() -> int:
    text = Joiner().join()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    sys.stderr.write("protocol/verifier.py is out of date: run `make verifier`\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
