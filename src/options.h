/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "addrfilt.h"
#include "listen.h"
#include "policy.h"

#define RUN_DIR "/run/portmap"

/* The command line; portmap.8 explains the options. */
struct options {
	bool foreground;
	bool verbose;
	bool loopback;
	struct listen_config listen;
	struct addrfilt acl;
	enum callit_scope callit;
	bool keep;
	bool no_sandbox;
	const char *user;  /* NULL stands for the default */
	const char *group; /* NULL stands for that of the user */
};

/*
 * Parse the command line.  Wrong use exits with status 2 and one line that says
 * what is wrong; -h and -V print their text and exit.
 */
void options_parse(int argc, char *argv[], struct options *);

#endif
