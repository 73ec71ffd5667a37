"""Wall time of `kedro doctor` as a user starts it, process and all.

    .venv/bin/python benchmarks/bench_doctor.py --repetitions 5

Prints JSON: seconds of every repetition, their median and spread, and the exit codes.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "bitsandbytes", "kedro")


def time_once() -> tuple[float, int]:
    """Seconds and exit code of one `kedro doctor`."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "kedro", "doctor"]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start, done.returncode


def main() -> None:
    """Run it once unmeasured, for the file cache, and then as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    time_once()
    measured = [time_once() for _ in range(repetitions)]
    seconds = [round(one, 2) for one, _ in measured]
    result = {
        "seconds": seconds,
        "median": statistics.median(seconds),
        "spread": [min(seconds), max(seconds)],
        "exit_codes": sorted({code for _, code in measured}),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
