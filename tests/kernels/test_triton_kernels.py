"""The kernels' own formulas, run by Triton's interpreter; on a card benchmarks/bench_train_gpu.py holds them against float64."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from qwen_pipeline.kernels import fused

SCRIPT = Path(__file__).with_name("interpreted.py")


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with PyTorch for CUDA")
def test_all_kernels_have_the_values_and_gradients_of_their_formulas():
    environment = {
        **os.environ,
        "TRITON_INTERPRET": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-5


def test_where_triton_does_not_run_it_is_said_once_and_all_goes_on(monkeypatch, caplog):
    def fails(*arguments):
        raise RuntimeError("gcc: command not found\nmore")

    monkeypatch.setattr(fused, "_triton", lambda: SimpleNamespace(launch_norm=fails))
    fused._kernels_work.cache_clear()
    for _ in range(2):
        assert not fused._kernels_work(torch.device("cpu"))
    fused._kernels_work.cache_clear()
    assert caplog.text.count("gcc: command not found") == 1
    assert "python3-dev" in caplog.text
