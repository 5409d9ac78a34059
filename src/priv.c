/* SPDX-License-Identifier: BSD-2-Clause */
#include "priv.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "decimal.h"
#include "log.h"

enum {
	DESCRIPTORS_MIN = 64
};

#define ID_MAX (UINT32_MAX - 1)

int
priv_limits(void)
{
	struct rlimit files, core = {0, 0};

	if (setrlimit(RLIMIT_CORE, &core) == -1 ||
	    getrlimit(RLIMIT_NOFILE, &files) == -1)
		log_fatal("cannot set limits: %s", strerror(errno));
	files.rlim_cur =
	    files.rlim_max < FD_SETSIZE ? files.rlim_max : FD_SETSIZE;
	if (files.rlim_cur < DESCRIPTORS_MIN)
		log_fatal("only %lu descriptors: raise the limit (ulimit -Hn) "
			  "to at least %d",
		    (unsigned long)files.rlim_cur, DESCRIPTORS_MIN);
	if (setrlimit(RLIMIT_NOFILE, &files) == -1)
		log_fatal("cannot set limits: %s", strerror(errno));
	return ((int)files.rlim_cur);
}

static struct identity
own_identity(void)
{
	static char name[16];

	snprintf(name, sizeof(name), "%lu", (unsigned long)geteuid());
	return ((struct identity){name, geteuid(), getegid(), true});
}

static struct identity
identity_of(const char *user)
{
	struct identity id = {.name = user};
	const struct passwd *pw;
	uint32_t number;

	if ((pw = getpwnam(user)) == NULL &&
	    decimal_parse_all(user, ID_MAX, &number))
		pw = getpwuid((uid_t)number);
	if (pw != NULL) {
		id.uid = pw->pw_uid;
		id.gid = pw->pw_gid;
	} else if (decimal_parse_all(user, ID_MAX, &number)) {
		id.uid = (uid_t)number;
		id.gid = (gid_t)number;
	} else {
		log_wrong_option(
		    "no user %s: choose another one with -u", user);
	}
	return (id);
}

struct identity
priv_identity(const char *user, const char *group, bool by_default)
{
	struct identity id;
	const struct group *gr;
	uint32_t number;

	id = geteuid() != 0 && by_default ? own_identity() : identity_of(user);
	if (group != NULL) {
		if ((gr = getgrnam(group)) != NULL)
			id.gid = gr->gr_gid;
		else if (decimal_parse_all(group, ID_MAX, &number))
			id.gid = (gid_t)number;
		else
			log_wrong_option(
			    "no group %s: choose another one with -g", group);
	}
	if (geteuid() != 0 && (id.uid != geteuid() || id.gid != getegid()))
		log_wrong_option(
		    "no permission to become user %s: start as root, or "
		    "without -u and -g",
		    id.name);
	id.stay = id.uid == geteuid() && id.gid == getegid();
	return (id);
}

static void __attribute__((noreturn)) cannot_become(const struct identity *id)
{
	log_fatal("cannot become user %s: %s: if the user namespace "
		  "does not map it, use -u root",
	    id->name, strerror(errno));
}

/* The groups come first: without uid 0 they cannot be changed. */
static void
become(const struct identity *id)
{
	/*
	 * A user namespace with one uid forbids setgroups(); the groups of the
	 * parent process stay.
	 */
	if (geteuid() == 0 && setgroups(0, NULL) == -1 && !id->stay)
		cannot_become(id);
	if (id->stay)
		return;
	if (setresgid(id->gid, id->gid, id->gid) == -1 ||
	    setresuid(id->uid, id->uid, id->uid) == -1)
		cannot_become(id);
}

static int
capabilities(long call, struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3};

	return ((int)syscall(call, &head, data));
}

static bool
has_dropped(const struct identity *id)
{
	struct __user_cap_data_struct caps[2] = {
	    {~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) == -1 || getresgid(&rg, &eg, &sg) == -1 ||
	    capabilities(SYS_capget, caps) == -1)
		return (false);
	for (size_t i = 0; i < 2; i++)
		if (caps[i].effective || caps[i].permitted ||
		    caps[i].inheritable)
			return (false);
	return (r == id->uid && e == id->uid && s == id->uid && rg == id->gid &&
		eg == id->gid && sg == id->gid &&
		(id->stay || getgroups(0, NULL) == 0) &&
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

void
priv_drop(const struct identity *id)
{
	struct __user_cap_data_struct none[2] = {{0}, {0}};

	become(id);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (capabilities(SYS_capset, none) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		log_fatal("cannot drop privileges: %s", strerror(errno));
	/* no process of this uid may ptrace us or read our memory: prctl(2) */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_fatal("cannot drop privileges: %s", strerror(errno));
	if (!has_dropped(id))
		log_fatal("still privileged after dropping privileges");
	if (!id->stay && id->uid != 0 && setuid(0) != -1)
		log_fatal("setuid(0) still succeeds after dropping privileges");
}
