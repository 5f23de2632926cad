/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Rust sees of libvarnishapi: one opaque struct, numbers and texts.
 *
 * VUT, which the server's own readers share, is not used: it ends the process when something is wrong, and reads on from the end of
 * the log when it was too slow. One thread at a time may use a struct va_log.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "vdef.h"
#include "vapi/vsc.h"
#include "vapi/vsl.h"
#include "vapi/vsm.h"

struct va_log;

/* Numbers that are the same for every server: those of the enums in crates/transaction. */
struct va_transaction {
	uint64_t		vxid;
	uint64_t		parent;
	uint32_t		level;
	uint8_t			kind;
	uint8_t			reason;
	const struct VSL_cursor	*cursor;
};

struct va_record {
	const char		*text;
	uint32_t		len;
	uint8_t			tag;
	uint8_t			side;
};

/* Called while the log is dispatched. A result that is not 0 ends that. */
typedef int va_group_f(void *priv, struct VSL_transaction *const *group);
typedef int va_record_f(void *priv, const struct va_record *);

struct va_sink {
	va_group_f		*group;
	/* For records of no transaction. */
	va_record_f		*record;
	void			*priv;
};

/* How a dispatch ended. Those below zero are the library's own. */
#define VA_MORE		1
#define VA_END		0
#define VA_STOPPED	(-100)

/* log.c */
struct va_log *va_log_new(void);
void va_log_destroy(struct va_log *);
const char *va_log_error(const struct va_log *);
int va_log_arg(struct va_log *, int opt, const char *arg);
int va_log_query(struct va_log *, unsigned grouping, const char *query);
int va_log_file(struct va_log *, const char *name);
int va_log_open(struct va_log *, int from_head, int stop_at_tail);
void va_log_close(struct va_log *);
int va_log_dispatch(struct va_log *, unsigned *steps, const struct va_sink *);
int va_log_flush(struct va_log *, const struct va_sink *);
int va_log_position(const struct va_log *, uint32_t *segment, uint64_t *offset);
const void *va_log_memory(const struct va_log *);
int va_log_intact(const struct va_log *);
int va_grouping(const char *name);

/* look.c */
#define VA_LOOK_NOTHING	0
#define VA_LOOK_BEGIN	1
#define VA_LOOK_LINK	2
#define VA_LOOK_END	3
/* A Begin that the query skips, or may skip. */
#define VA_LOOK_SKIPPED	4
#define VA_LOOK_MAYBE	5
/* Of a file that must not be read. */
#define VA_LOOK_BATCH	(-1)
#define VA_LOOK_NUMBER	(-2)
#define VA_LOOK_TEXT	(-3)

/* A transaction, and the one that it is of (Begin) or that is its own (Link), or zero. */
struct va_look {
	uint64_t		one;
	uint64_t		other;
	/* The other is a session, and the query has none. */
	uint8_t			is_passed_over;
};

struct VSL_cursor *va_look_open(struct va_log *, const char *name);
int va_look_next(const struct va_log *, const struct VSL_cursor *, struct va_look *);
void va_look_close(struct VSL_cursor *);

/* record.c */
int va_transaction(const struct va_log *, struct VSL_transaction *const *group, size_t at, struct va_transaction *);
int va_record_next(const struct VSL_cursor *, const uint8_t *wanted, struct va_record *);
void va_record_rewind(const struct VSL_cursor *);
void va_record_read(const uint32_t *, struct va_record *);
const char *va_tag_name(unsigned tag);

/* server.c */
#define VA_MANAGER	1U
#define VA_CHILD	2U

typedef void va_counter_f(void *priv, const char *name, uint64_t value);

int va_server_name(struct va_log *, const char *name);
int va_server_attach(struct va_log *);
unsigned va_server_status(struct va_log *);
char *va_server_argument(struct va_log *, const char *option);
void va_server_hold_panic(struct va_log *);
void va_server_release_panic(struct va_log *);
int va_server_has_child(const struct va_log *);
const char *va_server_panic(const struct va_log *, size_t *len);
void va_server_count(struct va_log *, const char *const *patterns, size_t n, va_counter_f *, void *priv);
void va_server_forget_counters(struct va_log *);

/* process.c */
int va_process_daemonize(void);
const char *va_process_library(const char *which);
void va_process_trim(void);

/* What the files above share. */
struct va_log {
	struct VSL_data		*vsl;
	/* NULL if a file is read. */
	struct vsm		*vsm;
	struct VSLQ		*vslq;
	/* The query's, which ends it. */
	const struct VSL_cursor	*cursor;
	/* The segment that the cursor reads, held for its address. */
	struct vsm_fantom	memory;
	struct vsm_fantom	panic;
	struct vsc		*vsc;
	/* The oldest segment of the log that what the query keeps may lie in. */
	unsigned		oldest;
	int			knows_oldest;
	int			b_opt, c_opt, E_opt;
	enum VSL_grouping_e	grouping;
};
