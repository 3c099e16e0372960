# `make demo` and `make test` start from a bare checkout: they prepare .venv and ngspice themselves (tools/setup.sh).

BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: setup demo test lint bench lock clean

setup:
	@sh tools/setup.sh

demo: setup
	$(BIN)/mtc-hw run --out demo

test: lint
	$(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

bench: setup
	@set -e; for name in kernel training netlist; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

# A CPU build's version carries "+cpu", which no other machine could resolve; VerilogAE has no wheels for newer Pythons.
X86 := ; python_version < "3.12" and platform_machine == "x86_64"
lock: setup
	{ head -n 1 requirements.lock; $(RUN) pip freeze --exclude-editable | sed -e 's/+cpu$$//' -e 's/^verilogae==.*/& $(X86)/'; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:
	rm -rf .venv demo out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
