# dynvit: `make help` lists what there is. Times are on two cores.
GO ?= go
BIN := bin/dynvitd

.PHONY: help build demo test test-arm64 emulate-neon emulate-portable test-vips test-faults test-vm test-power test-first-steps test-ha test-page package test-package cuda package-cuda test-cuda cuda-ptx test-cuda-kernels always soak check race fuzz bench bench-calibrate bench-peers cover train-setup test-train clean

help: ## list the targets (at once)
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1	\2/' | expand -t 20

build: ## build bin/dynvitd, one static binary (1 min the first time)
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/dynvitd

demo: build ## build, look at drawn scenes for 20 s, publish over an embedded broker (1 min)
	$(BIN) run --source 'test:?frames=100'

test: ## all tests; those that need ../shared skip with a line naming it (7 min)
	$(GO) test -timeout 30m ./...

# Emulated processors, and how each must say that it multiplies; and instructions that each
# must not know, so that a kernel which uses them where they are missing ends with SIGILL.
RUNGS := "cortex-a72:int8 by SMULL and SMLAL: no ASIMDDP, bf16 by FMLA: no BF16, no f16: no ASIMDHP" \
	"cortex-a76:int8 by SDOT: no I8MM, bf16 by FMLA: no BF16, f16 by FMLA in half sums: no FHM" \
	"max:int8 by SMMLA, bf16 by BFMMLA, f16 by FMLAL"
TRAPS := cortex-a72:SDOT cortex-a72:SMMLA cortex-a72:BFMMLA cortex-a72:FMLA.8h cortex-a72:FMLAL cortex-a76:SMMLA cortex-a76:BFMMLA cortex-a76:FMLAL
test-arm64: ## the NEON kernels, frame path, golden models and a whole run on three emulated processors; plain Go on 32 bits, and on a big-endian processor (10 min; Debian's qemu-user-static)
	@$(MAKE) --no-print-directory -j2 -Otarget emulate-neon emulate-portable
	EMULATED_CPUS="cortex-a72 cortex-a76 max" $(GO) test -count 1 ./cmd/dynvitd -run '^TestEmulatedRun$$'

# The frame path has no rungs: the first processor, which has the least, tells all.
emulate-neon:
	@dir=$$(mktemp -d) && trap "rm -r $$dir" EXIT && \
	for p in backends/neon vit engine preprocess preprocess/baseline; do GOARCH=arm64 $(GO) test -c -o $$dir/$$(basename $$p) ./$$p || exit 1; done && \
	for trap in $(TRAPS); do ! text=$$(TRAP=$${trap#*:} qemu-aarch64-static -cpu $${trap%%:*} $$dir/neon -test.run '^TestTrap$$' 2>&1) && \
	case "$$text" in *SIGILL*) ;; *) echo "$$trap is no illegal instruction: $$text"; exit 1; esac || exit 1; done && \
	for rung in $(RUNGS); do emulated="qemu-aarch64-static -cpu $${rung%%:*} $$dir" && echo "$$rung" && \
	(cd backends/neon && DYNVIT_RUNG="$${rung#*:}" $$emulated/neon) && \
	(cd vit && GOMAXPROCS=1 $$emulated/vit -test.run '^TestGolden$$/./^neon$$') && \
	(cd engine && GOMAXPROCS=1 $$emulated/engine -test.short -test.run '^Test(Default|Precisions|Stem|NoAllocations|DamagedPicture)$$') || exit 1; \
	done && echo "frame path" && for p in preprocess preprocess/baseline; do \
	(cd $$p && GOMAXPROCS=1 qemu-aarch64-static -cpu cortex-a72 $$dir/$$(basename $$p) -test.short -test.skip '^Test(MemoryIsForeseen|Shed|ReferenceShapes)$$') || exit 1; \
	done

# 32 bits, and a big-endian processor, on which the other golden model takes minutes.
emulate-portable:
	@dir=$$(mktemp -d) && trap "rm -r $$dir" EXIT && \
	for run in arm:. s390x:mini_deit; do arch=$${run%%:*} && echo "plain Go on $$arch" && \
	for p in backends/internal/host vit; do CGO_ENABLED=0 GOARCH=$$arch GOARM=7 $(GO) test -c -o $$dir/$$(basename $$p) ./$$p || exit 1; done && \
	(cd backends/internal/host && qemu-$$arch-static $$dir/host) && \
	(cd vit && GOMAXPROCS=1 qemu-$$arch-static $$dir/vit -test.short -test.run '^TestGolden$$'/$${run#*:}/'^portable$$') || exit 1; done

test-vm: ## run the daemon in an emulated Debian with virtual cameras (8 min, the first time 10; root, qemu)
	camera/vm/run

test-power: ## cut the power of that box ten times, and copy its disk fifty times while it writes: nothing acknowledged is lost (15 min; root, qemu, mosquitto)
	camera/vm/run power

test-first-steps: ## type the README's commands in that box, up to entities in a real Home Assistant beside it (4 min, the first time 4 to 9 more; root, qemu, avahi-daemon, mosquitto, debootstrap)
	camera/vm/run first-steps

test-ha: ## run the daemon beside a real Home Assistant Core (3 min, the first time 2 to 7 more; root, mosquitto, debootstrap)
	homeassistant/core/run

# axe-core (MPL-2.0) judges the page in the test alone: it is neither committed nor shipped.
AXE := bin/axe/node_modules/axe-core/axe.min.js
$(AXE):
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix bin/axe axe-core@4.14.1

test-page: $(AXE) ## the live page in a browser; screenshots in bin/page (2 min; Debian's chromium, npm, curl)
	$(GO) -C page/browser test -count 1 ./...

# Equal sources make equal packages: the time in them is the last commit's.
EPOCH ?= $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)
package: ## deb, rpm, container image, add-on, compose file, bills of materials and checksums in bin/package (1 min)
	rm -rf bin/package
	$(GO) -C packaging run . -o $(CURDIR)/bin/package -epoch $(EPOCH)

test-package: ## build the packages twice, install, upgrade, remove and run them in copies of this machine (2 min; root)
	$(GO) -C packaging test -count 1 ./...

# The CUDA backend is linked with the shim instead of a driver. CUDA's header is NVIDIA's
# and comes from PyPI; Go's own resolver and user database are in, as without cgo.
CUDA := bin/cuda
CUDA_VENV := $(CUDA)/venv
CUDA_INCLUDE = $(abspath $(wildcard $(CUDA_VENV)/lib/python3*/site-packages/nvidia/cuda_runtime/include))
SHIM := backends/cuda/_shim
CC_amd64 := gcc
CC_arm64 := aarch64-linux-gnu-gcc
CUDA_TAGS := cuda,netgo,osusergo
HOST = $(shell $(GO) env GOHOSTARCH)
# go looks neither into what it links nor at headers of other folders: it compiles and tests anew
# since their digest is a flag, and links anew where there is no program.
LINKED = $(shell cat $(SHIM)/*.[chS] backends/cuda/requirements.txt | cksum | cut -d ' ' -f 1)
CUDA_ENV = CGO_ENABLED=1 GOARCH=$1 SHIM_CC="$(CC_$1)" CC=$(abspath $(SHIM)/cc) CGO_CFLAGS="-O2 -I$(CUDA_INCLUDE) -DLINKED=$(LINKED)" CGO_LDFLAGS="-L$(abspath $(CUDA)/$1) -ldl"

$(CUDA_VENV)/ready: backends/cuda/requirements.txt
	python3 -m venv $(CUDA_VENV)
	$(CUDA_VENV)/bin/pip install -q -r $<
	touch $@

$(CUDA)/%/libcuda.a: $(SHIM)/shim.c $(SHIM)/shim.h $(SHIM)/symbols.h $(SHIM)/jumps.S
	mkdir -p $(@D)
	$(CC_$*) -O2 -fPIC -Wall -c $(SHIM)/shim.c -o $(@D)/shim.o
	$(CC_$*) -c $(SHIM)/jumps.S -o $(@D)/jumps.o
	rm -f $@
	ar rcs $@ $(@D)/shim.o $(@D)/jumps.o

$(CUDA)/%/dynvitd: $(CUDA)/%/libcuda.a $(CUDA_VENV)/ready always
	rm -f $@
	$(call CUDA_ENV,$*) $(GO) build -tags $(CUDA_TAGS) -trimpath -buildvcs=false -ldflags=-s -o $@ ./cmd/dynvitd

always:
.SECONDARY: $(CUDA)/amd64/libcuda.a $(CUDA)/arm64/libcuda.a

cuda: $(CUDA)/amd64/dynvitd $(CUDA)/arm64/dynvitd ## build bin/cuda/{amd64,arm64}/dynvitd with the CUDA backend; no driver is needed (2 min; gcc, gcc-aarch64-linux-gnu)
	$(GO) run ./$(SHIM)/gen $(CUDA_INCLUDE) $(CUDA)
	cmp $(CUDA)/symbols.h $(SHIM)/symbols.h
	cmp $(CUDA)/jumps.S $(SHIM)/jumps.S

# Debian's cross compiler binds a program to its own glibc; JetPack 4 has 2.27.
ZIG = $(abspath $(CUDA_VENV))/bin/python -m ziglang cc -target aarch64-linux-gnu.2.27
$(CUDA_VENV)/zig: $(CUDA_VENV)/ready
	$(CUDA_VENV)/bin/pip install -q ziglang==0.13.0
	touch $@

package-cuda: $(CUDA_VENV)/zig ## the deb with the CUDA backend for Jetson in bin/package-cuda (3 min; gcc-aarch64-linux-gnu, 370 MB of ziglang from PyPI)
	$(MAKE) CUDA=$(CUDA)/jetson CUDA_VENV=$(CUDA_VENV) CC_arm64="$(ZIG)" $(CUDA)/jetson/arm64/dynvitd
	@test "$$(aarch64-linux-gnu-objdump -T $(CUDA)/jetson/arm64/dynvitd | grep -o 'GLIBC_[0-9.]*' | sort -u)" = GLIBC_2.17 || { echo "needs another glibc than 2.17"; exit 1; }
	rm -rf bin/package-cuda
	$(GO) -C packaging run . -o $(CURDIR)/bin/package-cuda -arch arm64 -cuda $(CURDIR)/$(CUDA)/jetson/arm64/dynvitd -epoch $(EPOCH)

$(CUDA)/fake/libcuda.so.1: $(CUDA_VENV)/ready $(wildcard backends/cuda/fake/* backends/cuda/kernels/*.cu* backends/cuda/kernels/emulate/cxx/*)
	backends/cuda/fake/build $(CUDA)/fake $(CUDA_INCLUDE)

FAKE = FAKECUDA=$(abspath $(CUDA)/fake) $(call CUDA_ENV,$(HOST)) $(GO) test -timeout 30m -tags $(CUDA_TAGS)
ON_FAKE = LD_LIBRARY_PATH=$(abspath $(CUDA)/fake) FAKECUDA_KERNELS=$(abspath $(CUDA)/fake) FAKECUDA_DEVICE
test-cuda: cuda $(CUDA)/fake/libcuda.so.1 ## the CUDA backend on a fake driver, and its program without one (8 min; g++, qemu-user-static)
	$(call CUDA_ENV,$(HOST)) $(GO) vet -tags $(CUDA_TAGS) ./backends/cuda/... ./cmd/...
	$(call CUDA_ENV,$(HOST)) $(GO) tool staticcheck -tags $(CUDA_TAGS) ./backends/cuda/...
	$(FAKE) ./backends/cuda
	$(FAKE) -race -short ./backends/cuda
	$(ON_FAKE)=orin $(FAKE) -count 1 -run '^TestGolden$$/./^cuda$$' ./vit
	qemu-aarch64-static -L /usr/aarch64-linux-gnu $(CUDA)/arm64/dynvitd devices | grep 'cuda .* no NVIDIA driver'
	$(FAKE) -short ./backends/all ./vit ./engine ./cmd/...
	CUDA_THOROUGH=1 $(GO) test -timeout 30m -run '^TestEmulated$$/./san|^TestPlanted' ./$(KERNELS)

# NVIDIA's compiler, for the kernels' PTX, comes from PyPI too; its disassembler of before CUDA
# 13, which knows old devices, in triton's wheel alone.
KERNELS := backends/cuda/kernels
$(CUDA_VENV)/kernels: $(CUDA_VENV)/ready $(KERNELS)/requirements.txt
	$(CUDA_VENV)/bin/pip install -q -r $(KERNELS)/requirements.txt
	rm -rf $(CUDA)/wheels
	$(CUDA_VENV)/bin/pip download -q --no-deps --only-binary :all: --python-version 3.11 -d $(CUDA)/wheels triton==3.1.0
	python3 -m zipfile -e $(CUDA)/wheels/triton-*.whl $(CUDA)/wheels
	mv $(CUDA)/wheels/triton/backends/nvidia/bin/nvdisasm $(CUDA_VENV)/bin/
	chmod +x $(CUDA_VENV)/bin/nvdisasm
	rm -rf $(CUDA)/wheels
	touch $@

cuda-ptx: $(CUDA_VENV)/kernels ## compile the CUDA kernels to the PTX that is committed (1 min; 400 MB from PyPI)
	$(CUDA_VENV)/bin/python $(KERNELS)/build.py $(KERNELS)/ptx

# The last lines: the check itself sees spills, products without tensor cores, and those of half the width.
CHECK_PTX = NVDISASM=$(CUDA_VENV)/bin/nvdisasm $(CUDA_VENV)/bin/python $(KERNELS)/check.py
test-cuda-kernels: $(CUDA_VENV)/kernels ## is the committed PTX its sources', and what do ptxas and nvdisasm say of it? (1 min; 400 MB from PyPI)
	rm -rf $(CUDA)/ptx $(CUDA)/planted
	$(CUDA_VENV)/bin/python $(KERNELS)/build.py $(CUDA)/ptx
	diff -r $(CUDA)/ptx $(KERNELS)/ptx
	$(CHECK_PTX) $(KERNELS)/ptx
	mkdir -p $(CUDA)/planted/sm_53 $(CUDA)/planted/sm_72 $(CUDA)/planted/sm_80
	cp $(KERNELS)/ptx/sm_53/gemm.ptx $(CUDA)/planted/sm_53
	sed 's/^.target sm_53/.target sm_72/' $(KERNELS)/ptx/sm_53/gemm.ptx >$(CUDA)/planted/sm_72/gemm.ptx
	sed 's/^.target sm_72/.target sm_80/; s/^.version .*/.version 7.4/' $(KERNELS)/ptx/sm_72/gemm.ptx >$(CUDA)/planted/sm_80/gemm.ptx
	! $(CHECK_PTX) $(CUDA)/planted --maxrregcount=32 --override-directive-values >$(CUDA)/planted/said
	grep -q 'sm_53 gemm_f32 .* of spills' $(CUDA)/planted/said
	grep -q 'sm_72 gemm_int8 .* 0 IMMA' $(CUDA)/planted/said
	grep -q 'sm_80 gemm_int8 .* 0 IMMA.16832; IMMA.16816' $(CUDA)/planted/said

# Without libvips it says so and skips; with DYNVIT_REQUIRE it fails.
# Those of our own decoders' memory, allocations and thumbnails to the bit are not libvips's.
VIPS_TESTS = ^TestVips|^Test(Files|Golden|JPEG|MotionJPEG|Telephones|SavedIsTurned|Turned|TurnedRegion|AsStored|StoredRegion|Crop|Scaled|Mirror|Cut)$$
test-vips: ## pictures by libvips (the tag vips) beside our own decoders (2 min; Debian's libvips-dev)
	@if pkg-config --exists vips; then \
	CGO_ENABLED=1 $(GO) vet -tags vips ./pictures/... ./preprocess ./cmd/... && CGO_ENABLED=1 $(GO) test -count 1 -tags vips -run '$(VIPS_TESTS)' ./preprocess; \
	elif [ -n "$$DYNVIT_REQUIRE" ]; then echo "test-vips: needs Debian's libvips-dev"; exit 1; else echo "test-vips: skipped: needs Debian's libvips-dev"; fi

test-faults: ## the faults of docs/reliability.md, in full, with their figures (10 min)
	@mkdir -p bin
	@DYNVIT_FAULTS=1 $(GO) test -v -count 1 -p 1 -timeout 30m -run '^TestFault' ./camera/... ./daemon ./mqtt/... ./cmd/... >bin/faults.txt 2>&1; \
	status=$$?; grep -E '^ *(---|FAIL|ok|panic)|_test.go:' bin/faults.txt; exit $$status

SOAK := 30m
soak: ## four cameras at 15 frames a second, 30 min (SOAK=1h for longer); writes bin/soak.csv, bin/soak.svg
	mkdir -p bin
	DYNVIT_SOAK=$(SOAK) DYNVIT_SOAK_OUT=$(CURDIR)/bin $(GO) test -v -count 1 -timeout 24h -run '^TestSoak$$' ./daemon

# Subjects after this commit are held to 72 characters; of those before, 116 are longer and published.
SUBJECTS_SINCE := acc5ddc521b6049def1249f156be6a7d6bfdb647
check: ## format, commit subjects, vet for amd64, arm64 and purego, staticcheck, the assembly and its generator, static builds (3 min)
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w"; exit 1; }
	@if git cat-file -e $(SUBJECTS_SINCE) 2>/dev/null; then \
	! git log --no-merges --format=%s $(SUBJECTS_SINCE).. | LC_ALL=C.UTF-8 grep -E '.{73}' || { echo "commit subjects over 72 characters"; exit 1; }; \
	else echo "skipped: commit subjects (no git history back to $(SUBJECTS_SINCE))"; fi
	GOARCH=amd64 $(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	$(GO) vet -tags purego ./...
	$(GO) tool staticcheck ./...
	cd backends/_asm && $(GO) vet ./... && $$($(GO) -C ../.. tool -n staticcheck) ./... && $(GO) test ./...
	cd packaging && $(GO) vet ./... && $$($(GO) -C .. tool -n staticcheck) ./...
	cd page/browser && $(GO) vet ./... && $$($(GO) -C ../.. tool -n staticcheck) ./...
	@dir=$$(mktemp -d) && $(GO) -C backends/_asm run . -o $$dir && \
	for s in $$(find $$dir -name '*.s'); do cmp $$s $${s#$$dir/} || exit 1; done && \
	rm -r $$dir && echo "assembly: as the generator writes it"
	CGO_ENABLED=0 GOARCH=amd64 $(GO) build -o /dev/null ./cmd/dynvitd
	CGO_ENABLED=0 GOARCH=arm64 $(GO) build -o /dev/null ./cmd/dynvitd

race: ## the tests under the race detector, short ones (5 min; needs a C compiler)
	$(GO) test -race -short ./...

FUZZTIME := 20s
fuzz: ## every fuzz target for 20 s (10 min; FUZZTIME=10m for longer)
	@list=$$($(GO) test -list '^Fuzz' ./...) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { while (n) print $$2, names[--n] }' | while read -r p f; do \
	GO="$(GO)" .ci/fuzz $$p $$f $(FUZZTIME) </dev/null || exit 1; done

bench: build ## DeiT-T and the default model, dense and pruned, by precision (2 min)
	$(BIN) bench --arch deit_tiny --keep 1 --keep 0.7 --precision f32 --precision int8
	$(BIN) bench --keep 1 --keep 0.7 --precision f32 --precision int8

SHARED := ../shared
DATA := $(wildcard $(SHARED)/data/imagenette160/val)
DEIT := $(wildcard $(SHARED)/models/deit_tiny_patch16_224.safetensors)
bench-calibrate: build ## do calibration's promises hold? the default model, and DeiT-T from ../shared (30 min, idle machine)
	$(BIN) bench calibrate $(if $(DATA),--data $(DATA))
	$(if $(DEIT),$(BIN) bench calibrate --model $(DEIT) $(if $(DATA),--data $(DATA)),@echo "DeiT-T left out: needs $(SHARED)/models")

PEERS := bin/peers
bench-peers: build ## dynvitd beside ONNX Runtime, OpenVINO and libjpeg-turbo (15 min, idle machine; Python 3, ffmpeg, 6 GB for their packages)
	test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install -q -r peers/requirements.txt
	test -d bin/graphs || $(PEERS)/bin/python peers/export.py bin/graphs
	$(PEERS)/bin/python peers/bench.py bin/graphs $(BIN)
	ffmpeg -nostdin -loglevel error -y -f lavfi -i testsrc2=size=1280x720,noise=alls=14 -frames:v 1 -pix_fmt yuvj422p -q:v 12 bin/frame.jpg
	$(PEERS)/bin/python peers/jpeg.py bin/frame.jpg

cover: ## statement coverage by package (5 min)
	$(GO) test -cover ./...

PYTHON ?= python3
VENV := train/.venv
train-setup: $(VENV)/ready ## Python with PyTorch for training in train/.venv; reuses an installed torch (4 min and 7 GB from PyPI)

$(VENV)/ready: train/pyproject.toml
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(VENV)/bin/pip install --quiet --editable 'train[test]'
	touch $@

test-train: train-setup ## lint and test the training package (3 min)
	cd train && .venv/bin/ruff check .
	cd train && OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q

clean: ## remove what make built
	rm -rf bin
