/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an attempt to fetch came to its end. The server tells its log, in words, and keeps facts that words leave out.
 * Called in vcl_backend_error, in vcl_backend_response, and at the end of a fetch's task, where the fetch's own thread is the only one
 * that still writes to what is read here.
 */
#include <string.h>

#include "shim.h"
#include "cache/cache_filter.h"

/*
 * Until the attempt is past its headers, `req` is there if a body went with it that is not in the cache. The client's thread waits
 * meanwhile. What it read from the client ended with an error at the filter next to whoever reads; of a stream that was reset nothing
 * else tells.
 */
static enum vx_upload
upload_of(const struct busyobj *bo)
{
	const struct req *req = bo->req;
	const struct vfp_ctx *vfc;

	if (req == NULL)
		return (bo->bereq_body != NULL ? VX_UPLOAD_SENT : VX_UPLOAD_NONE);
	if (req->req_body_status == BS_NONE)
		return (VX_UPLOAD_NONE);
	if (req->req_body_status != BS_ERROR)
		return (VX_UPLOAD_SENT);
	vfc = req->vfc;
	if (vfc != NULL && vfc->vfp_nxt != NULL && vfc->vfp_nxt->closed == VFP_ERROR)
		return (VX_UPLOAD_CLIENT_FAILED);
	if (vfc != NULL && vfc->failed)
		return (VX_UPLOAD_CACHE_FAILED);
	return (VX_UPLOAD_BROKEN);
}

static int
begins_with(const char *text, const char *with)
{
	return (strncmp(text, with, strlen(with)) == 0);
}

static int
ends_with(const char *text, const char *with)
{
	size_t len = strlen(text), end = strlen(with);

	return (len >= end && memcmp(text + len - end, with, end) == 0);
}

/*
 * Reads the records of this attempt, which a retry's begin anew, up to where the server gives up. A connection that had been idle may
 * fail and be followed by a fresh one: what was said before the last one, and before a response, led to nothing.
 */
static void
read_log(const struct vsl_log *vsl, struct vx_ending *out)
{
	const uint32_t *record;
	int answered = 0, has_status = 0;

	if (vsl == NULL || vsl->wlb == NULL)
		return;
	for (record = vsl->wlb; record < vsl->wlp; record = VSL_NEXT(record)) {
		const char *text = VSL_CDATA(record);

		switch (VSL_TAG(record)) {
		case SLT_BackendOpen:
			memset(out->texts, 0, sizeof out->texts);
			out->vcl_error = NULL;
			out->reused = ends_with(text, " reuse");
			break;
		case SLT_FetchError:
			out->texts[2] = out->texts[1];
			out->texts[1] = out->texts[0];
			out->texts[0] = text;
			break;
		case SLT_VCL_Error:
			out->vcl_error = text;
			break;
		case SLT_Error:
			if (out->response)
				out->error = text;
			break;
		case SLT_Timestamp:
			/* vcl_backend_error has a response of the server's own. */
			if (begins_with(text, "Error:"))
				return;
			if (begins_with(text, "Beresp:")) {
				answered = 1;
				/* Newer servers log the response before, and nothing in between unless its head is bad. */
				if (has_status && out->texts[0] == NULL)
					out->response = 1;
			}
			break;
		case SLT_BerespStatus:
			has_status = 1;
			if (answered && !out->response) {
				out->response = 1;
				memset(out->texts, 0, sizeof out->texts);
				out->error = NULL;
			}
			break;
		default:
			break;
		}
	}
}

/* Of the attempt that vcl_backend_error is called for. The texts are valid until the task's next record. */
void
vx_ending_of(VRT_CTX, struct vx_ending *out)
{
	const struct busyobj *bo = ctx->bo;

	memset(out, 0, sizeof *out);
	if (bo == NULL)
		return;
	out->upload = upload_of(bo);
	out->failed = bo->vfc != NULL && bo->vfc->failed != 0;
	read_log(ctx->vsl, out);
}

/*
 * At the task's end, of a response whose body was to be fetched. A pass whose client left is cut short without being a failure; its
 * flag is also set when a client has had everything, so it counts only if the body's end never came.
 */
void
vx_body_ending_of(VRT_CTX, struct vx_ending *out)
{
	const struct busyobj *bo = ctx->bo;
	const struct vfp_entry *last;

	memset(out, 0, sizeof *out);
	if (bo == NULL || bo->vfc == NULL)
		return;
	out->failed = bo->vfc->failed != 0;
	if (out->failed)
		read_log(ctx->vsl, out);
	last = bo->vfc->vfp_nxt;
	if (!out->failed && last != NULL && last->closed == VFP_OK && bo->fetch_objcore != NULL)
		out->abandoned = (bo->fetch_objcore->flags & OC_F_CANCEL) != 0;
	out->response = 1;
}

/* In vcl_backend_response: whether a body is still to be fetched, which whoever read the headers has put a filter in place for. */
int
vx_body_comes(VRT_CTX)
{
	return (ctx->bo != NULL && ctx->bo->vfc != NULL && !VTAILQ_EMPTY(&ctx->bo->vfc->vfp));
}
