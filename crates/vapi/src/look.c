/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is in a log file, before the library groups it. It believes what it finds: it asserts that a transaction's number is one, and that one does
 * not begin again as what the query does not want, reads a batch as long as it says it is, behind the end of the map as well, and goes round in transactions
 * that are each other's for good. What it would make of each record is in vsl_dispatch.c.
 */
#include <sys/stat.h>

#include <string.h>

#include "vapi.h"

/* NULL if it is no regular file, or none that the library reads: it says so itself. What comes in a pipe cannot be looked through. */
struct VSL_cursor *
va_look_open(struct va_log *log, const char *name)
{
	struct VSL_cursor *cursor;
	struct stat about;

	if (stat(name, &about) != 0 || !S_ISREG(about.st_mode))
		return (NULL);
	cursor = VSL_CursorFile(log->vsl, name, 0);
	VSL_ResetError(log->vsl);
	return (cursor);
}

void
va_look_close(struct VSL_cursor *cursor)
{
	VSL_DeleteCursor(cursor);
}

/* What a Begin or a Link says, read as the library does; zero and empty is what it does not. */
struct said {
	char		type[16];
	uintmax_t	number;
	char		reason[16];
	uintmax_t	level;
};

static int
said_read(const uint32_t *at, struct said *said)
{
	memset(said, 0, sizeof *said);
	if (memchr(VSL_CDATA(at), '\0', VSL_LEN(at)) == NULL)
		return (VA_LOOK_TEXT);
	(void)sscanf(VSL_CDATA(at), "%15s %ju %15s %ju", said->type, &said->number, said->reason, &said->level);
	return (said->number > VSL_IDENTMASK ? VA_LOOK_NUMBER : VA_LOOK_NOTHING);
}

/* Whether all is there, and of a kind that is known. */
static int
is_request(const struct said *said)
{
	return (*said->reason != '\0' &&
	    (strcmp(said->type, "req") == 0 || strcmp(said->type, "bereq") == 0 || strcmp(said->type, "raw") == 0));
}

/* Whether the query wants a transaction that begins like this; and of which one it is, as far as the query cares. */
static int
begin_read(const struct va_log *log, const uint32_t *at, const struct said *said, struct va_look *found)
{
	int is_included;

	found->other = *said->reason == '\0' ? 0 : said->number;
	switch (log->grouping) {
	case VSL_g_session:
		return (VA_LOOK_BEGIN);
	case VSL_g_request:
		if (strcmp(said->type, "req") == 0 && strcmp(said->reason, "rxreq") == 0)
			found->other = 0;
		break;
	default:
		/* What servers do not agree on: whether what says little, or is included, is skipped. */
		found->other = 0;
		if ((log->b_opt || log->c_opt) && ((!log->b_opt && !VSL_CLIENT(at)) || (!log->c_opt && !VSL_BACKEND(at))))
			return (VA_LOOK_SKIPPED);
		is_included = strcmp(said->reason, "esi") == 0 || said->level > 0;
		return (is_request(said) && (log->E_opt || !is_included) ? VA_LOOK_BEGIN : VA_LOOK_MAYBE);
	}
	return (is_request(said) ? VA_LOOK_BEGIN : VA_LOOK_SKIPPED);
}

/* The next record that says how transactions belong together, or what is wrong with one. */
int
va_look_next(const struct va_log *log, const struct VSL_cursor *cursor, struct va_look *found)
{
	const uint32_t *at;
	struct said said;
	int what;

	while (VSL_Next(cursor) == vsl_more) {
		at = cursor->rec.ptr;
		if (VSL_TAG(at) == SLT__Batch)
			return (VA_LOOK_BATCH);
		found->one = VSL_ID(at);
		if (found->one == 0 || log->grouping == VSL_g_raw)
			continue;
		switch (VSL_TAG(at)) {
		case SLT_Begin:
			what = said_read(at, &said);
			return (what == VA_LOOK_NOTHING ? begin_read(log, at, &said, found) : what);
		case SLT_Link:
			what = said_read(at, &said);
			if (what != VA_LOOK_NOTHING)
				return (what);
			if (log->grouping == VSL_g_vxid || *said.reason == '\0')
				continue;
			found->other = said.number;
			found->is_passed_over = log->grouping == VSL_g_request && strcmp(said.type, "sess") == 0;
			return (VA_LOOK_LINK);
		case SLT_End:
			return (VA_LOOK_END);
		default:
			break;
		}
	}
	return (VA_LOOK_NOTHING);
}
