/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a fetch failed: varnishd tells its log, and nobody else.
 */
#include "shim.h"

/*
 * The text of the last FetchError among the task's records that are not flushed yet, NULL if there is none.
 * A retry flushes, so it is one of this attempt. Valid until the task's next record.
 */
const char *
vx_fetch_error(VRT_CTX)
{
	const char *text = NULL;
	const uint32_t *record;

	if (ctx->bo == NULL || ctx->vsl == NULL || ctx->vsl->wlb == NULL)
		return (NULL);
	for (record = ctx->vsl->wlb; record < ctx->vsl->wlp; record = VSL_NEXT(record))
		if (VSL_TAG(record) == SLT_FetchError)
			text = VSL_CDATA(record);
	return (text);
}
