"""Says why ``python -m qwen_pipeline``, by which Kedro runs what ``kedro package`` made, does not run this project."""

import sys

if __name__ == "__main__":
    sys.exit(
        "The package qwen_pipeline holds code only, and a run also needs conf/, data/ and the pinned requirements.lock of the "
        "project: type kedro run in the project's folder, or in a clone of it."
    )
