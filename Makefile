# dynvit: `make help` lists what there is. Times are on two cores.
GO ?= go
BIN := bin/dynvitd

.PHONY: help build demo test check race fuzz bench cover clean

help: ## list the targets (at once)
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1	\2/' | expand -t 12

build: ## build bin/dynvitd, one static binary (1 min the first time)
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/dynvitd

demo: build ## build, look at drawn scenes for 20 s, publish over an embedded broker (1 min)
	$(BIN) run --source 'test:?frames=100'

test: ## all tests; those that need ../shared skip with a line naming it (4 min)
	$(GO) test ./...

check: ## format, vet for amd64 and arm64, staticcheck, static builds (3 min)
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w"; exit 1; }
	GOARCH=amd64 $(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	$(GO) tool staticcheck ./...
	CGO_ENABLED=0 GOARCH=amd64 $(GO) build -o /dev/null ./cmd/dynvitd
	CGO_ENABLED=0 GOARCH=arm64 $(GO) build -o /dev/null ./cmd/dynvitd

race: ## the tests under the race detector, short ones (5 min; needs a C compiler)
	$(GO) test -race -short ./...

fuzz: ## each fuzz target for 20 s (2 min)
	$(GO) test ./modelfile -run '^$$' -fuzz '^FuzzParse$$' -fuzztime 20s
	$(GO) test ./modelfile -run '^$$' -fuzz '^FuzzPTH$$' -fuzztime 20s
	$(GO) test ./preprocess -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime 20s

bench: build ## DeiT-T and the default model, dense and pruned, by precision (2 min)
	$(BIN) bench --arch deit_tiny --keep 1 --keep 0.7 --precision f32 --precision int8
	$(BIN) bench --keep 1 --keep 0.7 --precision f32 --precision int8

cover: ## statement coverage by package (5 min)
	$(GO) test -cover ./...

clean: ## remove what make built
	rm -rf bin
