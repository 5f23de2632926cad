/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records that a task has logged so far.
 *
 * They are in the task's own buffer until the server moves them to the shared log: when the buffer is
 * full, and when the transaction ends, of which a restart or a retry begins a new one. What is gone from
 * the buffer cannot be had back. How a record is laid out differs between servers; vapi/vsl_int.h, which
 * cache.h includes, knows.
 */
#include "shim.h"

/* NULL outside of a task. In vcl_pipe both are there: the task is the client's. */
const uint32_t *
vx_log_of(VRT_CTX, const uint32_t **end)
{
	const struct vsl_log *log = NULL;

	if (ctx->req != NULL)
		log = ctx->req->vsl;
	else if (ctx->bo != NULL)
		log = ctx->bo->vsl;
	*end = log == NULL ? NULL : log->wlp;
	return (log == NULL ? NULL : log->wlb);
}

/*
 * Takes the next record whose tag is wanted, not zero in `wanted`, and steps behind it; 0 if there is
 * none. Does not trust the lengths: a copy may have been cut.
 */
int
vx_log_next(const uint32_t **at, const uint32_t *end, const uint8_t *wanted, struct vx_record *out)
{
	const uint32_t *record = *at;

	while (record != NULL && end - record > VSL_OVERHEAD && VSL_NEXT(record) <= end) {
		const uint32_t *next = VSL_NEXT(record);
		uint32_t tag = VSL_TAG(record) & 0xff;

		if (wanted[tag] != 0) {
			/* The length counts the NUL. */
			out->text = VSL_CDATA(record);
			out->len = VSL_LEN(record) == 0 ? 0 : VSL_LEN(record) - 1;
			out->tag = tag;
			*at = next;
			return (1);
		}
		record = next;
	}
	*at = end;
	return (0);
}

/* The first record from which on no more than `words` are left. */
const uint32_t *
vx_log_tail(const uint32_t *begin, const uint32_t *end, size_t words)
{
	while (begin != NULL && end - begin > VSL_OVERHEAD && (size_t)(end - begin) > words)
		begin = VSL_NEXT(begin);
	return (begin == NULL || begin > end ? end : begin);
}

/* NULL for a number that no record of a task can have: unused, or of bytes that are no text. */
const char *
vx_tag_name(uint32_t tag)
{
	switch (tag) {
#define SLTM(name, flags, sdesc, ldesc)						\
	case SLT_##name: return (((flags) & (SLT_F_UNUSED | SLT_F_BINARY)) ? NULL : #name);
#include "tbl/vsl_tags.h"
	default:
		return (NULL);
	}
}
