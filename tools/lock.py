"""Write requirements.lock: names, versions and hashes, no host names.

    .venv/bin/python tools/lock.py

torch and the CUDA packages it brings are left out: requirements-torch.txt installs them first, because
their build depends on the machine.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MACHINE_DEPENDENT = re.compile(r"(torch|triton|nvidia-(?!ml-py)|cuda-)", re.IGNORECASE)


def compile_lock() -> str:
    """Resolve both requirement files for every Python from 3.11 on and every platform."""
    command = [
        "uv",
        "pip",
        "compile",
        "requirements.in",
        "requirements-dev.in",
        "-c",
        "requirements-torch.txt",
    ]
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    silence = ["--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    return subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:], *options, *silence],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def main() -> None:
    """Write the lock file without the machine-dependent packages."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", compile_lock().strip())
    kept = [block for block in blocks if not MACHINE_DEPENDENT.match(block)]
    text = "\n".join(["# Made by tools/lock.py: names, versions and hashes.", *kept, ""])
    if "://" in text:
        raise SystemExit("the lock file would name a host; nothing was written")
    (ROOT / "requirements.lock").write_text(text, encoding="utf-8")
    print(f"requirements.lock: {len(kept)} packages")


if __name__ == "__main__":
    main()
