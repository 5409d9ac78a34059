/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strict, because anything may have happened to the file.  Allocates nothing
 * but entries, whose number policy's quotas bound.
 */
#include "journal_read.h"

#include <string.h>

#include "decimal.h"
#include "log.h"
#include "policy.h"

enum {
	LINE_MAX_LEN = 128,
	READ_MAX = 64 * 1024 * 1024, /* far more than we ever write */
};

enum line {
	LINE_MALFORMED,
	LINE_SET,
	LINE_UNSET
};

const char *
journal_fault_name(enum journal_fault fault)
{
	static const char *const names[JOURNAL_FAULTS] = {
	    [JOURNAL_GOOD] = "good",
	    [JOURNAL_BOOT] = "boot",
	    [JOURNAL_FORMAT] = "format",
	    [JOURNAL_TYPE] = "type",
	    [JOURNAL_OWNER] = "owner",
	    [JOURNAL_MODE] = "mode",
	    [JOURNAL_LINKS] = "links",
	    [JOURNAL_UNREAD] = "unread",
	};

	return (names[fault]);
}

/* Parse a number of at most `max` and the character that must follow it. */
static bool
number(const char **p, uint32_t max, char next, uint32_t *value)
{
	if (!decimal_parse(p, max, value) || **p != next)
		return (false);
	if (next != '\0')
		(*p)++;
	return (true);
}

static enum line
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
			return (LINE_MALFORMED);
		m->owner = UID_UNKNOWN;
		if (strcmp(p, "-") == 0)
			return (LINE_SET);
		if (!number(&p, UINT32_MAX - 1, '\0', &owner))
			return (LINE_MALFORMED);
		m->owner = (uid_t)owner;
		return (LINE_SET);
	}
	if (strncmp(line, "unset ", 6) == 0) {
		p = line + 6;
		if (number(&p, UINT32_MAX, ' ', &m->prog) &&
		    number(&p, UINT32_MAX, ' ', &m->vers) &&
		    number(&p, UINT8_MAX, '\0', &m->prot))
			return (LINE_UNSET);
	}
	return (LINE_MALFORMED);
}

/* Apply the rules of policy_set() that ask nothing. */
static enum verdict
judge(const struct table *t, const struct mapping *m)
{
	/* an entry without an owner can be one of root's server */
	const struct caller caller = {
	    m->owner, m->owner == UID_UNKNOWN ? UID_ROOT : m->owner};
	struct facts facts = {
	    .same = table_lookup(t, m->prog, m->vers, m->prot),
	    .all = table_count(t) - TABLE_SELF,
	    .of_class = table_count_class(t, m->owner),
	    .own = table_count_owner(t, m->owner),
	};
	enum verdict verdict = policy_set(&caller, m, &facts);

	return (verdict == VERDICT_ASK ? VERDICT_OK : verdict);
}

/* Apply one line.  Return NULL, or why it is skipped. */
static const char *
apply(struct table *t, const char *line)
{
	enum verdict verdict;
	struct mapping m = {0};

	switch (parse(line, &m)) {
	case LINE_SET:
		verdict = judge(t, &m);
		if (verdict == VERDICT_OK && table_put(t, &m) == -1)
			verdict = VERDICT_DENY_MEMORY;
		return (verdict_is_ok(verdict) ? NULL : log_verdict(verdict));
	case LINE_UNSET:
		if (m.prog == PMAP_PROG)
			return (log_verdict(VERDICT_DENY_SELF));
		table_remove_all(t, m.prog, m.vers, m.prot);
		return (NULL);
	case LINE_MALFORMED:
		break;
	}
	return ("malformed");
}

static enum journal_fault
judge_header(const char *line, const char *boot)
{
	if (strncmp(line, JOURNAL_HEADER, strlen(JOURNAL_HEADER)) != 0)
		return (JOURNAL_FORMAT);
	/* "-" stands for an unknown boot, which can be any */
	if (strcmp(boot, "-") == 0 ||
	    strcmp(line + strlen(JOURNAL_HEADER), boot) != 0)
		return (JOURNAL_BOOT);
	return (JOURNAL_GOOD);
}

/*
 * A crash can leave a last line without its newline: it is ignored.  A line
 * that is too long or contains a NUL is malformed.
 */
enum journal_fault
journal_read(FILE *f, const char *boot, struct table *t)
{
	enum journal_fault fault;
	char line[LINE_MAX_LEN + 2] = "";
	const char *reason;
	size_t used = 0, line_no = 0, total = 0;
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
		if (++line_no == 1) {
			fault =
			    whole ? judge_header(line, boot) : JOURNAL_FORMAT;
			if (fault != JOURNAL_GOOD)
				return (fault);
		} else {
			reason = whole ? apply(t, line) : "malformed";
			if (reason != NULL)
				log_skipped(line_no, reason);
		}
		used = 0;
		whole = true;
	}
	if (ferror(f))
		return (JOURNAL_UNREAD);
	if (line_no == 0 && total > 0)
		return (JOURNAL_FORMAT);
	if (c != EOF)
		log_skipped(line_no + 1, "too_long");
	return (JOURNAL_GOOD);
}
