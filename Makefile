# The few commands of a contributor; bin/test and bin/demo do their set-up by themselves.

PYTHON = .venv-pypi/bin/python
SHELL_FILES = bin/demo bin/test .ci/run clients/*.sh tests/*.sh benchmarks/*.sh

.PHONY: test lint format setup.sh demo

test:
	./bin/test

lint: $(PYTHON)
	$(PYTHON) -m ruff check --extend-exclude '.venv*' .
	$(PYTHON) -m ruff format --check --extend-exclude '.venv*' .
	$(PYTHON) -m mypy
	shellcheck -x $(SHELL_FILES)

format: $(PYTHON)
	$(PYTHON) -m ruff format --extend-exclude '.venv*' .

setup.sh:
	clients/setup.d/assemble

demo:
	./bin/demo

$(PYTHON):
	@echo 'Run ./bin/test once: it makes $@.' >&2; exit 1
