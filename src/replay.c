/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a journal, strictly: nobody knows what has happened to it.  Knows no
 * files, only what is read from them; allocates nothing by what it reads but
 * entries, of which policy's quotas keep the number.
 */
#include "replay.h"

#include <string.h>

#include "log.h"
#include "policy.h"

enum {
	LINE_MAX_LEN = 128,
	READ_MAX = 64 * 1024 * 1024, /* far beyond any journal of ours */
};

enum replay_record {
	RECORD_MALFORMED,
	RECORD_SET,
	RECORD_UNSET
};

/* Read a number up to `max` and the character behind it. */
static bool
number(const char **p, uint32_t max, char then, uint32_t *value)
{
	uint64_t n = 0;
	const char *start = *p;

	while (**p >= '0' && **p <= '9' && n <= max)
		n = n * 10 + (uint64_t)(*(*p)++ - '0');
	if (*p == start || (*start == '0' && *p != start + 1) || n > max ||
	    **p != then)
		return (false);
	if (then != '\0')
		(*p)++;
	*value = (uint32_t)n;
	return (true);
}

static enum replay_record
parse(const char *line, struct mapping *m)
{
	const char *p;
	uint32_t owner;

	if (strncmp(line, "set ", 4) == 0) {
		p = line + 4;
		if (!number(&p, UINT32_MAX, ' ', &m->prog) ||
		    !number(&p, UINT32_MAX, ' ', &m->vers) ||
		    !number(&p, UINT8_MAX, ' ', &m->prot) ||
		    !number(&p, PORT_MAX, ' ', &m->port))
			return (RECORD_MALFORMED);
		m->owner = OWNER_NONE;
		if (strcmp(p, "-") == 0)
			return (RECORD_SET);
		if (!number(&p, UINT32_MAX - 1, '\0', &owner))
			return (RECORD_MALFORMED);
		m->owner = (uid_t)owner;
		return (RECORD_SET);
	}
	if (strncmp(line, "unset ", 6) == 0) {
		p = line + 6;
		if (number(&p, UINT32_MAX, ' ', &m->prog) &&
		    number(&p, UINT32_MAX, ' ', &m->vers) &&
		    number(&p, UINT8_MAX, '\0', &m->prot))
			return (RECORD_UNSET);
	}
	return (RECORD_MALFORMED);
}

/* The rules that hold without knowing who is asking; see policy_set(). */
static enum why
allowed(const struct table *t, const struct mapping *m)
{
	const struct facts facts = {
	    .same = table_get(t, m->prog, m->vers, m->prot),
	    .bound = BOUND_NO,
	    .holder = true,
	    .all = table_count(t) - TABLE_OWN,
	    .others = table_count_others(t),
	    .own = table_count_owner(t, m->owner),
	};

	return (policy_set(m->owner, m, &facts));
}

/* One line of the journal: NULL, or why it is skipped. */
static const char *
replay_line(struct table *t, const char *line)
{
	struct mapping m = {0};
	enum why why;

	switch (parse(line, &m)) {
	case RECORD_SET:
		why = allowed(t, &m);
		if (why > WHY_SAME)
			return (pmap_whys[why]);
		return (why == WHY_GRANTED && table_put(t, &m) == -1 ? "memory"
								     : NULL);
	case RECORD_UNSET:
		if (m.prog == PMAP_PROG)
			return (pmap_whys[WHY_SELF]);
		table_remove_all(t, m.prog, m.vers, m.prot);
		return (NULL);
	case RECORD_MALFORMED:
		break;
	}
	return ("malformed");
}

/* Is the first line ours?  NULL, or why nothing of it is believed. */
static const char *
judge_header(const char *line, const char *boot)
{
	if (strncmp(line, REPLAY_HEADER, strlen(REPLAY_HEADER)) != 0)
		return ("format");
	/* "-" is every boot whose name is not known */
	if (strcmp(boot, "-") == 0 ||
	    strcmp(line + strlen(REPLAY_HEADER), boot) != 0)
		return ("boot");
	return (NULL);
}

/*
 * A last line without an end was being written when we died; one that is too
 * long, or holds a NUL, is none of ours.
 */
const char *
replay(FILE *f, const char *boot, struct table *t)
{
	char line[LINE_MAX_LEN + 2] = "";
	const char *why;
	size_t used = 0, number_of = 0, total = 0;
	bool whole = true;
	int c;

	while ((c = getc(f)) != EOF && total++ < READ_MAX) {
		if (c != '\n') {
			if (c == '\0' || used > LINE_MAX_LEN)
				whole = false;
			else
				line[used++] = (char)c;
			continue;
		}
		line[used] = '\0';
		number_of++;
		if (number_of == 1) {
			if ((why = whole ? judge_header(line, boot)
					 : "format") != NULL)
				return (why);
		} else if ((why = whole ? replay_line(t, line) : "malformed") !=
			   NULL) {
			log_skipped(number_of, why);
		}
		used = 0;
		whole = true;
	}
	if (number_of == 0 && total > 0)
		return ("format");
	if (c != EOF)
		log_skipped(number_of + 1, "too_long");
	return (NULL);
}
