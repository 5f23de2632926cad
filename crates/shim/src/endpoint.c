/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a backend leads to, as a digest: the same for the same address, in whichever VCL.
 *
 * No call of the server's tells that of a backend without a connection but VDI_Panic(), and that one only
 * once: it lists what it has shown, without a lock. So it is read as the server itself does to find
 * backends that share connections. Called on the CLI thread.
 */
#include <string.h>
#include <sys/socket.h>

#include "shim.h"
#include "cache/cache_backend.h"
#include "cache/cache_director.h"
#include "vsa.h"
#include "vsha256.h"

static void
add(VSHA256_CTX *sha256, const char *what, const void *data, size_t len)
{
	VSHA256_Update(sha256, what, strlen(what) + 1);
	VSHA256_Update(sha256, &len, sizeof len);
	VSHA256_Update(sha256, data, len);
}

/* NULL for directors, and for backends that are not the server's own. */
static const struct vrt_endpoint *
endpoint_of(VCL_BACKEND d)
{
	const struct backend *backend = d->priv;

	if (strcmp(d->vdir->methods->type, "backend") != 0 || backend == NULL || backend->magic != BACKEND_MAGIC)
		return (NULL);
	return (backend->endpoint);
}

void
vx_endpoint_digest(VCL_BACKEND d, uint8_t *digest)
{
	const struct vrt_endpoint *endpoint = endpoint_of(d);
	const char *type = d->vdir->methods->type;
	VSHA256_CTX sha256;

	VSHA256_Init(&sha256);
	add(&sha256, "type", type, strlen(type));
	if (endpoint != NULL) {
		if (endpoint->uds_path != NULL)
			add(&sha256, "path", endpoint->uds_path, strlen(endpoint->uds_path));
		if (endpoint->ipv4 != NULL)
			add(&sha256, "ipv4", endpoint->ipv4, vsa_suckaddr_len);
		if (endpoint->ipv6 != NULL)
			add(&sha256, "ipv6", endpoint->ipv6, vsa_suckaddr_len);
		/* With .via it is the address behind. */
		if (endpoint->preamble != NULL)
			add(&sha256, "preamble", endpoint->preamble->blob, endpoint->preamble->len);
	}
	VSHA256_Final(digest, &sha256);
}
