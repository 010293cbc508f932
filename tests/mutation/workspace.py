"""Forge's tests, compiled once: they deploy ledger and court by name, so a mutant is one changed artefact on disk.

The workspace is a copy of contracts/ with its build. Its compiler tells its version and refuses to compile, so nothing
can put an unmutated contract back.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.mutation.sources import CONTRACTS

_COPIED: Final = ("src", "test", "lib", "out", "cache")
_FAILED: Final = re.compile(r"\[FAIL.*?\] (\w+)\(")
#: Fewer than foundry.toml says, for a mutant has few tests to escape but many to pass.
_EFFORT: Final = {"FOUNDRY_FUZZ_RUNS": "64", "FOUNDRY_INVARIANT_RUNS": "4", "FOUNDRY_INVARIANT_DEPTH": "40"}
_SEED: Final = "0x1"
_NO_COMPILER: Final = """#!/bin/sh
[ "$1" = --version ] || exit 1
printf 'solc, the solidity compiler commandline interface\\nVersion: {version}\\n'
"""


class Workspace:
    """One at a time uses a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "contracts"
        self._built: dict[Path, str] = {}

    def prepare(self) -> None:
        """A fresh copy of what `forge build` left."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in _COPIED:
            shutil.copytree(CONTRACTS / name, self._folder / name, copy_function=shutil.copy2)
        packages = self._folder / "node_modules"
        shutil.copytree(CONTRACTS / "node_modules" / "@openzeppelin", packages / "@openzeppelin")
        tests = self._folder.parent / "tests"
        tests.unlink(missing_ok=True)
        tests.symlink_to(CONTRACTS.parent / "tests")
        version = subprocess.run(
            [CONTRACTS / "tools" / "solc-js", "--version"], capture_output=True, text=True, check=True
        ).stdout.split("Version: ")[1]
        compiler = self._folder / "no-compiler"
        compiler.write_text(_NO_COMPILER.format(version=version.strip()))
        compiler.chmod(0o755)
        settings = (CONTRACTS / "foundry.toml").read_text()
        (self._folder / "foundry.toml").write_text(settings.replace("./tools/solc-js", "./no-compiler"))

    def put(self, file: str, contract: str, code: bytes) -> None:
        """Deploying `contract` by name deploys `code` from now on."""
        path = self._folder / "out" / Path(file).name / f"{contract}.json"
        artefact = json.loads(self._built.setdefault(path, path.read_text()))
        artefact["bytecode"] = {"object": "0x" + code.hex(), "sourceMap": "", "linkReferences": {}}
        path.write_text(json.dumps(artefact))

    def put_back(self, file: str, contract: str) -> None:
        """As `forge build` left it."""
        path = self._folder / "out" / Path(file).name / f"{contract}.json"
        path.write_text(self._built[path])

    def failing(self, *paths: str, seconds: int, without: str = "") -> str:
        """The first test that fails in files of these patterns, or nothing; tests that match `without` are not run."""
        for name in ("fuzz", "invariant"):
            shutil.rmtree(self._folder / "cache" / name, ignore_errors=True)
        pattern = "{" + ",".join(paths) + "}" if len(paths) > 1 else paths[0]
        command = [str(CONTRACTS / "tools" / "foundry"), "forge", "test", "--fail-fast", "--fuzz-seed", _SEED]
        command += ["--match-path", pattern, *(["--no-match-test", without] if without else [])]
        try:
            done = subprocess.run(
                command,
                cwd=self._folder,
                env=os.environ | _EFFORT,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return f"no end within {seconds} s"
        if done.returncode == 0:
            if "0 failed" not in done.stdout:
                raise RuntimeError(f"forge ran nothing:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            return ""
        failed = _FAILED.search(done.stdout)
        if failed is None:
            raise RuntimeError(f"forge did not get to a test:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return failed[1]
