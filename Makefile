# Two commands on a fresh machine: `make run` and `make test`. Everything lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where Python may not write bytecode (many containers), every command would compile the libraries anew: 3 s or more each.
BYTECODE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)

.PHONY: run test check check-llama-cpp lock clean-venv setup

run: setup
	$(BIN)/kedro run

test: setup
	$(BIN)/pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow"

# Builds llama.cpp for this machine (about 10 minutes on 2 cores) and opens the GGUF exports with it.
check-llama-cpp: setup
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet "llama-cpp-python>=0.3.16,<0.4"
	$(BIN)/python -c "import llama_cpp"
	$(BIN)/pytest -s -m llama_cpp tests/end_to_end/test_llama_cpp.py

setup: $(READY)

$(READY): requirements.lock requirements-torch.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 run')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --require-hashes $(BYTECODE) -r requirements.lock
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

lock: setup
	$(BIN)/python tools/lock.py

clean-venv:
	rm -rf $(VENV)
