"""Answers one SMT-LIB file for halmos: `smt.py FILE`.

Yices first, which is quick on bits; soon after also cvc5 with bit vectors taken as integers, which is quick on
products and quotients, where bit-blasting is lost. The first verdict counts. Both are wheels of tools/prove.txt.
"""

import subprocess
import sys
import time
from pathlib import Path

HEAD_START = 0.2  # seconds
LIMIT = 300  # seconds, of either; halmos has its own, which is shorter


def cvc5_answers(path: str) -> None:
    import cvc5

    solver = cvc5.Solver()
    for option, value in {
        "produce-models": "true",
        "solve-bv-as-int": "sum",
        "decision": "justification",
        "tlimit": str(LIMIT * 1000),
    }.items():
        solver.setOption(option, value)
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, path)
    while not (command := parser.nextCommand()).isNull():
        print(command.invoke(solver, parser.getSymbolManager()), end="", flush=True)


def main(path: str) -> int:
    yices = Path(sys.executable).parent / "yices-smt2"
    commands = [
        [str(yices), "--smt2-model-format", "--bvconst-in-decimal", f"--timeout={LIMIT}", path],
        [sys.executable, __file__, "--cvc5", path],
    ]
    running: list[subprocess.Popen[str]] = []
    outputs = []
    started = time.monotonic()
    try:
        while commands or running:
            if commands and (not running or time.monotonic() - started > HEAD_START):
                running.append(subprocess.Popen(commands.pop(0), stdout=subprocess.PIPE, text=True))
            for process in running:
                try:
                    output, _ = process.communicate(timeout=0.02)
                except subprocess.TimeoutExpired:
                    continue
                running.remove(process)
                outputs.append(output)
                if output.startswith(("sat\n", "unsat\n")):
                    print(output, end="")
                    return 0
                break
    finally:
        for process in running:
            process.kill()
    print("unknown")
    print(*outputs, sep="\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--cvc5":
        cvc5_answers(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1]))
