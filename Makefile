# Works with GNU make 3.81 (macOS) and later. CI runs these same targets.

CARGO ?= cargo
PREFIX ?= $(HOME)/.local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man/man1
# Where each shell looks for what programs bring along.
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d

.DEFAULT_GOAL := help
.PHONY: help setup build demo test clients story mutants check-macos deny recording bench bench-reference lint fmt install uninstall package

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  	/p' $(MAKEFILE_LIST)

setup: ## Install what is missing on this machine: tmux and a C compiler (./setup does so without make)
	@./setup

build: setup ## Build everything, with debug information
	$(CARGO) build --workspace --locked

demo: build ## Show the main job from end to end
	@tests/demo/demo.sh

# Both files are in the repository: run it again where what a person sees has changed.
recording: build ## Record a session with the real Codex anew: docs/session.cast, docs/session.md
	@tests/demo/record

# The daemon's test build is made first: made by the tests that need it, a compiler would run beside all others.
test: build ## Run every test, and say which were skipped
	$(CARGO) build --workspace --locked --features conveyord/faults --bin conveyord-faults
	@tests/run $(CARGO) test --workspace --locked --no-fail-fast

clients: setup ## Write what is made of the registry: docs/openrpc.json, and the clients of docs/clients
	UPDATE_DOCS=1 $(CARGO) test --workspace --locked --test all -- openrpc::the_document clients::typed::the_generated

# STORY: more options, see docs/testing.md. The tool is a bench for cargo only: it is built as tests are.
MINUTES ?= 30
CODEX_MODEL ?= single
story: build ## Let pairs of the real Codex live for MINUTES (CODEX_MODEL=single|shared), and kill what they live on
	$(CARGO) test --workspace --locked --bench story -- --minutes $(MINUTES) --model $(CODEX_MODEL) $(STORY)

# SHARD: which part, K/N with K from 0. A mutant costs about a minute. MUTANTS: more options of cargo-mutants.
SHARD ?= 0/40
mutants: setup ## Break the code in many small ways, and list what no unit test notices (SHARD=3/40)
	@$(CARGO) mutants --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-mutants
	$(CARGO) mutants --package conveyord --shard $(SHARD) --output target/mutants $(MUTANTS)

PROFILE ?= release
# BENCH: names of works, or --markdown for the table of docs/performance.md.
# PROFILE: release as packages are built, or thin as `make install` builds.
bench: setup ## Measure the release build (BENCH="ingest --markdown": only these works, as a table)
	$(CARGO) build --profile $(PROFILE) --locked -p conveyord -p conveyorctl
	$(CARGO) bench --profile $(PROFILE) --locked -p conveyor-tests --bench conveyor -- $(BENCH)

bench-reference: setup ## Measure the same work with agent-conveyor 0.1.0, in a virtual environment below target
	$(CARGO) bench --locked -p conveyor-tests --bench conveyor -- --reference $(BENCH)

lint: setup ## Check formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --workspace --features conveyord/faults --locked -- -D warnings

# Needs rustup, or the rust-src of Debian's backports in the toolchain's version; says so and skips without both.
check-macos: ## Type-check and lint everything for macOS, on another system
	@tests/check-macos.sh

# cargo-deny is built below the target folder unless it is installed; says so and skips where it cannot be had.
deny: ## Check the licences, sources and known faults of all dependencies
	@tests/deny.sh

fmt: ## Format the code
	$(CARGO) fmt --all

# The target folder is asked from cargo: it may be shared between projects.
install: PROFILE = thin
install: setup ## Install programs, manual pages and shell completions into PREFIX (~/.local)
	$(CARGO) build --profile $(PROFILE) --locked -p conveyord -p conveyorctl
	@target=$$($(CARGO) metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/') && \
	mkdir -p "$(BINDIR)" && \
	install -m 755 "$$target/$(PROFILE)/conveyord" "$$target/$(PROFILE)/conveyorctl" "$(BINDIR)/" && \
	ln -sf conveyorctl "$(BINDIR)/conveyor" && \
	echo "installed conveyord, conveyorctl and conveyor in $(BINDIR)"
	@"$(BINDIR)/conveyorctl" man --out "$(MANDIR)" && \
	ln -sf conveyorctl.1 "$(MANDIR)/conveyor.1" && \
	mkdir -p "$(BASHDIR)" "$(ZSHDIR)" "$(FISHDIR)" && \
	for name in conveyorctl conveyor; do \
		"$(BINDIR)/$$name" completions bash > "$(BASHDIR)/$$name" && \
		"$(BINDIR)/$$name" completions zsh > "$(ZSHDIR)/_$$name" && \
		"$(BINDIR)/$$name" completions fish > "$(FISHDIR)/$$name.fish" || exit 1; \
	done && \
	echo "installed manual pages in $(MANDIR), completions for bash, zsh and fish below $(PREFIX)/share"
	@case ":$$PATH:" in *":$(BINDIR):"*) ;; *) echo "note: $(BINDIR) is not on PATH" ;; esac

# The service and the skills are those of the user who runs this. The state root stays: it is the history.
uninstall: ## End the service and the daemon, and remove what `make install` and `install-skills` put there
	@tests/uninstall.sh "$(BINDIR)" "$(MANDIR)" "$(BASHDIR)" "$(ZSHDIR)" "$(FISHDIR)"

# PACKAGE: the name of the archive and of the one folder in it.
PACKAGE ?= conveyor-$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)-$$(rustc -vV | sed -n 's/^host: //p')
package: ## Build an archive with everything that `make install` installs, optimised as a whole
	@rm -rf target/package && mkdir -p target/package
	@package="$(PACKAGE)" && $(MAKE) install PROFILE=release PREFIX="$$PWD/target/package/$$package" && \
	cp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "target/package/$$package/" && \
	tar -C target/package -czf "target/package/$$package.tar.gz" "$$package" && \
	echo "made target/package/$$package.tar.gz"
