/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server whose log it is: whether it is there, what it says of itself, its counters.
 */
#include <stdlib.h>
#include <string.h>

#include "vapi.h"

/* Which instance it is, NULL for the default; 0 if the name is refused. */
int
va_server_name(struct va_log *log, const char *name)
{
	log->vsm = VSM_New();
	if (log->vsm == NULL)
		return (0);
	/* Waiting is not for the library: it cannot be told to stop. */
	if (VSM_Arg(log->vsm, 't', "0") <= 0)
		return (0);
	return (name == NULL || VSM_Arg(log->vsm, 'n', name) > 0);
}

/* Looks once for the manager; 0 if it is not there. Everything else here is for when it was: the library asserts it. */
int
va_server_attach(struct va_log *log)
{
	return (VSM_Attach(log->vsm, -1) == 0);
}

/* Has to be called now and then: only here is it seen that a segment came or went. */
unsigned
va_server_status(struct va_log *log)
{
	unsigned status = VSM_Status(log->vsm);

	VSM_ResetError(log->vsm);
	return ((status & VSM_MGT_RUNNING ? VA_MANAGER : 0) | (status & VSM_WRK_RUNNING ? VA_CHILD : 0));
}

/* Copies a segment; NULL if there is none. VSM_Dup() would assert that one which it has found can be read. */
char *
va_server_argument(struct va_log *log, const char *option)
{
	struct vsm_fantom found;
	char *text = NULL;
	size_t len;

	if (!VSM_Get(log->vsm, &found, "Arg", option) || VSM_Map(log->vsm, &found) != 0)
		return (NULL);
	len = (size_t)((const char *)found.e - (const char *)found.b);
	text = strndup(found.b, len);
	(void)VSM_Unmap(log->vsm, &found);
	return (text);
}

/*
 * Holds the place where the child writes before it dies of a panic. The manager makes a new one for each child, and what is held
 * stays readable after that.
 */
void
va_server_hold_panic(struct va_log *log)
{
	va_server_release_panic(log);
	if (!VSM_Get(log->vsm, &log->panic, "Panic", NULL) || VSM_Map(log->vsm, &log->panic) != 0)
		memset(&log->panic, 0, sizeof log->panic);
}

void
va_server_release_panic(struct va_log *log)
{
	if (log->panic.b != NULL)
		(void)VSM_Unmap(log->vsm, &log->panic);
	memset(&log->panic, 0, sizeof log->panic);
}

/*
 * Whether the child is there whose place is held: the manager gives the place up when it has found it dead. The child's own segments may stay until there
 * is a new one.
 */
int
va_server_has_child(const struct va_log *log)
{
	return (log->panic.b == NULL || VSM_StillValid(log->vsm, &log->panic) == VSM_valid);
}

const char *
va_server_panic(const struct va_log *log, size_t *len)
{
	const char *text = log->panic.b;

	*len = text == NULL ? 0 : strnlen(text, (size_t)((const char *)log->panic.e - text));
	return (text);
}

struct counting {
	va_counter_f		*counter;
	void			*priv;
};

static int
count(void *priv, const struct VSC_point *point)
{
	const struct counting *counting = priv;

	counting->counter(counting->priv, point->name, VSC_Value(point));
	return (0);
}

/* The counters that patterns name; the first call's patterns are those of all, until va_server_forget_counters(). */
void
va_server_count(struct va_log *log, const char *const *patterns, size_t n, va_counter_f *counter, void *priv)
{
	struct counting counting = { counter, priv };

	if (log->vsc == NULL) {
		log->vsc = VSC_New();
		if (log->vsc == NULL)
			return;
		for (size_t at = 0; at < n; at++)
			(void)VSC_Arg(log->vsc, 'I', patterns[at]);
	}
	(void)VSC_Iter(log->vsc, log->vsm, count, &counting);
}

void
va_server_forget_counters(struct va_log *log)
{
	if (log->vsc != NULL)
		VSC_Destroy(&log->vsc, log->vsm);
}
