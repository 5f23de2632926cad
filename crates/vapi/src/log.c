/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A log, in shared memory or in a file, and the query that groups its records.
 */
#include <stdlib.h>
#include <string.h>

#include "vapi.h"

struct va_log *
va_log_new(void)
{
	struct va_log *log;

	/*
	 * From 7.2 on the library asks by kill(2) whether the manager lives, and follows no child of one that it cannot see. A manager in
	 * another namespace of processes lives all the same.
	 */
	if (getenv("VSM_NOPID") == NULL && setenv("VSM_NOPID", "1", 1) != 0)
		return (NULL);
	log = calloc(1, sizeof *log);
	if (log == NULL)
		return (NULL);
	log->vsl = VSL_New();
	if (log->vsl == NULL) {
		free(log);
		return (NULL);
	}
	return (log);
}

void
va_log_destroy(struct va_log *log)
{
	va_server_forget_counters(log);
	if (log->vslq != NULL) {
		va_log_close(log);
		VSLQ_Delete(&log->vslq);
	}
	VSL_Delete(log->vsl);
	if (log->vsm != NULL) {
		va_server_release_panic(log);
		VSM_Destroy(&log->vsm);
	}
	free(log);
}

/* What went wrong last, in the library's words. */
const char *
va_log_error(const struct va_log *log)
{
	const char *error = VSL_Error(log->vsl);

	return (error == NULL ? "no diagnostic" : error);
}

/* An option that the library knows; 0 if it is refused. */
int
va_log_arg(struct va_log *log, int opt, const char *arg)
{
	switch (opt) {
	case 'b': log->b_opt = 1; break;
	case 'c': log->c_opt = 1; break;
	case 'E': log->c_opt = log->E_opt = 1; break;
	default: break;
	}
	return (VSL_Arg(log->vsl, opt, arg) == 1);
}

/* The grouping of this name, or the beginning of one: below 0 if there is none, -2 if there is more than one. */
int
va_grouping(const char *name)
{
	switch (VSLQ_Name2Grouping(name, -1)) {
	case VSL_g_session: return (0);
	case VSL_g_request: return (1);
	case VSL_g_vxid: return (2);
	case VSL_g_raw: return (3);
	case -2: return (-2);
	default: return (-1);
	}
}

int
va_log_query(struct va_log *log, unsigned grouping, const char *query)
{
	static const enum VSL_grouping_e groupings[] = { VSL_g_session, VSL_g_request, VSL_g_vxid, VSL_g_raw };

	if (grouping >= sizeof groupings / sizeof *groupings || log->vslq != NULL)
		return (0);
	log->grouping = groupings[grouping];
	log->vslq = VSLQ_New(log->vsl, NULL, log->grouping, query);
	return (log->vslq != NULL);
}

/* A file that varnishlog has written and that was looked through (look.c), or what comes from standard input, `-`. 0 if the library refuses it. */
int
va_log_file(struct va_log *log, const char *name)
{
	struct VSL_cursor *cursor;

	cursor = VSL_CursorFile(log->vsl, name, 0);
	if (cursor == NULL)
		return (0);
	log->cursor = cursor;
	VSLQ_SetCursor(log->vslq, &cursor);
	return (1);
}

/*
 * Begins to read the child's log: at the oldest record that can be read safely, or behind the newest. A server that writes faster than its log is skipped has
 * no newest one: then it is the oldest.
 */
int
va_log_open(struct va_log *log, int from_head, int stop_at_tail)
{
	struct VSL_cursor *cursor;
	unsigned options = VSL_COPT_BATCH;

	va_log_close(log);
	VSL_ResetError(log->vsl);
	log->knows_oldest = 0;
	if (!VSM_Get(log->vsm, &log->memory, VSL_CLASS, NULL) || VSM_Map(log->vsm, &log->memory) != 0) {
		memset(&log->memory, 0, sizeof log->memory);
		return (0);
	}
	if (stop_at_tail)
		options |= VSL_COPT_TAILSTOP;
	cursor = VSL_CursorVSM(log->vsl, log->vsm, from_head ? options : options | VSL_COPT_TAIL);
	if (cursor == NULL && !from_head)
		cursor = VSL_CursorVSM(log->vsl, log->vsm, options);
	if (cursor == NULL) {
		(void)VSM_Unmap(log->vsm, &log->memory);
		return (0);
	}
	log->cursor = cursor;
	VSLQ_SetCursor(log->vslq, &cursor);
	return (1);
}

/* Ends reading; what is under way is dropped. */
void
va_log_close(struct va_log *log)
{
	if (log->cursor != NULL) {
		log->cursor = NULL;
		VSLQ_SetCursor(log->vslq, NULL);
		log->knows_oldest = 0;
	}
	if (log->vsm != NULL && log->memory.b != NULL)
		(void)VSM_Unmap(log->vsm, &log->memory);
}

struct dispatch {
	struct va_log		*log;
	const struct va_sink	*sink;
};

/*
 * Remembers how old what the query keeps in the log's memory can be, which it does not copy while it is in the newest four segments of eight. With each
 * record that it reads it makes sure of that, and copies what is older; the server never writes into the newest six. So from the server's segment
 * before a record was read it follows what may be read after.
 */
static void
remember_oldest(struct va_log *log)
{
	struct VSLC_ptr probe;
	unsigned ahead;

	if (log->vsm == NULL || log->cursor->rec.ptr == NULL)
		return;
	probe = log->cursor->rec;
	/* The server's segment is the first one from which three back is still near enough. */
	for (ahead = 0; ahead < VSL_SEGMENTS; ahead++) {
		probe.priv = log->cursor->rec.priv + ahead - 3;
		if (VSL_Check(log->cursor, &probe) == vsl_check_valid)
			break;
	}
	log->oldest = probe.priv - 1;
	log->knows_oldest = 1;
}

/* Whether what was handed out, or is kept, has not been overwritten. */
int
va_log_intact(const struct va_log *log)
{
	struct VSLC_ptr probe;

	if (!log->knows_oldest)
		return (1);
	probe = log->cursor->rec;
	probe.priv = log->oldest;
	return (VSL_Check(log->cursor, &probe) != vsl_check_e_inval);
}

static int
hand_out(struct VSL_data *vsl, struct VSL_transaction *const group[], void *priv)
{
	const struct va_sink *sink = priv;

	(void)vsl;
	return (sink->group(sink->priv, group) == 0 ? 0 : VA_STOPPED);
}

/*
 * In all groupings but raw the library skips records of no transaction: but its cursor stands on each of them in turn, or on several that were written in one go.
 */
static int
hand_out_records(const struct va_log *log, const struct va_sink *sink)
{
	const uint32_t *at = log->cursor->rec.ptr, *end;
	struct va_record record;

	if (at == NULL)
		return (VA_MORE);
	if (VSL_TAG(at) == SLT__Batch) {
		end = VSL_END(at, VSL_BATCHLEN(at));
		at = VSL_NEXT(at);
	} else
		end = VSL_NEXT(at);
	for (; at < end && VSL_ID(at) == 0; at = VSL_NEXT(at)) {
		va_record_read(at, &record);
		if (sink->record(sink->priv, &record) != 0)
			return (VA_STOPPED);
	}
	return (VA_MORE);
}

/* Reads up to `*steps` records or batches of them; it is then how many it was. */
int
va_log_dispatch(struct va_log *log, unsigned *steps, const struct va_sink *sink)
{
	unsigned most = *steps;
	struct VSLC_ptr last;
	unsigned oldest;
	int status = VA_MORE;

	*steps = 0;
	if (log->cursor == NULL)
		return (vsl_e_abandon);
	while (*steps < most && status == VA_MORE) {
		last = log->cursor->rec;
		oldest = log->oldest;
		remember_oldest(log);
		status = VSLQ_Dispatch(log->vslq, hand_out, (void *)(uintptr_t)sink);
		if (status != VA_MORE) {
			/* Nothing was read, so nothing made sure of. */
			log->oldest = oldest;
			break;
		}
		++*steps;
		if (last.ptr == NULL || VSL_TAG(log->cursor->rec.ptr) != SLT__Batch ||
		    last.ptr != log->cursor->rec.ptr || last.priv != log->cursor->rec.priv) {
			/* Grouping raw stays on a batch for each of its records. */
			status = hand_out_records(log, sink);
		}
	}
	return (status);
}

/*
 * Hands out what is under way, as it is, or drops it if it has been overwritten: then it is not safe to look at. 0 if it was dropped.
 */
int
va_log_flush(struct va_log *log, const struct va_sink *sink)
{
	int is_intact;

	if (log->cursor == NULL)
		return (1);
	is_intact = va_log_intact(log);
	(void)VSLQ_Flush(log->vslq, is_intact ? hand_out : NULL, (void *)(uintptr_t)sink);
	return (is_intact);
}

/* Which record was read last: the number of its part of the log, which only grows, and where it is in the log's memory. 0 if none was, and in a file. */
int
va_log_position(const struct va_log *log, uint32_t *segment, uint64_t *offset)
{
	if (log->memory.b == NULL || log->cursor == NULL || log->cursor->rec.ptr == NULL)
		return (0);
	*segment = log->cursor->rec.priv;
	*offset = (uint64_t)((const char *)log->cursor->rec.ptr - (const char *)log->memory.b);
	return (1);
}

const void *
va_log_memory(const struct va_log *log)
{
	return (log->memory.b);
}
