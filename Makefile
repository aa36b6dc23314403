# `make chat` and `make test` are all that a newcomer needs: both set up .venv first where that is needed.
.PHONY: setup chat tiny tiny-smoke test test-slow test-distributed test-browser test-torchvision test-transformers \
    bench lint format

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# The stamp makes the installation run again only when one of these three files has changed.
$(READY): pyproject.toml setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e ".[train,eval,dev]"
	touch $@

setup: $(READY)

chat: setup
	$(BIN)/pandagpt chat "What do you see, and what do you hear?" \
	    --image demo/examples/picture.png --audio demo/examples/sound.wav

# From nothing to the bundled model: less than an hour on two cores. A run that was stopped goes on.
tiny: setup
	$(BIN)/pandagpt tiny-world build --output runs/tiny
	rm -rf demo/pandagpt-tiny
	cp -r runs/tiny/pandagpt-tiny demo/pandagpt-tiny

# The same in about three minutes, and that it beats chance.
tiny-smoke: setup
	$(BIN)/pytest -s -m slow -k beats_chance tests/training/tiny_world/test_build.py

test: setup
	$(BIN)/pytest -m "not distributed and not slow and not browser" --ignore=tests/transformers_suite

test-slow: setup
	$(BIN)/pytest -m "slow and not distributed and not browser" --ignore=tests/transformers_suite

# DeepSpeed compiles on first use: it needs a C++ compiler, and ninja on the path.
test-distributed: setup
	$(BIN)/pip install -c constraints.txt -e ".[train,eval,dev,deepspeed,qlora]"
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m distributed --ignore=tests/transformers_suite
	$(BIN)/pytest -k "4_bit or qlora" tests/training/test_sft.py

# Where there is no Chromium it is installed if that is allowed; else the tests are skipped and say so.
test-browser: setup
	$(BIN)/pip install -c constraints.txt -e ".[train,eval,dev,demo]" playwright
	command -v chromium || apt-get install -y chromium || echo "no Chromium: the tests will be skipped"
	$(BIN)/pytest -m browser tests/browser

# torchvision wants a torch of its own, so it gets an environment of its own.
test-torchvision:
	test -x .venv-torchvision/bin/python || $(PYTHON) -m venv .venv-torchvision
	grep -v "^torch==" constraints.txt > .venv-torchvision/constraints.txt
	.venv-torchvision/bin/pip install -c .venv-torchvision/constraints.txt -e . pytest torch==2.14.1 torchvision==0.29.1
	.venv-torchvision/bin/pytest tests/with_torchvision tests/processing/test_image_processing.py

test-transformers: setup
	$(BIN)/pytest tests/transformers_suite

# The sections of benchmarks/RESULTS.md on inference: half an hour on a machine that does nothing else.
bench: setup
	$(BIN)/pip install -c constraints.txt -e ".[train,eval,dev,demo]"
	$(BIN)/python -m benchmarks.all

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
