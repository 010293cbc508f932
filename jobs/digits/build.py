"""Compiles the digits job's two modules with the pinned Zig from PyPI, to the same bytes on every machine.

python jobs/digits/build.py           writes train.wasm, classify.wasm and SHA256SUMS
python jobs/digits/build.py --check   rebuilds in a temporary folder and compares; exit code 1 if anything differs
"""

import argparse
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ZIG_VERSION: Final = "0.17.1"
MAX_MODULE_BYTES: Final = 40 * 1024
FOLDER: Final = Path(__file__).resolve().parent

_FLAGS: Final = (
    "--target=wasm32-wasi",
    # The baseline of 2022 and what the runtime has: no later default can slip into the bytes.
    "-mcpu=generic+simd128",
    "-O3",
    # A fused multiply-add rounds once where two instructions round twice.
    "-ffp-contract=off",
    "-std=c17",
    "-Wall",
    "-Wextra",
    "-Werror",
    # No names, no paths, no producers: nothing of the building machine is in the module.
    "-s",
    "-Wl,-z,stack-size=65536",
)
_MODULES: Final = {
    "train.wasm": ("-mexec-model=reactor", "-Wl,--export=__stack_pointer", "train.c", "digits.c"),
    "classify.wasm": ("classify.c", "digits.c"),
}
_DATA: Final = "data/digits.csv"


def build(target: Path) -> None:
    """Compiles both modules into `target`; raises SystemExit that says what to install."""
    try:
        found = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != ZIG_VERSION:
        raise SystemExit(f"ziglang {ZIG_VERSION} is needed, found {found}; run: pip install ziglang=={ZIG_VERSION}")
    for name, arguments in _MODULES.items():
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, *arguments, "-o", str(target / name)]
        subprocess.run(command, cwd=FOLDER / "src", check=True, env=os.environ | {"SOURCE_DATE_EPOCH": "0"})
        (target / name).chmod(0o644)
        size = (target / name).stat().st_size
        if size > MAX_MODULE_BYTES:
            raise SystemExit(f"{name} has {size} bytes, over {MAX_MODULE_BYTES}")


def sums(folder: Path) -> str:
    """One line a file, as `sha256sum --check` reads it."""
    paths = {name: folder / name for name in _MODULES} | {_DATA: FOLDER / _DATA}
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in paths.items())


def check() -> int:
    """0 if the committed modules are what the sources give."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        wrong = [name for name in _MODULES if (Path(folder) / name).read_bytes() != (FOLDER / name).read_bytes()]
    if (FOLDER / "SHA256SUMS").read_text() != sums(FOLDER):
        wrong.append("SHA256SUMS")
    if wrong:
        print(f"jobs/digits: {', '.join(wrong)} differ from the sources; run: python jobs/digits/build.py")
        return 1
    print("jobs/digits: the committed modules are what the sources give")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if parser.parse_args().check:
        return check()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        for name in _MODULES:
            shutil.copyfile(Path(folder) / name, FOLDER / name)
    (FOLDER / "SHA256SUMS").write_text(sums(FOLDER))
    print((FOLDER / "SHA256SUMS").read_text(), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
