/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions of a group and their records, in numbers that are the same for every server.
 */
#include "vapi.h"

/* Whether -b, -c and -E let a transaction pass, as they do in varnishlog: what is neither a request nor a fetch passes only without them. */
static int
is_shown(const struct va_log *log, const struct VSL_transaction *one)
{
	if (!log->b_opt && !log->c_opt)
		return (1);
	switch (one->type) {
	case VSL_t_req: return (log->c_opt && (one->reason != VSL_r_esi || log->E_opt));
	case VSL_t_bereq: return (log->b_opt);
	case VSL_t_raw: return (1);
	default: return (0);
	}
}

/* The transaction in place `at`: 1; 0 if it is not to be shown, and -1 behind the last one. */
int
va_transaction(const struct va_log *log, struct VSL_transaction *const *group, size_t at, struct va_transaction *out)
{
	const struct VSL_transaction *one = group[at];

	if (one == NULL)
		return (-1);
	if (!is_shown(log, one))
		return (0);
	out->vxid = one->vxid;
	out->parent = one->vxid_parent;
	out->level = one->level < 0 ? 0 : (uint32_t)one->level;
	switch (one->type) {
	case VSL_t_sess: out->kind = 1; break;
	case VSL_t_req: out->kind = 2; break;
	case VSL_t_bereq: out->kind = 3; break;
	case VSL_t_raw: out->kind = 4; break;
	default: out->kind = 0; break;
	}
	switch (one->reason) {
	case VSL_r_http_1: out->reason = 1; break;
	case VSL_r_rxreq: out->reason = 2; break;
	case VSL_r_esi: out->reason = 3; break;
	case VSL_r_restart: out->reason = 4; break;
	case VSL_r_pass: out->reason = 5; break;
	case VSL_r_fetch: out->reason = 6; break;
	case VSL_r_bgfetch: out->reason = 7; break;
	case VSL_r_pipe: out->reason = 8; break;
	default: out->reason = 0; break;
	}
	out->cursor = one->c;
	return (1);
}

void
va_record_read(const uint32_t *record, struct va_record *out)
{
	unsigned len = VSL_LEN(record);

	out->tag = (uint8_t)VSL_TAG(record);
	out->text = VSL_CDATA(record);
	/* The length counts the NUL of a text. */
	if (len > 0 && (VSL_tagflags[out->tag] & SLT_F_BINARY) == 0)
		len--;
	out->len = len;
	out->side = VSL_CLIENT(record) ? 1 : VSL_BACKEND(record) ? 2 : 0;
}

/* The transaction's next record whose tag is wanted, not 0 in `wanted`; 0 if there is none. */
int
va_record_next(const struct VSL_cursor *cursor, const uint8_t *wanted, struct va_record *out)
{
	while (VSL_Next(cursor) == vsl_more) {
		if (wanted[VSL_TAG(cursor->rec.ptr) & 0xff] == 0)
			continue;
		va_record_read(cursor->rec.ptr, out);
		return (1);
	}
	return (0);
}

void
va_record_rewind(const struct VSL_cursor *cursor)
{
	(void)VSL_ResetCursor(cursor);
}

/* NULL for a number that no record has. */
const char *
va_tag_name(unsigned tag)
{
	return (tag < SLT__MAX ? VSL_tags[tag] : NULL);
}
