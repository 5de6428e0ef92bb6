# Everything is pure Go; the targets need Go, make, git and a module proxy. `make` alone lists them.

GO          ?= go
TOOLS       := $(CURDIR)/.tools
LINT        := $(TOOLS)/golangci-lint
LINTVERSION := v2.15.0
DATA        ?= permledger-data

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo run build test torture lint docs bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## a ledger with a day's worth of data, tokens to try and a first command to paste
	@bin/permledger demo

run: build ## a ledger in $(DATA) on the embedded server, founded the first time
	@bin/permledger serve --init --data $(DATA)

build: ## bin/permledger, one static binary
	@$(GO) build -trimpath -ldflags='-s -w' -o bin/permledger ./cmd/permledger

test: ## vet and every test; with the race detector where a C compiler is there
	@$(GO) vet ./...
	@if command -v $${CC:-cc} >/dev/null; then CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...; \
	else echo 'no C compiler: the tests run without the race detector'; $(GO) test -timeout 30m ./...; fi

torture: ## the fault campaigns in full, with counts at the end: an hour; power cuts and failing disks need root
	@counts=$$(mktemp) && \
	PERMLEDGER_TORTURE=1 PERMLEDGER_TORTURE_SUMMARY=$$counts \
		$(GO) test -v -count=1 -timeout 6h -run '^TestG[0-9]|CheckerCanFail' ./cmd/permledger; result=$$?; \
	printf '\n%-72s %7s %12s %6s %10s %10s\n' campaign rounds acknowledged lost duplicated undetected; \
	sort $$counts; rm -f $$counts; exit $$result

lint: $(LINT) ## golangci-lint; builds it into .tools the first time, which takes minutes
	@$(LINT) run ./...

$(LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTVERSION)

docs: ## write the generated pages of the manual again
	@$(GO) test ./cmd/permledger/docs -update

bench: build ## measure this machine, every figure beside its baseline; takes a while
	@bin/permledger bench

fuzz: ## a minute for every fuzz test
	@$(GO) list ./... | while read package; do \
		$(GO) test -list '^Fuzz' $$package | grep '^Fuzz' | while read name; do \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime 60s $$package || exit 1; done || exit 1; done

clean: ## remove what was built
	@rm -rf bin
