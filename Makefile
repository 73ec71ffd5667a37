# Two commands on a fresh machine: `make run` and `make test`. Everything lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where Python may not write bytecode (many containers), every command would compile the libraries anew: 3 s or more each.
BYTECODE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
# A virtual environment's commands name the folder it was made in: it is made again where the project was moved or copied.
MADE_AT := sed -n -E 's/^command = .* -m venv (--clear )?//p' $(VENV)/pyvenv.cfg 2>/dev/null
MOVED := $(shell made_at=$$($(MADE_AT)); test -L $(VENV) -o "$${made_at:-$$(pwd -P)/$(VENV)}" = "$$(pwd -P)/$(VENV)" || echo moved)
# uv is much faster than pip but reads no pip.conf: pip's mirror is handed on, and what uv cannot fetch, pip may by all else it was told.
INDEX := UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}"
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
define install
@$(INDEX) UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-1} $(BIN)/uv pip install --quiet --python $(VENV) $(BYTECODE) $(1) \
	|| { echo "uv could not install them; pip tries, which takes longer"; $(PIP_INSTALL) $(1); }
endef
# Each of them takes up to 2 GB of memory.
PYTEST := $(BIN)/pytest --numprocesses logical --maxprocesses 4

.PHONY: run test check check-llama-cpp lock clean-venv setup

run: setup
	$(BIN)/kedro run

test: setup
	$(PYTEST)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not slow"

# Builds llama.cpp for this machine (about 10 minutes on 2 cores) and opens the GGUF exports with it.
check-llama-cpp: setup
	$(call install,"llama-cpp-python~=0.3.16")
	$(BIN)/python -c "import llama_cpp"
	$(BIN)/pytest -s -m llama_cpp tests/end_to_end/test_llama_cpp.py

setup: $(READY)

# Asked for by its name, setup also puts right what was changed by hand.
ifneq ($(MOVED)$(filter setup,$(MAKECMDGOALS)),)
.PHONY: $(READY)
endif

$(READY): requirements.lock requirements-torch.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else 'Python 3.11 to 3.14 is needed, for which the pinned packages are built, and this is %s.%s; name one with: make PYTHON=python3.12 run' % sys.version_info[:2])"
	$(if $(MOVED),,$(BIN)/python -m pip --version >/dev/null 2>&1 ||) $(PYTHON) -m venv --clear $(VENV)
	$(PIP_INSTALL) -r requirements-torch.txt uv
	@echo "Installing the packages of requirements.lock into $(VENV): a minute or two"
	$(call install,--no-deps --require-hashes -r requirements.lock)
	$(call install,--no-deps --editable .)
	touch $@

lock: setup
	$(BIN)/python tools/lock.py

clean-venv:
	rm -rf $(VENV)
