# Every command makes the environment it needs in .venv and leaves the rest of the machine alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export LANGGRAPH_STRICT_MSGPACK := true
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export LANGSMITH_TRACING := false

.PHONY: demo test simulate check faults redteam bench bench-gate bench-negotiation bench-paired soak lock format

demo: $(VENV)/.installed
	$(BIN)/parley demo

test: $(VENV)/.installed
	$(BIN)/pytest

faults: $(VENV)/.installed
	$(BIN)/python -m tests.faults.matrix

simulate: $(VENV)/.installed
	$(BIN)/python -m tests.simulator --histories 1000

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

redteam: $(VENV)/.installed
	$(BIN)/parley redteam --scenarios

bench: $(VENV)/.bench
	$(BIN)/python -m bench.lanes

bench-paired: $(VENV)/.installed
	$(BIN)/python -m bench.paired $(OTHER)

bench-negotiation: $(VENV)/.bench
	$(BIN)/python -m bench.negotiation

bench-gate: $(VENV)/.installed
	$(BIN)/python -m bench.gate

soak: $(VENV)/.installed
	$(BIN)/python -m bench.soak $(SOAK)

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.installed
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --extra openai --extra local-llm \
		--extra presidio --group dev pyproject.toml -o requirements.lock --quiet
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --group bench \
		-c requirements.lock pyproject.toml -o requirements-bench.lock --quiet

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "Making the environment in $(VENV) (a minute or two the first time) ..."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
	@touch $@

# The peers that benchmarks compare with; heavy, and of no use to anything else.
$(VENV)/.bench: $(VENV)/.installed requirements-bench.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements-bench.lock
	@touch $@
