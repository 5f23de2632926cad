/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the whole body of a client's request in vcl_recv, within bounds. The server's own way to it (VRB_Iterate) has none: it
 * waits for a byte at a time as long as timeout_idle lets it, and for as many bytes as come.
 *
 * On the request's thread. Afterwards the body is gone, unless the server has a copy: whoever asks for it next, a fetch too, finds none.
 */
/* For the server's headers, too. */
#include <string.h>
#include <sys/socket.h>

#include "shim.h"
#include "cache/cache_filter.h"
#include "vtim.h"

struct reading {
	vx_piece_f		*take;
	void			*to;
	const struct vx_bounds	*bounds;
	double			end;
	uint64_t		len;
	enum vx_body		is;
};

static int
one_piece(void *priv, unsigned flush, const void *ptr, ssize_t len)
{
	struct reading *r = priv;

	(void)flush;
	/* Newer servers say the end of a body without a byte. */
	if (len <= 0)
		return (0);
	r->len += (uint64_t)len;
	if (r->len > r->bounds->keep) {
		/* What is read to its end can be answered, and the connection lives on. */
		r->is = VX_BODY_TOO_LARGE;
		return (r->len > r->bounds->read ? -1 : 0);
	}
	if (VTIM_mono() > r->end) {
		r->is = VX_BODY_LATE;
		return (-1);
	}
	return (r->take(r->to, ptr, (size_t)len));
}

/* How a read has failed that nobody has ended on purpose. */
static enum vx_body
failure_of(const struct req *req)
{
	const struct vfp_ctx *vfc = req->vfc;

	if (vfc != NULL && vfc->vfp_nxt != NULL && vfc->vfp_nxt->closed == VFP_ERROR)
		return (VX_BODY_CLIENT_FAILED);
	return (VX_BODY_CACHE_FAILED);
}

/* The request says no more that there is a body: a backend that were told so would wait for it. */
static void
forget_body(struct req *req)
{
	struct http *copies[2] = { req->http0, req->http };
	size_t i;

	for (i = 0; i < 2; i++) {
		http_Unset(copies[i], H_Content_Length);
		http_Unset(copies[i], H_Transfer_Encoding);
	}
}

/* Has the connection closed after the answer; without a body in it a stream of HTTP/2 ends anyway. */
static void
close_after(struct req *req, stream_close_t reason)
{
	if (req->doclose == SC_NULL)
		req->doclose = reason;
}

/* Whether the request says that its body is so long, or does not say it. */
static int
declares_at_most(const struct req *req, uint64_t most)
{
	ssize_t said = http_GetContentLength(req->http0);

	return (req->req_body_status->length_known && said >= 0 && (uint64_t)said <= most);
}

/* Nothing of it is read if its length alone is too much. */
static int
is_too_long(struct req *req, const struct vx_bounds *bounds)
{
	uint64_t len;

	if (req->req_body_status == BS_CACHED) {
		/* Has been read: no harm is done. */
		return (ObjGetU64(req->wrk, req->body_oc, OA_LEN, &len) == 0 && len > bounds->keep);
	}
	if (!req->req_body_status->length_known || declares_at_most(req, bounds->keep))
		return (0);
	/* It is not asked for either. */
	req->want100cont = 0;
	close_after(req, SC_RX_OVERFLOW);
	return (1);
}

uint32_t
vx_body_read(VRT_CTX, const struct vx_bounds *bounds, vx_piece_f *take, void *to)
{
	struct reading r = { take, to, bounds, 0, 0, VX_BODY_READ };
	struct req *req = ctx->req;
	int was_cached;

	if (req == NULL || req->req_body_status == NULL || req->req_body_status == BS_NONE)
		return (VX_BODY_NONE);
	if (req->req_body_status == BS_TAKEN)
		return (VX_BODY_TAKEN);
	if (req->req_body_status == BS_ERROR)
		return (VX_BODY_CLIENT_FAILED);
	if (is_too_long(req, bounds))
		return (VX_BODY_TOO_LARGE);
	was_cached = req->req_body_status == BS_CACHED;
	r.end = VTIM_mono() + bounds->seconds;
	if (VRB_Iterate(req->wrk, ctx->vsl, req, one_piece, &r) == 0 && r.is == VX_BODY_READ) {
		if (!was_cached)
			forget_body(req);
		return (VX_BODY_READ);
	}
	if (r.is == VX_BODY_READ)
		r.is = failure_of(req);
	if (was_cached)
		return (r.is);
	forget_body(req);
	/*
	 * The server would close the connection without a word. What it has not read goes with the connection, so there is
	 * nothing against an answer, if there is somebody to get it.
	 */
	if (req->req_body_status == BS_ERROR && r.is != VX_BODY_CLIENT_FAILED) {
		req->req_body_status = BS_TAKEN;
		close_after(req, SC_RX_BODY);
	}
	return (r.is);
}

/*
 * The request is answered without a look at its body. The server would read that first, whatever its length: it does so only with one that
 * is known to be as short, or that is read already.
 */
void
vx_body_leave(VRT_CTX, uint64_t most)
{
	struct req *req = ctx->req;

	if (req == NULL || req->req_body_status == NULL || req->req_body_status->avail != 1 || declares_at_most(req, most))
		return;
	req->want100cont = 0;
	close_after(req, SC_RX_OVERFLOW);
}

/*
 * The socket of a client whose body may hold its thread for ever, -1 if it cannot: chunks may be led by white space without end, and a
 * stream may have empty frames, which the server reads without telling anybody.
 */
int
vx_body_socket(VRT_CTX)
{
	const struct req *req = ctx->req;

	if (req == NULL || req->req_body_status == NULL || req->req_body_status->avail != 1)
		return (-1);
	if (req->req_body_status == BS_LENGTH && req->http0->protover < 20)
		return (-1);
	return (req->sp->fd);
}

/* Ends what a client sends; its thread, which has the socket, finds out. */
void
vx_socket_end(int fd)
{
	(void)shutdown(fd, SHUT_RD);
}
