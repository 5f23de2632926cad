# SPDX-License-Identifier: BSD-2-Clause
"""The soak: one site under all that may happen to it at a time, and a page that tells whether it stood it.

site.py is its VCL, origin.py what is behind it, visits.py who asks, reports.py who reports to its tunnels, book.py what was
called; beside.py is the daemon; schedule.py says what happens when, child.py looks at a child and ends it, usage.py what it takes
of the machine, page.py tells it all.

Whatever else there is to soak is a client in `site.CLIENTS`, some VCL in `site.VCL`, one visit or more, and, if it is a process of
its own, one of `Stage.beside`.
"""
