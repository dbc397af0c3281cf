"""Scores what it is asked to, one file after the other; see the package."""

import importlib
import json
import sys
import time
from pathlib import Path

from scorers.as_command import peak_bytes


def main() -> None:
    """Answer each request with how long it took, and with what this process has had at most."""
    module, model = sys.argv[1:]
    score = importlib.import_module(f"scorers.{module}").scorer(Path(model))
    for line in sys.stdin:
        request = json.loads(line)
        source, target = Path(request["source"]), Path(request["target"])
        began = time.perf_counter()
        score(source, target, reasons=request["reasons"])
        took_s = time.perf_counter() - began
        answer = {"took_s": took_s, "peak_bytes": peak_bytes()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
