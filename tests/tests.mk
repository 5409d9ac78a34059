# Tests, analysis, benchmark and packaging; tests/README explains the targets.

# clang's sanitizer rejects each call through xdrproc_t, which has no prototype
NO_FUNCTION = $(shell $(1) -fno-sanitize=function -E -x c /dev/null \
    >/dev/null 2>&1 && echo -fno-sanitize=function)
ifdef SAN
BUILD := build-san
HARDEN := -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer $(call NO_FUNCTION,$(CC))
HARDEN_LD := -fsanitize=address,undefined
endif

# of `make coverage`
ifdef COV
BUILD := build-cov
HARDEN := --coverage
CFLAGS := -O0 -g
HARDEN_LD := --coverage
endif

UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%, \
    $(wildcard tests/unit/test_*.c))
# calls that the unit tests make fail: tests/unit/wrap.h
WRAPPED := malloc calloc realloc free setgroups setresgid setresuid prctl \
    syscall accept4 recv send sendto socket write getrandom getifaddrs \
    __prctl_time64 __recv_chk
INTEROP := build/interop
COMPILED := all $(addprefix $(INTEROP)/,server find slow intruder.so refuse.so \
    strict.so)
NEEDED := $(COMPILED) $(INTEROP)/.unpacked
BENCH_TOOLS := $(addprefix build/bench/,load echo echo-tirpc)

$(BUILD)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -Itests/unit -c -o $@ $<

$(BUILD)/unit/test_%: $(BUILD)/unit/test_%.o $(BUILD)/unit/wrap.o $(OBJS)
	$(LINK) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $^ -lcmocka $(LIBS) $(SECCOMP_LIBS)

# these have a clock and more of their own: they need only what they test
REPLACING = $(addprefix $(BUILD)/unit/test_,accept debt holder ifaddr)
$(REPLACING): $(BUILD)/unit/test_%: $(BUILD)/unit/test_%.o \
    $(BUILD)/unit/wrap.o $(BUILD)/%.o
	$(LINK) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $^ -lcmocka

.SECONDARY:
-include $(UNIT_TESTS:%=%.d)

$(INTEROP)/%: tests/interop/%.c
	@mkdir -p $(@D)
	$(call SAY,cc  )$(CC) $(PM_CPPFLAGS) -O1 -o $@ $< $(LIBS)

$(INTEROP)/%.so: tests/interop/%.c
	@mkdir -p $(@D)
	$(call SAY,cc  )$(CC) $(PM_CPPFLAGS) -O1 -fPIC -shared -o $@ $<

# with RPC libraries of other languages: `tests/setup others`
OTHERS := $(addprefix $(INTEROP)/others/,Server.class ocaml diet server.py)
$(INTEROP)/others/Server.class: tests/interop/others/Server.java
	@mkdir -p $(@D)
	javac -cp /usr/share/java/oncrpc.jar -d $(@D) $<
$(INTEROP)/others/ocaml: tests/interop/others/server.ml
	@mkdir -p $(@D)
	cp $< $(@D)
	cd $(@D) && ocamlfind ocamlopt -package rpc,equeue,netstring,unix \
	    -linkpkg server.ml -o ocaml
$(INTEROP)/others/diet: tests/interop/others/diet.c
	@mkdir -p $(@D)
	diet gcc -w -o $@ $< -lrpc
$(INTEROP)/others/server.py: tests/interop/others/server.py
	@mkdir -p $(@D)
	cp $< $@

$(INTEROP)/.unpacked: tests/get-interop Makefile
	tests/get-interop $(INTEROP) rpcbind nfs-common ypserv ypbind-mt yp-tools \
	    rstatd rstat-client rusers bootparamd lxi-tools libnfs-utils nfs-ganesha \
	    nfs-ganesha-mem
	touch $@

unit: $(UNIT_TESTS)
	@for test in $^; do echo $$test; $$test || exit 1; done

# For everybody.  TESTS='tests/blackbox/test_rights.py -k quotas' chooses.
check: $(NEEDED) $(UNIT_TESTS) $(BENCH_TOOLS)
	@$(if $(TESTS),,echo 'This takes one to two minutes on two processors.')
	tests/run $(BUILD) $(TESTS)

# Servers with other RPC libraries, and rpcbind for comparison.
check-others: $(NEEDED) $(OTHERS)
	tests/run $(BUILD) tests/blackbox/test_others.py

# The tests that measure time, or take more than a second each.
check-slow: $(NEEDED) $(UNIT_TESTS) $(BENCH_TOOLS)
	tests/run --slow $(BUILD)

# All that `make check` leaves out: before a release.
check-all:
	tests/check-all

check-offline: $(COMPILED) $(UNIT_TESTS) $(BENCH_TOOLS)
	tests/run --offline $(BUILD) $(TESTS)

demo: $(COMPILED)
	tests/demo

# Proofs with CBMC, which Debian 13 has: `make prove PROVE=policy_set` for one.
prove:
	tests/prove/run $(PROVE)

prove-mutants:
	tests/prove/run --mutants $(PROVE)

# A part of the black-box tests with the daemon under valgrind.
valgrind: $(NEEDED)
	VALGRIND=1 tests/run $(BUILD) $(or $(TESTS), \
	    $(patsubst %,tests/blackbox/test_%.py,protocol rights local callit))

mutants: $(NEEDED)
	tests/mutants/run

# A mixed load for hours: `make soak MINUTES=60`.  The same SEED=n makes the
# same calls.
soak: all
	$(if $(filter 0,$(shell id -u)),,sudo )env BUILD=$(BUILD) \
	    PYTHONDONTWRITEBYTECODE=1 tests/sandbox tests/soak \
	    $(or $(MINUTES),60) $(SEED)

# Line coverage of src/ by the unit tests and the quick black-box tests, and the
# lines without any.  The daemon writes its counters as the user that it became,
# so the files exist before, writable by everybody.  The sandbox would keep gcov
# from writing them, and is off in this build.
coverage:
	$(MAKE) -s COV=1 all $(UNIT_TESTS:$(BUILD)/%=build-cov/%)
	@find build-cov -name '*.gcda' -delete
	@for f in $$(find build-cov -name '*.gcno'); do \
	    : >$${f%.gcno}.gcda; chmod 666 $${f%.gcno}.gcda; done
	@$(MAKE) -s COV=1 unit >build-cov/unit.log || \
	    { cat build-cov/unit.log; exit 1; }
	$(MAKE) -s COV=1 check TESTS='-n 6 -m "not slow" --deselect \
	    tests/blackbox/test_install.py tests/blackbox'
	@gcovr --root . --filter src/ --exclude src/sandbox \
	    --object-directory build-cov --txt build-cov/report --print-summary \
	    --fail-under-line $(COVERED) build-cov; \
	    status=$$?; grep -v ' 100% *$$' build-cov/report; exit $$status
COVERED := 93

# Fuzzing by clang's libFuzzer: `make fuzz FUZZ_SECONDS=600` for longer.
FUZZ_SECONDS ?= 10
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_CC = clang $(PM_CPPFLAGS) -std=c11 -g -O1 -fPIE -Itests/fuzz \
    -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=all $(call NO_FUNCTION,clang)

build-fuzz/%.o: src/%.c Makefile $(wildcard src/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link -c -o $@ $<

build-fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c tests/fuzz/fuzz.h \
    $(MODULES:%=build-fuzz/%.o)
	$(FUZZ_CC) -fsanitize=fuzzer -pie -o $@ $(filter %.c %.o,$^) $(LIBS) \
	    $(SECCOMP_LIBS) $(FUZZ_WRAP)

# this one replaces the kernel's side of the socket
build-fuzz/fuzz_datagram: FUZZ_WRAP = -Wl,--wrap=recvmmsg \
    -Wl,--wrap=sendmmsg

fuzz: $(FUZZERS:%=build-fuzz/%)
	@for f in $(FUZZERS); do mkdir -p build-fuzz/corpus/$$f && \
	    build-fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    -timeout=5 -artifact_prefix=build-fuzz/ build-fuzz/corpus/$$f \
	    tests/fuzz/corpus/$$f >build-fuzz/$$f.log 2>&1 || \
	    { tail -n 40 build-fuzz/$$f.log; exit 1; }; \
	    echo "$$f: $$(sed -n 's/^stat::number_of_executed_units: *//p' \
	    build-fuzz/$$f.log) executions"; done

# Compared with rpcbind and a bare select() loop.  BENCH='--quick udp' runs a
# part of it, with fewer calls.
BENCH_CC = @mkdir -p $(@D); $(subst @,,$(call SAY,cc  )) \
    $(CC) -D_GNU_SOURCE -Isrc -std=c11 -Wall -Wextra -O2
build/bench/%: tests/bench/%.c
	$(BENCH_CC) -o $@ $<
build/bench/echo-tirpc: tests/bench/echo.c
	$(BENCH_CC) -o $@ $< -Wl,--no-as-needed -ltirpc

bench: all $(BENCH_TOOLS) $(INTEROP)/.unpacked
	$(if $(filter 0,$(shell id -u)),,sudo )tests/sandbox tests/bench/bench \
	    $(BUILD)/portmap build/bench $(BENCH)

format-check:
	clang-format --dry-run -Werror $(wildcard src/*.[ch] tests/*/*.[ch])

# cppcheck understands the loops over lists only with sys/queue.h.
cppcheck:
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
	    --enable=warning,performance,portability -Isrc \
	    --suppress=normalCheckLevelMaxBranches \
	    --include=$$($(CC) -M -include sys/queue.h -xc /dev/null | \
	    grep -o '/[^ ]*/sys/queue.h') src

# .clang-tidy lists the checks that are left out, and why.  reserve_stdio()
# leaves descriptors open on purpose, hence no fd-leak.
tidy:
	for f in src/*.c; do clang-tidy --quiet $$f -- \
	    -std=c11 $(PM_CPPFLAGS) || exit 1; done
	for f in src/*.c; do $(CC) -std=c11 $(PM_CPPFLAGS) -O1 -fanalyzer \
	    -Wno-analyzer-fd-leak -Werror -c -o /dev/null $$f || exit 1; done

# The release: the same files make the same bytes, in or out of a clone.
RELEASE := portmap-$(VERSION)
DIST := build/$(RELEASE).tar.gz
dist:
	@mkdir -p build
	@{ { [ -e .git ] && git ls-files 2>/dev/null; } || \
	    find * .[a-z]* \( -path 'build*' -o -name '*cache*' -o -name .git \) \
	    -prune -o -type f -print; } | LC_ALL=C sort | \
	    tar -c -T - --format=ustar --owner=0 --group=0 \
	    --numeric-owner --mode=u+rw,go+r-w,a-s --transform='s,^,$(RELEASE)/,' \
	    --mtime="$$(sed -n '/^ -- /{s/.*>  //p;q;}' $(CHANGELOG))" | \
	    gzip -9n >$(DIST)

# A package for Debian, as build/deb/portmap_*.deb.
DEB := build/deb/$(RELEASE)
deb: dist
	rm -rf build/deb
	mkdir -p build/deb
	tar -C build/deb -xf $(DIST)
	mv $(DEB)/src/init/debian $(DEB)
	cd $(DEB) && dpkg-buildpackage -us -uc -b

# A package for Fedora and RHEL, as build/rpm/RPMS/*/portmap-*.rpm.  On Debian,
# rpm does not know which packages are installed.
rpm: dist
	rm -rf build/rpm
	rpmbuild -bb --quiet --define '_topdir $(CURDIR)/build/rpm' \
	    --define '_sourcedir $(CURDIR)/build' \
	    --define 'upstream $(VERSION)' \
	    $(if $(wildcard /etc/debian_version),--nodeps) \
	    src/init/rpm/portmap.spec

.PHONY: unit check check-slow check-others check-all check-offline prove \
    prove-mutants demo valgrind mutants soak coverage fuzz bench format-check \
    cppcheck tidy dist deb rpm
