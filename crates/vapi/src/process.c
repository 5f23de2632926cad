/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Rust's standard library has not.
 */
#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "vapi.h"
#include "vcs.h"

/* Goes on in the background, away from its terminal; 0 or an errno. */
int
va_process_daemonize(void)
{
	return (daemon(0, 0) == 0 ? 0 : errno);
}

/* What the library says of itself: `T` its name, `P` its version, `R` its revision. */
const char *
va_process_library(const char *which)
{
	return (VCS_String(which));
}

/* Gives back what was freed. */
void
va_process_trim(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}
