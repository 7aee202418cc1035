# SPDX-License-Identifier: GPL-2.0-or-later
#
# The one entry to everything here: `make help` says what there is. All that is
# made is made under build/.

SHELL := /bin/bash
top := $(CURDIR)
build := $(top)/build
kernel = $(shell readlink -f $(build)/kernel/current)

# Parts follow one another; each is built with all CPUs.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

.PHONY: all packages kernel modules userspace selftests unit emulator guest no-such-test \
	demo check bench soak fuzz docs style clean help

all: modules userspace selftests unit guest

packages:
	@qemu-tests/packages

kernel: packages
	@qemu-tests/kernel $(build)

modules: kernel
	$(MAKE) -C kmod KDIR=$(kernel)/headers OUT=$(build)/kmod/$(notdir $(kernel))
	@ln -sfn kmod/$(notdir $(kernel)) $(build)/modules

userspace: packages
	$(MAKE) -C userspace OUT=$(build)/userspace

selftests: packages
	$(MAKE) -C selftests OUT=$(build)/selftests

unit: packages
	$(MAKE) -C selftests/unit OUT=$(build)/selftests/unit
	$(MAKE) -C userspace OUT=$(build)/userspace tests

emulator: packages
	@qemu-tests/emulator $(build)

guest: kernel emulator userspace
	@qemu-tests/l2

# Documentation/verbs.md is made from the table of verbs; a test says when it is not.
docs: userspace
	$(build)/userspace/corbel manual --format markdown >$(build)/verbs.md
	mv $(build)/verbs.md Documentation/verbs.md

demo: modules userspace guest
	@qemu-tests/demo

# A wrong T is told before anything is built, and no more is built than it needs.
needs = $$(qemu-tests/run --needs $(1) || echo no-such-test)
no-such-test:
	@exit 2

T ?=
check:
	@$(MAKE) $(call needs,$(T))
	@qemu-tests/run --build $(T)

bench: T := $(or $(T),cost)
bench:
	@$(MAKE) $(call needs,$(T))
	@qemu-tests/run --build --show $(T)

# How much longer than in `check` the long versions run.
SCALE ?= 10
# Its host's tests have sanitizers.
soak fuzz: export SANITIZE := 1
soak: export DEBIAN_ROOT := 1
soak:
	@$(MAKE) $(call needs,$(T))
	@qemu-tests/run --build --scale $(SCALE) --resume $(build)/soak-passed $(T)

fuzz: T := $(or $(T),fuzz)
fuzz:
	@$(MAKE) $(call needs,$(T))
	@qemu-tests/run --build --scale 60 $(T)

style: modules userspace
	@.ci/style

clean:
	rm -rf $(build)

help:
	@echo "make demo            boot the bench, attach to a stock guest, show its interrupts"
	@echo "make check [T=...]   build everything and run the tests, or those of a name or group"
	@echo "make bench [T=...]   what Corbel costs, in instructions"
	@echo "make soak [T=...]    the tests at SCALE=$(SCALE) times their length"
	@echo "make fuzz            an hour of the ABI fuzzer"
	@echo "make style           the formatting and lint checks"
	@echo "make docs            write Documentation/verbs.md anew"
	@echo "make all             build, run nothing"
	@echo "make clean           remove build/"
