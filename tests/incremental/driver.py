"""Several Kedro commands in one process, in a copy of this project: `python driver.py` reads them as JSON."""

import contextlib
import io
import json
import logging
import sys
import traceback
from pathlib import Path


def call(arguments: list[str]) -> dict[str, object]:
    """One command; its exit code and everything it wrote."""
    from qwen_pipeline.cli import cli

    output = io.StringIO()
    handler = logging.StreamHandler(output)
    logging.getLogger("qwen_pipeline").addHandler(handler)
    code: object = 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            cli.main(arguments, prog_name="kedro", standalone_mode=False)
        except SystemExit as end:
            code = end.code
        except BaseException:
            code = 2
            traceback.print_exc(file=output)
    logging.getLogger("qwen_pipeline").removeHandler(handler)
    return {"code": code, "output": output.getvalue()}


def main() -> None:
    """Run what standard input lists."""
    from kedro.framework.startup import bootstrap_project
    from kedro.utils import find_kedro_project

    bootstrap_project(find_kedro_project(Path.cwd()) or Path.cwd())
    done = [call(arguments) for arguments in json.load(sys.stdin)]
    sys.__stdout__.write("\n" + json.dumps(done))  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
