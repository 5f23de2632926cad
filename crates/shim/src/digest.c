/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests of our own, beside those that vcl_hash makes of requests.
 */
#include "shim.h"
#include "vsha256.h"

_Static_assert(VSHA256_LEN == DIGEST_LEN, "a digest is no SHA256 any more");

/*
 * No request's digest is one of these: vcl_hash hashes texts, and there is no NUL in a text.
 */
void
vx_digest_of_key(const char *key, size_t len, uint8_t *digest)
{
	static const char domain[] = "\0saintmode key";
	VSHA256_CTX sha256;

	VSHA256_Init(&sha256);
	VSHA256_Update(&sha256, domain, sizeof domain);
	VSHA256_Update(&sha256, key, len);
	VSHA256_Final(digest, &sha256);
}
