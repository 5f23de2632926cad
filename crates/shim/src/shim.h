/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Rust may ask of varnishd. Everything struct-shaped of the server stays on the C side; what
 * crosses are pointers Rust does not look into, numbers, and the structs below, which are ours.
 * Rust's face of each declaration is in the .rs file of the same noun.
 */
#ifndef SHIM_H_INCLUDED
#define SHIM_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"
#include "vcl.h"

/* Rust's own functions: hidden here, hidden in the module. */
#pragma GCC visibility push(hidden)

/* Where a call comes from. */
enum vx_side { VX_SIDE_CLI = 0, VX_SIDE_CLIENT = 1, VX_SIDE_BACKEND = 2 };

/* VSL tags by meaning: the servers number them differently. */
enum vx_tag { VX_TAG_LOG = 0, VX_TAG_VCL_ERROR = 1, VX_TAG_ERROR = 2 };

/* The four messages of a task. */
enum vx_message { VX_REQ = 0, VX_RESP = 1, VX_BEREQ = 2, VX_BERESP = 3 };

/* The server's `txt`: a text without NUL, both NULL if the slot is unused. */
struct vx_text {
	const char	*begin;
	const char	*end;
};

/* What is known of the task at the call. Unknown texts are NULL, unknown times 0. */
struct vx_facts {
	const char	*method;	/* VCL sub, as in vcl_recv, "" outside of one */
	const char	*vcl;		/* name of the VCL */
	const char	*backend;	/* name of the backend reached, else of the director asked for */
	double		first;		/* when the task began, seconds since the epoch */
	double		previous;	/* its last Timestamp record */
	uint64_t	xid;
	uint32_t	side;		/* enum vx_side */
	uint32_t	restarts;
	uint32_t	retries;
	uint32_t	esi_level;
	uint32_t	has_response;	/* the sub works on a response: resp or beresp is valid */
	uint32_t	background;	/* a background fetch */
	uint32_t	tls;		/* PROXY's TLVs say that the client used TLS */
};

/* The few facts that are asked for in each task. */
struct vx_place {
	uint64_t	xid;
	uint32_t	side;		/* enum vx_side */
	uint32_t	in_sub;		/* a VCL sub runs */
};

/* What the cache does, or did, for a task. */
enum vx_cache {
	VX_CACHE_UNKNOWN = 0, VX_CACHE_HIT = 1, VX_CACHE_MISS = 2, VX_CACHE_PASS = 3, VX_CACHE_HITMISS = 4,
	VX_CACHE_HITPASS = 5, VX_CACHE_SYNTH = 6, VX_CACHE_PIPE = 7
};

/* What the server tells of the cache's part in a task. Unknown texts are NULL, unknown times and numbers 0. */
struct vx_story {
	const char	*storage;	/* where the object is, or is going to be */
	const char	*listener;	/* name of the -a that the client came by */
	const char	*endpoint;	/* its address */
	struct vx_text	tls_version;	/* of PROXY's TLVs */
	struct vx_text	tls_cipher;
	double		complete;	/* when the headers of request or backend response were there */
	double		accepted;	/* when the connection was */
	double		ttl;		/* of the object, in seconds; with has_times only */
	double		grace;
	double		keep;
	double		age;
	uint64_t	hits;
	uint64_t	session;	/* xid of the connection */
	uint64_t	request_header_bytes;
	uint64_t	request_body_bytes;
	uint64_t	response_header_bytes;
	uint64_t	response_body_bytes;
	uint32_t	cache;		/* enum vx_cache */
	uint32_t	has_times;
};

/* The object a task is about, for a director. */
struct vx_object {
	const uint8_t	*digest;	/* DIGEST_LEN bytes, NULL where vcl_hash has not run */
	const void	*reached;	/* the backend of the last attempt that reached one; see vx_object_of() */
	uint64_t	xid;		/* of the attempt: a retry gives the task another one */
	uint32_t	side;
	uint32_t	attempt_over;	/* in vcl_backend_response or vcl_backend_error */
	uint32_t	failed;		/* in vcl_backend_error */
	uint32_t	fetching;	/* asked for a fetch or a pipe, not for VCL of the client side */
	uint32_t	in_sub;		/* a VCL sub runs: not the server's own way to the backend */
};

/* What is known of the request's body while it was sent to the backend. */
enum vx_upload {
	VX_UPLOAD_NONE = 0, VX_UPLOAD_SENT = 1, VX_UPLOAD_CLIENT_FAILED = 2, VX_UPLOAD_CACHE_FAILED = 3, VX_UPLOAD_BROKEN = 4
};

/* How an attempt came to its end, as far as the server still knows. Unknown texts are NULL. */
struct vx_ending {
	const char	*texts[3];	/* of FetchError, the newest first, of the last connection */
	const char	*vcl_error;	/* of VCL_Error, of the last connection */
	const char	*error;		/* of Error, after the response's headers */
	uint32_t	response;	/* there was a response */
	uint32_t	failed;		/* and its body could not be fetched */
	uint32_t	abandoned;	/* or was not wanted any more by the one client it was for */
	uint32_t	reused;		/* the last connection had served another fetch */
	uint32_t	upload;		/* enum vx_upload */
};

/* What backend.set_health said of a director. */
enum vx_admin { VX_ADMIN_AUTO = 0, VX_ADMIN_HEALTHY = 1, VX_ADMIN_SICK = 2 };

/* What came of reading a request's body. */
enum vx_body {
	VX_BODY_READ = 0,
	VX_BODY_NONE = 1,		/* there is none */
	VX_BODY_TAKEN = 2,		/* somebody has read it before */
	VX_BODY_TOO_LARGE = 3,
	VX_BODY_LATE = 4,
	VX_BODY_CLIENT_FAILED = 5,	/* gone, silent, malformed: the server closes the connection without an answer */
	VX_BODY_CACHE_FAILED = 6	/* no storage */
};

/* How much of a body, and for how long. */
struct vx_bounds {
	uint64_t	keep;		/* bytes; one that declares more is not read at all */
	uint64_t	read;		/* one of unknown length that turns out to be longer is read up to so many bytes */
	double		seconds;
};

/* A record of a task's log. */
struct vx_record {
	const char	*text;
	uint32_t	len;		/* without the NUL */
	uint32_t	tag;		/* the server's number, see vx_tag_name() */
};

typedef void vx_task_free_f(VRT_CTX, void *);
typedef void vx_vcl_free_f(void *);
typedef int vx_piece_f(void *to, const void *piece, size_t len);	/* 0 to go on */

/* task.c */
void vx_setup(vx_task_free_f *, vx_vcl_free_f *);
double vx_now(VRT_CTX);
void vx_facts_of(VRT_CTX, struct vx_facts *);
void vx_place_of(VRT_CTX, struct vx_place *);
void vx_object_of(VRT_CTX, struct vx_object *);
const struct vx_text *vx_http_fields(VRT_CTX, uint32_t message, size_t *n, uint32_t *status);
size_t vx_client_ip(VRT_CTX, unsigned char address[16]);
const char *vx_identity(VRT_CTX);
const char *vx_server(void);
void vx_log(VRT_CTX, uint32_t tag, const char *text, size_t len);
void vx_fail(VRT_CTX, const char *text);
const char *vx_ws_copy(VRT_CTX, const char *text, size_t len);
VCL_BLOB vx_blob(VRT_CTX, const void *bytes, size_t len);
VCL_BLOB vx_no_blob(void);
void *vx_task_get(VRT_CTX, const void *id);
struct vmod_priv *vx_task_set(VRT_CTX, const void *id, void *state);
void vx_task_end(struct vmod_priv *);
void *vx_note_get(VRT_CTX, const void *id);
void *vx_note_make(VRT_CTX, const void *id, size_t size);
void *vx_vcl_get(const struct vmod_priv *);
void vx_vcl_set(struct vmod_priv *, void *state);
int vx_atexit(void (*)(void));

/* log.c */
const uint32_t *vx_log_of(VRT_CTX, const uint32_t **end);
int vx_log_next(const uint32_t **at, const uint32_t *end, const uint8_t *wanted, struct vx_record *);
const uint32_t *vx_log_tail(const uint32_t *begin, const uint32_t *end, size_t words);
const char *vx_tag_name(uint32_t tag);
/* fetch_error.c */
const char *vx_fetch_error(VRT_CTX);
/* ending.c */
void vx_ending_of(VRT_CTX, struct vx_ending *);
void vx_body_ending_of(VRT_CTX, struct vx_ending *);
int vx_body_comes(VRT_CTX);
/* facts.c */
void vx_story_of(VRT_CTX, int tls, struct vx_story *);
int vx_request_body(VRT_CTX, uint8_t *buf, size_t size, uint64_t *len);

/* body.c */
uint32_t vx_body_read(VRT_CTX, const struct vx_bounds *, vx_piece_f *, void *to);
void vx_body_leave(VRT_CTX, uint64_t most);
int vx_body_socket(VRT_CTX);
void vx_socket_end(int fd);

/* digest.c */
void vx_digest_of_key(const char *key, size_t len, uint8_t *digest);

/* counters.c */
void vx_counters_show(const struct vsc_seg *, unsigned shown);

/* endpoint.c */
void vx_endpoint_digest(VCL_BACKEND, uint8_t *digest);

/* director.c */
struct vx_director;
struct vx_director_calls {
	unsigned	(*healthy)(VRT_CTX, void *, double *changed);
	unsigned	(*admits)(VRT_CTX, void *, uint32_t behind);
	void		(*serves)(VRT_CTX, void *, VCL_BACKEND reached);
	void		(*list)(VRT_CTX, void *, struct vsb *, int details, int json);
	void		(*destroy)(void *);
};
struct vx_director *vx_director_new(VRT_CTX, const char *name, VCL_BACKEND,
    const struct vx_director_calls *, void *state);
void vx_director_retire(struct vx_director *);
uint32_t vx_director_admin(const struct vx_director *);
void vx_director_changed(const struct vx_director *, double when);
VCL_BACKEND vx_director_face(const struct vx_director *);
unsigned vx_backend_leads_on(VCL_BACKEND);
void vx_backend_explore(VRT_CTX, VCL_BACKEND);
const char *vx_backend_name(VCL_BACKEND);
unsigned vx_backend_healthy(VRT_CTX, VCL_BACKEND, double *changed);
void vx_vsb_write(struct vsb *, const char *text, size_t len);

#pragma GCC visibility pop

#endif
