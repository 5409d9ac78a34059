# portmap: `make` builds, `make check` tests, `make install` installs.
# CFLAGS, CPPFLAGS and LDFLAGS are the builder's; ours come before them.

# The version is in one place.
CHANGELOG := $(firstword $(wildcard src/init/debian/changelog debian/changelog))
VERSION := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' $(CHANGELOG))

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
# a script there would have no effect under systemd
SYSTEMD := $(wildcard /run/systemd/system)
SYSVDIR ?= $(if $(SYSTEMD),,/etc/init.d)
INITSCRIPT ?= portmap.init
RPCUSER ?= daemon
PKGCONF ?= pkg-config
CFLAGS ?= -O2 -g

BUILD := build
HARDEN := -fstack-protector-strong -fstack-clash-protection \
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
HARDEN_LD := -Wl,-z,relro,-z,now,-z,noexecstack

# Inode numbers and times may need 64 bits where `long` has 32.  The utilities
# pass a struct timeval to libtirpc, so theirs must be as libtirpc was built.
PM_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Isrc \
    -DVERSION='"$(VERSION)"' -DRPCUSER='"$(RPCUSER)"' \
    $(patsubst -I%,-isystem %,$(shell $(PKGCONF) --cflags libtirpc))
PM_CFLAGS := -std=c11 -MMD -MP -fPIE -ffile-prefix-map=$(CURDIR)=. \
    -Wall -Wextra -Wshadow -Wvla -Wundef \
    -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
    -Wwrite-strings -Wformat=2
LIBS := $(shell $(PKGCONF) --libs libtirpc)
# SECCOMP=no does without libseccomp, and does not limit system calls
ifneq ($(SECCOMP),no)
SECCOMP_LIBS := $(shell $(PKGCONF) --libs libseccomp)
endif

# One short line a file; V=1 prints the whole commands, and -s nothing.
SAY = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@echo '  $(1) $@';)
COMPILE = $(call SAY,cc  )$(CC) $(PM_CPPFLAGS) $(PM_CFLAGS) $(HARDEN) \
    $(CPPFLAGS) $(CFLAGS)
LINK = $(call SAY,link)$(CC) -pie $(HARDEN_LD) $(CFLAGS) $(LDFLAGS)

UTILITIES := pmap_dump pmap_set rpcinfo
PROGRAMS := portmap $(UTILITIES)
MODULES := accept addrfilt callit closer daemon datagram debt holder \
    ifaddr listen log loop \
    options peer policy priv record registry sandbox service share sockdiag \
    store stream table transport wire
OBJS = $(MODULES:%=$(BUILD)/%.o)

all:
include tests/tests.mk
all: $(PROGRAMS:%=$(BUILD)/%)

$(BUILD)/portmap: $(BUILD)/portmap.o $(OBJS)
	$(LINK) -o $@ $^ $(LIBS) $(SECCOMP_LIBS)

$(BUILD)/pmap_set: $(BUILD)/pmap_set.o $(BUILD)/sockdiag.o
	$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/rpcinfo: $(BUILD)/rpcinfo.o $(BUILD)/wire.o
	$(LINK) -pthread -o $@ $^ $(LIBS) -lrt

# the same, under a name that rpcbind has not
$(BUILD)/pmap_dump: $(BUILD)/rpcinfo
	$(call SAY,copy)cp $< $@

$(BUILD)/portmap.o $(OBJS): PM_CPPFLAGS += -D_TIME_BITS=64
$(BUILD)/sandbox.o: PM_CPPFLAGS += $(if $(SECCOMP_LIBS),,-DNO_SECCOMP)

$(BUILD)/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# A file that changes when these variables do.
$(addprefix $(BUILD)/,portmap.o options.o log.o sandbox.o): $(BUILD)/choices
$(BUILD)/choices: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION) $(RPCUSER) $(SECCOMP)' | cmp -s - $@ || \
	    echo '$(VERSION) $(RPCUSER) $(SECCOMP)' >$@

# UNITDIR= leaves out systemd's units, SYSVDIR= the script for SysV init;
# INITSCRIPT=portmap.openrc installs OpenRC's script in its place.
UNITS := $(if $(UNITDIR),$(addprefix portmap,.service .socket \
    -abstract.socket))
# The names that other units require: links next to the units, not Alias=, whose
# links in /etc outlive an uninstall.
UNIT_LINKS := $(if $(UNITDIR),service socket)
GENERATOR := $(if $(UNITDIR),$(UNITDIR)-generators/portmap-generator)
# RPCINFO=yes also installs rpcinfo, whose name is that of rpcbind's.  It is for
# all users, and scripts call it in SBINDIR.
RPCINFO ?=
RPCINFO_LINK = $(if $(RPCINFO),$(filter-out $(SBINDIR)/rpcinfo, \
    $(BINDIR)/rpcinfo))
# INSTALL is the name of the program in other makefiles, and is often set.
TO_INSTALL = $(if $(RPCINFO),$(PROGRAMS),$(filter-out rpcinfo,$(PROGRAMS)))
INSTALLED = $(TO_INSTALL:%=$(SBINDIR)/%) $(TO_INSTALL:%=$(MANDIR)/man8/%.8) \
    $(MANDIR)/man7/portmap.7 $(RPCINFO_LINK) \
    $(UNITS:%=$(UNITDIR)/%) $(UNIT_LINKS:%=$(UNITDIR)/rpcbind.%) $(GENERATOR) \
    $(if $(SYSVDIR),$(SYSVDIR)/portmap)
ADAPT = sed -e 's,/usr/sbin/portmap,$(SBINDIR)/portmap,' \
    -e 's,^User=daemon$$,User=$(RPCUSER),'

NEXT = 'portmap $(VERSION) is installed, and not started.  To start it:' \
    $(if $(SYSTEMD),'    systemctl daemon-reload' \
    '    systemctl enable --now portmap.socket portmap.service', \
    '    $(if $(SYSVDIR),$(SYSVDIR)/portmap start,$(SBINDIR)/portmap)') \
    'If rpcbind runs, this page says how to replace it:' \
    '    man $(MANDIR)/man7/portmap.7'

install: all
	install -d $(sort $(dir $(INSTALLED:%=$(DESTDIR)%)))
	install -m 755 $(TO_INSTALL:%=$(BUILD)/%) $(DESTDIR)$(SBINDIR)
	set -e; for link in $(RPCINFO_LINK); do \
	    ln -sf ../$(notdir $(SBINDIR))/rpcinfo $(DESTDIR)$$link; done
	install -m 644 $(TO_INSTALL:%=man/%.8) $(DESTDIR)$(MANDIR)/man8
	install -m 644 man/portmap.7 $(DESTDIR)$(MANDIR)/man7
	set -e; for unit in $(UNITS); do to=$(DESTDIR)$(UNITDIR)/$$unit; \
	    $(ADAPT) src/init/$$unit >$$to; chmod 644 $$to; done
	set -e; for type in $(UNIT_LINKS); do \
	    ln -sf portmap.$$type $(DESTDIR)$(UNITDIR)/rpcbind.$$type; done
	set -e; for to in $(GENERATOR:%=$(DESTDIR)%); do \
	    install -m 755 src/init/portmap.generator $$to; done
	set -e; for to in $(SYSVDIR:%=$(DESTDIR)%/portmap); do \
	    $(ADAPT) src/init/$(INITSCRIPT) >$$to; chmod 755 $$to; done
	$(if $(DESTDIR),,@printf '%s\n' $(NEXT))

# Directories are removed only below a DESTDIR, and only if they are empty.
uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)%)
	[ -z "$(DESTDIR)" ] || cd $(DESTDIR) && \
	    for d in $(sort $(dir $(INSTALLED:/%=%))); do \
	    [ ! -d $$d ] || rmdir -p --ignore-fail-on-non-empty $$d; done

clean:
	rm -rf build build-*

-include $(OBJS:.o=.d) $(PROGRAMS:%=$(BUILD)/%.d)

.PHONY: all install uninstall clean FORCE
