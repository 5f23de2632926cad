/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the cache did for a task, as the server keeps it by itself: read, never asked for. All names used
 * here are those of every server the module is for. Called on worker threads, and on the CLI thread, which
 * has no task.
 */
#include <stdint.h>
#include <string.h>

#include "shim.h"
#include "vrt_obj.h"

/* The headers for VMODs do not declare it; vmod_proxy uses it too. */
int VPX_tlv(const struct req *, int, const void **, int *);
#define TLV_SSL_VERSION	0x21
#define TLV_SSL_CIPHER	0x23

static uint32_t
pass_or_miss(const struct objcore *oc, unsigned is_hitpass, unsigned is_hitmiss)
{
	/* Fetched for this task alone. */
	if (oc->flags & OC_F_PRIVATE)
		return (is_hitpass ? VX_CACHE_HITPASS : VX_CACHE_PASS);
	return (is_hitmiss ? VX_CACHE_HITMISS : VX_CACHE_MISS);
}

/*
 * The flags of the request tell of the last look-up, so they count only where one has been: before it they
 * may be those from before a restart.
 */
static uint32_t
client_cache(VRT_CTX)
{
	const struct req *req = ctx->req;

	switch (ctx->method) {
	case VCL_MET_HIT:	return (VX_CACHE_HIT);
	case VCL_MET_MISS:	return (req->is_hitmiss ? VX_CACHE_HITMISS : VX_CACHE_MISS);
	case VCL_MET_PASS:	return (req->is_hitpass ? VX_CACHE_HITPASS : VX_CACHE_PASS);
	case VCL_MET_PIPE:	return (VX_CACHE_PIPE);
	case VCL_MET_SYNTH:	return (VX_CACHE_SYNTH);
	case VCL_MET_DELIVER:	break;
	default:		return (VX_CACHE_UNKNOWN);
	}
	if (req->objcore == NULL)
		return (VX_CACHE_UNKNOWN);
	/* After a pass out of vcl_hit is_hit is set, too. */
	if (req->is_hit && !(req->objcore->flags & OC_F_PRIVATE))
		return (VX_CACHE_HIT);
	return (pass_or_miss(req->objcore, req->is_hitpass, req->is_hitmiss));
}

/* A background fetch is for a hit: nobody waits for it. */
static uint32_t
backend_cache(const struct busyobj *bo)
{
	if (bo->is_bgfetch || bo->fetch_objcore == NULL)
		return (VX_CACHE_UNKNOWN);
	return (pass_or_miss(bo->fetch_objcore, bo->is_hitpass, bo->is_hitmiss));
}

/* As obj.ttl and so on: ttl counts from `now`, grace and keep from its end. A private object has none. */
static void
times_of(const struct objcore *oc, double now, struct vx_story *out)
{
	if ((oc->flags & OC_F_PRIVATE) || !(oc->t_origin > 0) || !(now > 0))
		return;
	out->has_times = 1;
	out->age = now - oc->t_origin;
	out->ttl = oc->ttl - out->age;
	out->grace = oc->grace;
	out->keep = oc->keep;
}

static void
tls_text(const struct req *req, int type, struct vx_text *out)
{
	const void *tlv;
	int len;

	if (VPX_tlv(req, type, &tlv, &len) != 0 || len < 1)
		return;
	out->begin = tlv;
	out->end = out->begin + len;
}

static void
client_story(VRT_CTX, int tls, struct vx_story *out)
{
	const struct req *req = ctx->req;
	const struct objcore *oc = req->objcore;

	out->cache = client_cache(ctx);
	out->complete = req->t_req;
	out->request_header_bytes = req->acct.req_hdrbytes;
	out->request_body_bytes = req->acct.req_bodybytes;
	if (tls) {
		tls_text(req, TLV_SSL_VERSION, &out->tls_version);
		tls_text(req, TLV_SSL_CIPHER, &out->tls_cipher);
	}
	/* Elsewhere it may be a busy one, which a fetch is about to fill. */
	if (oc == NULL || !(ctx->method & (VCL_MET_HIT | VCL_MET_DELIVER)))
		return;
	out->storage = VRT_STEVEDORE_string(oc->stobj->stevedore);
	times_of(oc, req->t_req, out);
	out->hits = oc->hits < 0 ? 0 : (uint64_t)oc->hits;
}

static void
backend_story(VRT_CTX, struct vx_story *out)
{
	const struct busyobj *bo = ctx->bo;

	out->cache = backend_cache(bo);
	out->request_header_bytes = bo->acct.bereq_hdrbytes;
	out->request_body_bytes = bo->acct.bereq_bodybytes;
	out->response_header_bytes = bo->acct.beresp_hdrbytes;
	out->response_body_bytes = bo->acct.beresp_bodybytes;
	if (ctx->method != VCL_MET_BACKEND_RESPONSE)
		return;
	out->complete = bo->t_resp;
	out->storage = VRT_STEVEDORE_string(bo->storage);
	if (bo->fetch_objcore != NULL)
		times_of(bo->fetch_objcore, bo->t_resp, out);
}

/* `tls` is what vx_facts_of() has found: without, there is nothing to look for. */
void
vx_story_of(VRT_CTX, int tls, struct vx_story *out)
{
	memset(out, 0, sizeof *out);
	if (ctx->req != NULL)
		client_story(ctx, tls, out);
	else if (ctx->bo != NULL)
		backend_story(ctx, out);
	else
		return;
	if (ctx->sp == NULL)
		return;
	out->session = (uint64_t)VXID(ctx->sp->vxid);
	out->accepted = ctx->sp->t_open;
	out->listener = VRT_r_local_socket(ctx);
	out->endpoint = VRT_r_local_endpoint(ctx);
}

struct body_copy {
	uint8_t		*to;
	size_t		room;
	uint64_t	len;
};

static int
copy_body(void *priv, unsigned flush, const void *ptr, ssize_t len)
{
	struct body_copy *copy = priv;
	size_t n = len < 0 ? 0 : (size_t)len;

	(void)flush;
	copy->len += n;
	if (n > copy->room)
		n = copy->room;
	if (n > 0) {
		memcpy(copy->to, ptr, n);
		copy->to += n;
		copy->room -= n;
	}
	return (0);
}

/*
 * Copies the beginning of the request's body and tells how long all of it is. Only of one that is in the
 * cache, complete: nothing waits here.
 */
int
vx_request_body(VRT_CTX, uint8_t *buf, size_t size, uint64_t *len)
{
	struct body_copy copy = { buf, size, 0 };
	struct objcore *oc = NULL;
	struct worker *wrk = NULL;

	if (ctx->req != NULL && ctx->req->req_body_status == BS_CACHED) {
		oc = ctx->req->body_oc;
		wrk = ctx->req->wrk;
	} else if (ctx->req == NULL && ctx->bo != NULL) {
		oc = ctx->bo->bereq_body;
		wrk = ctx->bo->wrk;
	}
	if (oc == NULL || oc->boc != NULL || wrk == NULL)
		return (0);
	/* An empty one has no storage. */
	if (oc->stobj->stevedore == NULL || ObjIterate(wrk, oc, &copy, copy_body, 0) != 0)
		return (0);
	*len = copy.len;
	return (1);
}
