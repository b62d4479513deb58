# What there is to do here; `make` lists it. Needs Go; conformance needs Python and Chromium too.

STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
PYTHON ?= python3
FUZZTIME ?= 10s
export PYTHON

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14

.PHONY: build
build: ## the command, as ./repfuse
	CGO_ENABLED=0 go build -o repfuse ./cmd/repfuse

.PHONY: demo
demo: build ## plan, fuse and verify the small RepVGG in examples/repvgg-tiny
	@cd examples/repvgg-tiny && PATH="$(CURDIR):$$PATH" && rm -rf out && \
	for c in 'repfuse plan weights/' 'repfuse fuse weights/ out/' 'repfuse verify'; do \
		echo "$$ $$c"; $$c || exit; echo; \
	done

.PHONY: install
install: ## the command, where go install puts it
	CGO_ENABLED=0 go install ./cmd/repfuse

.PHONY: man
man: build ## manual pages, in man/; dated as the last commit
	rm -rf man
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} go run ./tools/man ./repfuse man

VERSION ?= $(shell git describe --tags --exact-match 2>/dev/null || TZ=UTC git log -1 --format=v0.0.0-%cd-%h --date=format-local:%Y%m%d%H%M%S --abbrev=12)
DIST := SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} go run ./tools/dist -version $(VERSION)

.PHONY: dist
dist: ## the files of a release, in dist/: archives, .deb, wheels, what they are made of, SHA256SUMS
	rm -rf dist
	$(DIST) dist

.PHONY: wheels
wheels: ## the Python wheels alone, in wheels/
	rm -rf wheels
	$(DIST) -wheels wheels

.PHONY: web
web: ## web.html, a page that runs repfuse in a browser and needs nothing else
	go run ./tools/web -version $(VERSION) web.html

.PHONY: site
site: ## the pages of docs/ as a site, in site/; open site/index.html
	cd tools/site && go run . ../.. ../../site

# The pages of the site are outside of its module, so that go test does not see them change.
.PHONY: test
test: ## all tests
	go test ./...
	cd tools/site && go test -count=1 ./...

.PHONY: race
race: ## the quick tests under the race detector
	go test -race -short ./...

.PHONY: lint
lint: ## formatting, vet and tests compiled (here, for arm64, Windows, macOS and FreeBSD), staticcheck, tidiness of go.mod
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	go vet ./...
	GOARCH=arm64 go vet ./...
	GOOS=windows go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...
	for os in windows darwin freebsd; do CGO_ENABLED=0 GOOS=$$os go test -c -o /dev/null ./cmd/repfuse || exit; done
	$(STATICCHECK) ./...
	go mod tidy -diff
	cd tools/site && go vet ./... && go mod tidy -diff

.PHONY: fmt
fmt: ## format the code
	gofmt -w .

.PHONY: generate
generate: ## make what is generated anew
	go generate ./...

# Compares with what is there rather than with what is committed, so that it works
# in the middle of a change.
.PHONY: check
check: lint test ## lint, test, and see that what is generated is fresh
	@state() { git status --porcelain; git diff; }; before=$$(state); go generate ./...; \
	test "$$before" = "$$(state)" || { echo "make generate changes files:"; git status --short; exit 1; }

.PHONY: conformance
conformance: build ## against numpy, PyTorch and Chromium: exporter and loader, file bytes, the example, the report, the page
	rm -rf bin/wheels && mkdir -p bin && $(DIST) -wheels -only $$(go env GOOS)/$$(go env GOARCH) bin/wheels
	REPFUSE=./repfuse REPFUSE_WHEELS=$(CURDIR)/bin/wheels $(PYTHON) -m unittest discover -s cmd/repfuse/python -p 'test_*.py'
	REPFUSE=./repfuse $(PYTHON) testdata/conformance/npy.py
	REPFUSE_PYTHON=$(PYTHON) go test -count=1 -tags conformance -run Conformance ./internal/pth ./internal/report ./cmd/repfuse ./tools/web
	REPFUSE=./repfuse examples/pytorch/run.sh

DEBIAN13 ?= /var/tmp/repfuse-debian13

.PHONY: conformance13
conformance13: build ## the same with PyTorch 2.6, and .onnx against onnx's checker and onnxruntime: Debian 13 in DEBIAN13; needs root
	testdata/conformance/debian13.sh $(DEBIAN13) env REPFUSE=./repfuse python3 testdata/conformance/runtimes.py
	testdata/conformance/debian13.sh $(DEBIAN13) env REPFUSE=./repfuse python3 -W ignore::FutureWarning -m unittest discover -s cmd/repfuse/python -p 'test_[!w]*.py'
	testdata/conformance/debian13.sh $(DEBIAN13) env REPFUSE=./repfuse python3 testdata/conformance/npy.py

.PHONY: install-test
install-test: ## a release, installed in each way that README.md has, on a fresh Debian 13; needs root
	rm -rf bin/release && mkdir -p bin && $(DIST) -only $$(go env GOOS)/$$(go env GOARCH) bin/release
	testdata/conformance/install.sh $(DEBIAN13)-install bin/release

# All but what starts the command itself: qemu-user runs one process.
.PHONY: arm64
arm64: ## the quick tests as an arm64 processor runs them; needs qemu-user
	GOARCH=arm64 go test -short -exec qemu-aarch64 $$(go list ./... | grep -v /cmd/)

.PHONY: wine
wine: ## the script tests as a Windows program, under Wine
	tools/wine.sh bin/wine

.PHONY: bench
bench: build ## repfuse against cp, numpy, PyTorch and onnxsim; timed, never asserted
	go run ./bench/run

# A run that time ends while a worker is busy now and then fails for that alone (golang/go
# issue 48591), so it has a second try; an input that was found is a file by then, and
# fails again.
.PHONY: fuzz
fuzz: ## every fuzz target, FUZZTIME each (10s)
	@set -e; for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$package/*_test.go | cut -d' ' -f2); do \
			echo "$$package $$target"; \
			run="go test -run ^$$ -fuzz ^$$target\$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package"; \
			$$run || $$run; \
		done; \
	done
