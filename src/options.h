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
	bool check; /* and do not start */
	bool foreground;
	bool verbose;
	struct listen_config listen;
	struct addrfilt acl;
	enum callit_scope callit;
	bool keep;
	bool no_sandbox;
	const char *user;  /* NULL stands for the default */
	const char *group; /* NULL stands for that of the user */
};

/*
 * Parse the command line.  Wrong use ends in log_wrong_option(); -h and -V
 * print their text and exit.
 */
void options_parse(int argc, char *argv[], struct options *);

#endif
