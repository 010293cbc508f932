"""One mutant: compiled, then given to one test after another until one sees it."""

from dataclasses import dataclass
from typing import Final

from tests.mutation.compiler import Compiler, Refused, StackTooDeep
from tests.mutation.easing import groups
from tests.mutation.edits import Edit, applied, crosses
from tests.mutation.model import disagreement
from tests.mutation.mutating import Mutant
from tests.mutation.sources import DEPLOYED, Source, main_file
from tests.mutation.workspace import Workspace

_LEDGER: Final = ("test/unit/*", "test/vectors/*")
_COURT: Final = ("test/court/unit/*", "test/court/stories.t.sol")
_REST: Final = ("test/fuzz/*", "test/invariant/*", "test/court/invariant/*")
#: The old code generator trusts what is in memory, so dirty bits are cut in the release alone.
_RELEASE_ONLY: Final = "BitsAboveItsTypes"
#: Lives of 500 operations each, first and then for what has survived all else.
_LIVES: Final = range(3)
_MORE_LIVES: Final = range(3, 23)
_SECONDS: Final = 600
_LONG: Final = 1800

#: Tests that have code of a file inside, not behind an address: they are compiled with the mutant.
_INSIDE: Final[dict[str, dict[str, str]]] = {
    "src/ProviderRegistry.sol": {"RegistryTest": "test/unit/registry.t.sol"},
    "src/libraries/LeaseMath.sol": {"LeaseMathTest": "test/fuzz/LeaseMath.t.sol"},
    "src/libraries/Resources.sol": {"ResourcesTest": "test/fuzz/Resources.t.sol"},
    "src/libraries/Signatures.sol": {"SignaturesTest": "test/unit/signatures.t.sol"},
    "src/libraries/Trace.sol": {"CourtVectorsTest": "test/court/vectors/Court.t.sol"},
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    #: "killed", "left" by the fast tests, "survived" the slow ones too, or not counted: "not compiled", "same code"
    what: str
    #: the stage that killed it
    by: str = ""
    #: the test, the difference, the compiler's error
    detail: str = ""


class Bench:
    """Compiler, workspace and the unmutated contracts."""

    def __init__(self, compiler: Compiler, sources: dict[str, Source], workspace: Workspace) -> None:
        self._compiler, self._sources, self._workspace = compiler, sources, workspace
        self._eased = {
            name: applied(source.text, _flat(groups(source))) for name, source in sources.items() if groups(source)
        }
        self._original = self._compile(dict.fromkeys(DEPLOYED, ""), {})
        self._in_place: dict[str, bytes] = {}
        self._released: dict[str, bytes] = {}

    def _compile(self, contracts: dict[str, str], changed: dict[str, str]) -> dict[str, bytes]:
        targets = {contract: file or main_file(contract) for contract, file in contracts.items()}
        try:
            return self._compiler.bytecode(targets, self._eased | changed)
        except StackTooDeep:
            originals = {name: source.text.decode() for name, source in self._sources.items()}
            return self._compiler.bytecode(targets, {**originals, **changed}, release=True)

    def unmutated(self) -> Verdict:
        """The originals, compiled in the same way: every test must pass."""
        return self._fast_tests(self._original, court=True, ledger=True)

    def text_of(self, mutant: Mutant) -> str:
        """The mutated file, eased where that does not touch the mutation."""
        source = self._sources[mutant.file]
        kept = [group for group in groups(source) if not any(crosses(mutant.edit, edit) for edit in group)]
        return applied(source.text, [*_flat(kept), mutant.edit])

    def quickly(self, mutant: Mutant) -> Verdict:
        """Seconds a mutant."""
        source = self._sources[mutant.file]
        changed = {mutant.file: self.text_of(mutant)}
        try:
            codes = self._compile(dict.fromkeys(source.contracts, ""), changed)
        except Refused as refused:
            return Verdict("not compiled", detail=str(refused).split("\n", maxsplit=1)[0])
        if all(code == self._original[contract] for contract, code in codes.items()):
            return Verdict("same code")
        verdict = self._fast_tests(codes, court="ReexecutionCourt" in codes, ledger=not source.is_court)
        return verdict if verdict.what == "killed" else self._with_code_inside(mutant, changed)

    def thoroughly(self, mutant: Mutant) -> Verdict:
        """Minutes, for what the fast tests left."""
        source = self._sources[mutant.file]
        verdict = self._as_released(mutant)
        if verdict.what != "left":
            return verdict
        codes = self._compile(dict.fromkeys(source.contracts, ""), {mutant.file: self.text_of(mutant)})
        if not source.is_court and (found := disagreement(codes, _MORE_LIVES)):
            return Verdict("killed", "model", found)
        self._put(codes)
        failing = self._workspace.failing(*_REST, seconds=_LONG)
        return Verdict("killed", "fuzz and invariants", failing) if failing else Verdict("survived")

    def _with_code_inside(self, mutant: Mutant, changed: dict[str, str]) -> Verdict:
        """The tests that carry the file's code themselves."""
        tests = _INSIDE.get(mutant.file, {})
        if not tests:
            return Verdict("left")
        compiled = self._compile(tests, changed)
        for contract, file in tests.items():
            self._workspace.put(file, contract, compiled[contract])
        failing = self._workspace.failing(*tests.values(), seconds=_SECONDS)
        for contract, file in tests.items():
            self._workspace.put_back(file, contract)
        return Verdict("killed", "unit", failing) if failing else Verdict("left")

    def _as_released(self, mutant: Mutant) -> Verdict:
        """Compiled by the settings of foundry.toml. If that is the original's bytecode, it is no other program."""
        source = self._sources[mutant.file]
        targets = {contract: main_file(contract) for contract in source.contracts}
        plain = {name: other.text.decode() for name, other in self._sources.items()}
        for contract, file in targets.items():
            if contract not in self._released:
                self._released |= self._compiler.bytecode({contract: file}, plain, release=True)
        mutated = plain | {mutant.file: applied(source.text, [mutant.edit])}
        try:
            codes = self._compiler.bytecode(targets, mutated, release=True)
        except Refused as refused:
            return Verdict("not compiled", detail=str(refused).split("\n", maxsplit=1)[0])
        if all(code == self._released[contract] for contract, code in codes.items()):
            return Verdict("same code", detail="as released")
        self._put(codes)
        failing = self._workspace.failing(*_LEDGER, *_COURT, seconds=_SECONDS)
        return Verdict("killed", "unit", failing) if failing else Verdict("left")

    def _fast_tests(self, codes: dict[str, bytes], *, court: bool, ledger: bool) -> Verdict:
        if ledger and (found := disagreement(codes, _LIVES)):
            return Verdict("killed", "model", found)
        self._put(codes)
        stages: list[tuple[str, tuple[str, ...]]] = [("unit", _LEDGER)] if ledger else []
        stages += [("court", _COURT)] if court else []
        for name, paths in stages:
            failing = self._workspace.failing(*paths, seconds=_SECONDS, without=_RELEASE_ONLY)
            if failing:
                return Verdict("killed", name, failing)
        return Verdict("left")

    def _put(self, codes: dict[str, bytes]) -> None:
        for contract, code in (self._original | codes).items():
            if self._in_place.get(contract) != code:
                self._workspace.put(main_file(contract), contract, code)
                self._in_place[contract] = code


def _flat(edits: list[list[Edit]]) -> list[Edit]:
    return [edit for group in edits for edit in group]
