/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A task as Rust sees it: its messages, its state, its workspace, its log.
 * Called on worker threads and, with neither req nor bo, on the CLI thread; vx_log(NULL, ...) on any.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "shim.h"
#include "vmod_abi.h"
#include "vrt_obj.h"

_Static_assert(sizeof(struct vx_text) == sizeof(txt), "txt is no longer a pair of pointers");
_Static_assert(offsetof(struct vx_text, begin) == offsetof(txt, b), "txt.b moved");
_Static_assert(offsetof(struct vx_text, end) == offsetof(txt, e), "txt.e moved");
_Static_assert(HTTP_HDR_METHOD == 0 && HTTP_HDR_URL == 1 && HTTP_HDR_REASON == 4 && HTTP_HDR_FIRST == 5,
    "the fields of a message are in another order");
_Static_assert(VCL_EVENT_LOAD == 0 && VCL_EVENT_WARM == 1 && VCL_EVENT_DISCARD == 3, "VCL events are numbered anew");

/* The headers for VMODs do not declare it; vmod_proxy uses it too. */
int VPX_tlv(const struct req *, int, const void **, int *);
#define TLV_SSL		0x20
#define TLV_SSL_CLIENT	0x01

/* One more than a vrt_priv of any server here, whose size is private. */
#define PRIV_ROOM	256

static vx_task_free_f *task_free;
static vx_vcl_free_f *vcl_free;

static void
task_fini(VRT_CTX, void *state)
{
	task_free(ctx, state);
}

static void
vcl_fini(VRT_CTX, void *state)
{
	(void)ctx;
	vcl_free(state);
}

static const struct vmod_priv_methods task_methods[1] = {{
	.magic =	VMOD_PRIV_METHODS_MAGIC,
	.type =		"vmod task state",
	.fini =		task_fini,
}};

/*
 * Of a state that has ended. The server clears its task only when all states of all modules have: until then one that
 * ends later may make this one's module ask for its own.
 */
static const struct vmod_priv_methods ended_methods[1] = {{
	.magic =	VMOD_PRIV_METHODS_MAGIC,
	.type =		"vmod task state, ended",
}};

static const struct vmod_priv_methods vcl_methods[1] = {{
	.magic =	VMOD_PRIV_METHODS_MAGIC,
	.type =		"vmod vcl state",
	.fini =		vcl_fini,
}};

void
vx_setup(vx_task_free_f *of_task, vx_vcl_free_f *of_vcl)
{
	task_free = of_task;
	vcl_free = of_vcl;
}

static const char *
method_name(unsigned method)
{
	switch (method) {
#define VCL_MET_MAC(l, u, t, b)	case VCL_MET_##u: return ("vcl_" #l);
#include "tbl/vcl_returns.h"
#undef VCL_MET_MAC
	default:
		return ("");
	}
}

/* In vcl_pipe both are there: it is a sub of the client side. */
static enum vx_side
side_of(VRT_CTX)
{
	if (ctx->req != NULL)
		return (VX_SIDE_CLIENT);
	return (ctx->bo != NULL ? VX_SIDE_BACKEND : VX_SIDE_CLI);
}

static int
client_used_tls(const struct req *req)
{
	const void *tlv;
	int len;

	if (VPX_tlv(req, TLV_SSL, &tlv, &len) != 0 || len < 1)
		return (0);
	return ((*(const uint8_t *)tlv & TLV_SSL_CLIENT) != 0);
}

/* The task's clock, which moves from step to step; 0 outside of a task. */
double
vx_now(VRT_CTX)
{
	if (ctx->req != NULL)
		return (ctx->req->t_prev);
	return (ctx->bo != NULL ? ctx->bo->t_prev : 0);
}

void
vx_facts_of(VRT_CTX, struct vx_facts *out)
{
	const struct director *d = NULL;

	memset(out, 0, sizeof *out);
	out->method = method_name(ctx->method);
	out->side = side_of(ctx);
	if (ctx->vcl != NULL)
		out->vcl = VCL_Name(ctx->vcl);
	if (ctx->vsl != NULL)
		out->xid = (uint64_t)VXID(ctx->vsl->wid);
	out->has_response = (ctx->method & (VCL_MET_DELIVER | VCL_MET_SYNTH |
	    VCL_MET_BACKEND_RESPONSE | VCL_MET_BACKEND_ERROR)) != 0;
	if (out->side == VX_SIDE_CLIENT) {
		d = ctx->req->director_hint;
		out->first = ctx->req->t_first;
		out->previous = ctx->req->t_prev;
		out->restarts = ctx->req->restarts;
		out->esi_level = ctx->req->esi_level;
		out->tls = client_used_tls(ctx->req);
	} else if (out->side == VX_SIDE_BACKEND) {
		/*
		 * Stale before the attempt: it still names the attempt before. And so it may after a retry that
		 * found no backend.
		 */
		if (out->has_response && (ctx->method != VCL_MET_BACKEND_ERROR || ctx->bo->retries == 0))
			d = ctx->bo->director_resp;
		if (d == NULL)
			d = ctx->bo->director_req;
		out->first = ctx->bo->t_first;
		out->previous = ctx->bo->t_prev;
		out->retries = ctx->bo->retries;
		out->background = ctx->bo->is_bgfetch;
	}
	if (d != NULL)
		out->backend = d->vcl_name;
}

void
vx_place_of(VRT_CTX, struct vx_place *out)
{
	out->xid = ctx->vsl == NULL ? 0 : (uint64_t)VXID(ctx->vsl->wid);
	out->side = side_of(ctx);
	out->in_sub = ctx->method != 0;
}

/*
 * `reached` is what the server last wrote. It stays over a retry: in vcl_backend_error it may name the
 * backend of an earlier attempt.
 */
void
vx_object_of(VRT_CTX, struct vx_object *out)
{
	memset(out, 0, sizeof *out);
	out->side = side_of(ctx);
	out->xid = ctx->vsl == NULL ? 0 : (uint64_t)VXID(ctx->vsl->wid);
	out->fetching = ctx->bo != NULL;
	out->in_sub = ctx->method != 0;
	if (out->side == VX_SIDE_CLIENT) {
		/* After a failure, vcl_hash may not have run: the digest may be that of an earlier request. */
		if (!(ctx->method & (VCL_MET_RECV | VCL_MET_HASH)) && ctx->req->doclose != SC_VCL_FAILURE)
			out->digest = ctx->req->digest;
	} else if (out->side == VX_SIDE_BACKEND) {
		out->digest = ctx->bo->digest;
		out->reached = ctx->bo->director_resp;
		out->failed = ctx->method == VCL_MET_BACKEND_ERROR;
		out->attempt_over = out->failed || ctx->method == VCL_MET_BACKEND_RESPONSE;
	}
}

const struct vx_text *
vx_http_fields(VRT_CTX, uint32_t message, size_t *n, uint32_t *status)
{
	const struct http *http = NULL;

	switch (message) {
	case VX_REQ:	http = ctx->http_req; break;
	case VX_RESP:	http = ctx->http_resp; break;
	case VX_BEREQ:	http = ctx->http_bereq; break;
	case VX_BERESP:	http = ctx->http_beresp; break;
	default: break;
	}
	*n = 0;
	*status = 0;
	if (http == NULL || http->hd == NULL)
		return (NULL);
	*n = http->nhd;
	*status = http->status;
	return ((const struct vx_text *)http->hd);
}

/* In network order; how many bytes it has, 0 if there is none. */
size_t
vx_client_ip(VRT_CTX, unsigned char address[16])
{
	const unsigned char *bytes;
	VCL_IP ip;
	size_t len;
	int family;

	if (ctx->sp == NULL)
		return (0);
	ip = VRT_r_client_ip(ctx);
	if (ip == NULL)
		return (0);
	family = VRT_VSA_GetPtr(ctx, ip, &bytes);
	if (family != AF_INET && family != AF_INET6)
		return (0);
	/* A unix socket has no address: varnishd says 0.0.0.0, which no client can have. */
	if (family == AF_INET && memcmp(bytes, "\0\0\0\0", 4) == 0)
		return (0);
	len = family == AF_INET ? 4 : 16;
	memcpy(address, bytes, len);
	return (len);
}

const char *
vx_identity(VRT_CTX)
{
	return (VRT_r_server_identity(ctx));
}

/* "$ABI strict" makes sure that the running server is the one of the headers. */
const char *
vx_server(void)
{
	return (VMOD_ABI_Version);
}

void
vx_log(VRT_CTX, uint32_t tag, const char *text, size_t len)
{
	enum VSL_tag_e slt;

	switch (tag) {
	case VX_TAG_LOG:	slt = SLT_VCL_Log; break;
	case VX_TAG_VCL_ERROR:	slt = SLT_VCL_Error; break;
	default:		slt = SLT_Error; break;
	}
	if (ctx != NULL && ctx->vsl != NULL)
		VSLb(ctx->vsl, slt, "%.*s", (int)len, text);
	else
#ifdef NO_VXID
		VSL(slt, NO_VXID, "%.*s", (int)len, text);
#else
		VSL(slt, 0, "%.*s", (int)len, text);
#endif
}

VCL_BLOB
vx_no_blob(void)
{
	return (vrt_null_blob);
}

void
vx_fail(VRT_CTX, const char *text)
{
	VRT_fail(ctx, "%s", text);
}

/* A failed allocation would mark the workspace and with it fail the request: looks first. */
static int
has_room(struct ws *ws, size_t size)
{
	unsigned room;

	if (ws == NULL)
		return (0);
	room = WS_ReserveAll(ws);
	WS_Release(ws, 0);
	return (room >= size);
}

const char *
vx_ws_copy(VRT_CTX, const char *text, size_t len)
{
	char *copy;

	if (ctx->ws == NULL)
		return (NULL);
	/* Unlike an allocation that fails, a reservation of what there is marks nothing. */
	if (WS_ReserveAll(ctx->ws) <= len) {
		WS_Release(ctx->ws, 0);
		return (NULL);
	}
	copy = WS_Reservation(ctx->ws);
	memcpy(copy, text, len);
	copy[len] = '\0';
	WS_Release(ctx->ws, (unsigned)len + 1);
	return (copy);
}

/* Lends bytes that live as long as the task to VCL; NULL without room, and nothing marked. */
VCL_BLOB
vx_blob(VRT_CTX, const void *bytes, size_t len)
{
	struct vrt_blob *blob;

	/* An allocation is rounded up. */
	if (!has_room(ctx->ws, 2 * sizeof *blob))
		return (NULL);
	blob = WS_Alloc(ctx->ws, sizeof *blob);
	if (blob == NULL)
		return (NULL);
	memset(blob, 0, sizeof *blob);
#ifdef VRT_BLOB_MAGIC
	blob->magic = VRT_BLOB_MAGIC;
#endif
	blob->blob = bytes;
	blob->len = len;
	return (blob);
}

/*
 * Where the task's privates are. In vcl_pipe, ctx->ws is the busy object's, which ends before the request
 * whose privates these are: the request's own serves.
 */
static struct ws *
private_ws(VRT_CTX)
{
	return (ctx->req != NULL ? ctx->req->ws : ctx->ws);
}

/* The task's private of this id, made if need be, with `more` bytes to spare; NULL without room. */
static struct vmod_priv *
task_priv(VRT_CTX, const void *id, size_t more)
{
	struct vmod_priv *priv;
	struct vrt_ctx own;

	priv = VRT_priv_task_get(ctx, id);
	if (priv != NULL)
		return (priv);
	own = *ctx;
	own.ws = private_ws(ctx);
	if (!has_room(own.ws, PRIV_ROOM + more))
		return (NULL);
	return (VRT_priv_task(&own, id));
}

void *
vx_task_get(VRT_CTX, const void *id)
{
	const struct vmod_priv *priv = VRT_priv_task_get(ctx, id);

	return (priv == NULL ? NULL : priv->priv);
}

/* Where the state is from now on; NULL without room, and where one has ended already: nobody would end another one. */
struct vmod_priv *
vx_task_set(VRT_CTX, const void *id, void *state)
{
	struct vmod_priv *priv = task_priv(ctx, id, 0);

	if (priv == NULL || priv->methods == ended_methods)
		return (NULL);
	priv->priv = state;
	priv->methods = task_methods;
	return (priv);
}

/* The state that is here ends: it cannot be had any more. */
void
vx_task_end(struct vmod_priv *priv)
{
	priv->priv = NULL;
	priv->methods = ended_methods;
}

/*
 * A note is `size` zeroed bytes on the workspace that the task's privates are on: it goes with them, and
 * nothing is called at its end.
 */
void *
vx_note_get(VRT_CTX, const void *id)
{
	return (vx_task_get(ctx, id));
}

/* NULL without room. */
void *
vx_note_make(VRT_CTX, const void *id, size_t size)
{
	struct vmod_priv *priv = task_priv(ctx, id, size);
	struct ws *ws = private_ws(ctx);

	if (priv == NULL)
		return (NULL);
	/* With the private there already, nobody has looked for room yet. */
	if (priv->priv == NULL && has_room(ws, size)) {
		priv->priv = WS_Alloc(ws, (unsigned)size);
		if (priv->priv != NULL)
			memset(priv->priv, 0, size);
	}
	return (priv->priv);
}

void *
vx_vcl_get(const struct vmod_priv *priv)
{
	return (priv->priv);
}

void
vx_vcl_set(struct vmod_priv *priv, void *state)
{
	priv->priv = state;
	priv->methods = vcl_methods;
}

int
vx_atexit(void (*handler)(void))
{
	return (atexit(handler) == 0);
}
