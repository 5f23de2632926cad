/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether varnishstat shows a segment of counters, which the server does by calls of its own. On the CLI thread. */

#include "shim.h"

void
vx_counters_show(const struct vsc_seg *segment, unsigned shown)
{

	if (shown)
		VRT_VSC_Reveal(segment);
	else
		VRT_VSC_Hide(segment);
}
