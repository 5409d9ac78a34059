# portmap: `make` builds, `make check` tests, `make install` installs.
# CFLAGS, CPPFLAGS and LDFLAGS are the builder's; ours come before them.

VERSION = 1.0

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
RPCUSER ?= daemon
PKGCONF ?= pkg-config
CFLAGS ?= -O2 -g

BUILD := build
HARDEN := -fstack-protector-strong -fstack-clash-protection \
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
HARDEN_LD := -Wl,-z,relro,-z,now,-z,noexecstack
# clang calls each function through xdrproc_t, which has no prototype, undefined
NO_FUNCTION = $(shell $(1) -fno-sanitize=function -E -x c /dev/null \
    >/dev/null 2>&1 && echo -fno-sanitize=function)
ifdef SAN
BUILD := build-san
HARDEN := -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer $(call NO_FUNCTION,$(CC))
HARDEN_LD := -fsanitize=address,undefined
endif

# Inode numbers and times may need 64 bits where `long` has 32.  The utilities
# hand libtirpc a struct timeval, so theirs is as libtirpc was built.
PM_CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Isrc \
    -DVERSION='"$(VERSION)"' -DRPCUSER='"$(RPCUSER)"' \
    $(patsubst -I%,-isystem %,$(shell $(PKGCONF) --cflags libtirpc))
PM_CFLAGS := -std=c11 -MMD -MP -fPIE -ffile-prefix-map=$(CURDIR)=. \
    -Wall -Wextra -Wshadow -Wvla -Wundef \
    -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
    -Wwrite-strings -Wformat=2
LIBS := $(shell $(PKGCONF) --libs libtirpc)

COMPILE = $(CC) $(PM_CPPFLAGS) $(PM_CFLAGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) -pie $(HARDEN_LD) $(CFLAGS) $(LDFLAGS)

PROGRAMS := portmap pmap_dump pmap_set
MODULES := $(filter-out client $(PROGRAMS), \
    $(patsubst src/%.c,%,$(wildcard src/*.c)))
OBJS := $(MODULES:%=$(BUILD)/%.o)
MAN8 := $(PROGRAMS:%=%.8)

all: $(PROGRAMS:%=$(BUILD)/%)

$(BUILD)/portmap: $(BUILD)/portmap.o $(OBJS)
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/pmap_%: $(BUILD)/pmap_%.o $(addprefix $(BUILD)/,client.o owner.o \
    pmap.o wire.o)
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/portmap.o $(OBJS): PM_CPPFLAGS += -D_TIME_BITS=64

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# Tests.  tests/README says how to run a part of them.

UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%, \
    $(wildcard tests/unit/test_*.c))
# calls that the unit tests make fail: tests/unit/wrap.h
WRAPPED := malloc calloc realloc setgroups setresgid setresuid prctl syscall \
    recv sendto socket write getifaddrs __prctl_time64
PEERS := build/peers
BENCH_TOOLS := $(addprefix build/bench/,load echo echo-tirpc)

$(BUILD)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -Itests/unit -c -o $@ $<

$(BUILD)/unit/test_%: $(BUILD)/unit/test_%.o $(BUILD)/unit/wrap.o $(OBJS)
	$(LINK) $(WRAPPED:%=-Wl,--wrap=%) -o $@ $^ -lcmocka $(LIBS)

.SECONDARY: $(UNITS:%=%.o) $(PROGRAMS:%=$(BUILD)/%.o) \
    $(BUILD)/unit/wrap.o $(BUILD)/client.o

$(PEERS)/%: tests/peers/%.c
	@mkdir -p $(@D)
	$(CC) $(PM_CPPFLAGS) -O1 -o $@ $< $(LIBS)

$(PEERS)/.unpacked: tests/get-peers Makefile
	tests/get-peers $(PEERS) rpcbind nfs-common ypserv ypbind-mt yp-tools \
	    rstatd rstat-client bootparamd
	touch $@

unit: $(UNITS)
	@for test in $^; do echo $$test; $$test || exit 1; done

check: all $(UNITS) $(PEERS)/.unpacked $(PEERS)/server $(PEERS)/find \
    $(BENCH_TOOLS)
	tests/run $(BUILD) $(TESTS)

demo: all $(PEERS)/.unpacked $(PEERS)/server $(PEERS)/find
	tests/demo

# A part of the black-box tests with the daemon under valgrind.
valgrind: all $(PEERS)/.unpacked $(PEERS)/server $(PEERS)/find
	VALGRIND=1 tests/run $(BUILD) $(or $(TESTS),tests/blackbox/test_protocol.py \
	    tests/blackbox/test_rights.py tests/blackbox/test_local.py \
	    tests/blackbox/test_callit.py)

# Line coverage of src/ (needs gcovr).  The files that count are made first, for
# everybody to write: the daemon counts as the user that it has become.  On a
# read-only root it cannot, and says so: tests of that fail here.
COVERAGE = BUILD=build-cov HARDEN= CFLAGS='-O0 -g --coverage'
coverage:
	$(MAKE) $(COVERAGE) all $(UNITS:$(BUILD)/%=build-cov/%)
	find build-cov -name '*.gcda' -delete
	for f in $$(find build-cov -name '*.gcno'); do \
	    : >$${f%.gcno}.gcda; chmod 666 $${f%.gcno}.gcda; done
	-$(MAKE) $(COVERAGE) check
	gcovr --root . --filter 'src/' --object-directory build-cov \
	    --print-summary --fail-under-line 95

# Fuzzing, by clang's libFuzzer: `make fuzz FUZZ_SECONDS=600` for longer.

FUZZ_SECONDS ?= 10
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_CC = clang $(PM_CPPFLAGS) -std=c11 -g -O1 -fPIE -Itests/fuzz \
    -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=all $(call NO_FUNCTION,clang)

build-fuzz/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link -c -o $@ $<

build-fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c tests/fuzz/fuzz.h \
    $(MODULES:%=build-fuzz/%.o)
	$(FUZZ_CC) -fsanitize=fuzzer -pie -o $@ $(filter %.c %.o,$^) $(LIBS) \
	    $(FUZZ_WRAP)

# this one is the kernel's side of the socket
build-fuzz/fuzz_datagram: FUZZ_WRAP = -Wl,--wrap=recvmmsg \
    -Wl,--wrap=sendmmsg
.PRECIOUS: build-fuzz/%.o

fuzz: $(FUZZERS:%=build-fuzz/%)
	@for f in $(FUZZERS); do mkdir -p build-fuzz/corpus/$$f && \
	    build-fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    -timeout=5 -artifact_prefix=build-fuzz/ build-fuzz/corpus/$$f \
	    tests/fuzz/corpus/$$f >build-fuzz/$$f.log 2>&1 || \
	    { tail -n 40 build-fuzz/$$f.log; exit 1; }; \
	    echo "$$f: $$(sed -n 's/^stat::number_of_executed_units: *//p' \
	    build-fuzz/$$f.log) executions"; done

# Does some test notice when a promise is broken?  A patch for each.
mutants: all $(PEERS)/.unpacked $(PEERS)/server $(PEERS)/find
	tests/mutants/run

# Side by side with rpcbind and a bare select() loop; README has the table.
# BENCH='--quick udp' for a part of it, roughly.
BENCH_CC = @mkdir -p $(@D); \
    $(CC) -D_GNU_SOURCE -Isrc -std=c11 -Wall -Wextra -O2
build/bench/%: tests/bench/%.c
	$(BENCH_CC) -o $@ $<
build/bench/echo-tirpc: tests/bench/echo.c
	$(BENCH_CC) -o $@ $< -Wl,--no-as-needed -ltirpc

bench: all $(BENCH_TOOLS) $(PEERS)/.unpacked
	$(if $(filter 0,$(shell id -u)),,sudo )tests/sandbox tests/bench/bench \
	    $(BUILD)/portmap build/bench $(BENCH)

FORMATTED := $(wildcard src/*.[ch] tests/*/*.[ch])
format-check:
	clang-format --dry-run -Werror $(FORMATTED)

# with sys/queue.h, or its loops are not understood
cppcheck:
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
	    --enable=warning,performance,portability -Isrc \
	    --suppress=normalCheckLevelMaxBranches \
	    --include=$$($(CC) -M -include sys/queue.h -xc /dev/null | \
	    grep -o '/[^ ]*/sys/queue.h') src

# Static analysis: no findings.  .clang-tidy says what is asked, and why not.
# reserve_stdio() leaves descriptors open on purpose: no fd-leak.
tidy:
	for f in src/*.c; do clang-tidy --quiet $$f -- \
	    -std=c11 $(PM_CPPFLAGS) || exit 1; done
	for f in src/*.c; do $(CC) -std=c11 $(PM_CPPFLAGS) -O1 -fanalyzer \
	    -Wno-analyzer-fd-leak -Werror -c -o /dev/null $$f || exit 1; done

# Installation.  UNITDIR= or SYSVDIR= leaves out systemd's units or the script
# for SysV init; INITSCRIPT=portmap.openrc puts one for OpenRC in its place.

UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSVDIR ?= /etc/init.d
INITSCRIPT ?= portmap.init
UNITS_OF_INIT := $(if $(UNITDIR),portmap.service portmap.socket \
    portmap-local.path portmap-local.service)
# The names that other units require: links next to the units, not Alias=, whose
# links in /etc outlive an uninstall.
UNIT_LINKS := $(if $(UNITDIR),service socket)
# each file that is installed, and what is left of it at uninstall
INSTALLED = $(PROGRAMS:%=$(SBINDIR)/%) $(MAN8:%=$(MANDIR)/man8/%) \
    $(UNITS_OF_INIT:%=$(UNITDIR)/%) $(UNIT_LINKS:%=$(UNITDIR)/rpcbind.%) \
    $(if $(SYSVDIR),$(SYSVDIR)/portmap)
ADAPT = sed -e 's,/usr/sbin/portmap,$(SBINDIR)/portmap,' \
    -e 's,^User=daemon$$,User=$(RPCUSER),'

install: all
	install -d $(sort $(dir $(INSTALLED:%=$(DESTDIR)%)))
	install -m 755 $(PROGRAMS:%=$(BUILD)/%) $(DESTDIR)$(SBINDIR)
	install -m 644 $(MAN8:%=man/%) $(DESTDIR)$(MANDIR)/man8
	for f in $(UNITS_OF_INIT); do \
	    $(ADAPT) src/init/$$f >$(DESTDIR)$(UNITDIR)/$$f && \
	    chmod 644 $(DESTDIR)$(UNITDIR)/$$f || exit 1; done
	for type in $(UNIT_LINKS); do \
	    ln -sf portmap.$$type $(DESTDIR)$(UNITDIR)/rpcbind.$$type || \
	    exit 1; done
ifneq ($(SYSVDIR),)
	$(ADAPT) src/init/$(INITSCRIPT) >$(DESTDIR)$(SYSVDIR)/portmap
	chmod 755 $(DESTDIR)$(SYSVDIR)/portmap
endif

# Directories go only from a DESTDIR, and when nothing else is in them.
uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)%)
ifneq ($(DESTDIR),)
	cd $(DESTDIR) && for d in $(sort $(dir $(INSTALLED:/%=%))); do \
	    [ ! -d $$d ] || rmdir -p --ignore-fail-on-non-empty $$d; done
endif

# A package for Debian, as build/deb/portmap_*.deb.
deb:
	rm -rf build/deb
	mkdir -p build/deb/portmap-$(VERSION)
	cp -a Makefile README LICENSE man src build/deb/portmap-$(VERSION)
	mv build/deb/portmap-$(VERSION)/src/init/debian build/deb/portmap-$(VERSION)
	cd build/deb/portmap-$(VERSION) && dpkg-buildpackage -us -uc -b

clean:
	rm -rf build build-san build-fuzz build-cov

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d)

.PHONY: all unit check demo valgrind coverage fuzz mutants bench \
    format-check cppcheck tidy install uninstall deb clean
