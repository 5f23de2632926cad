# SPDX-License-Identifier: BSD-2-Clause
"""contrib/prometheus/ beside the real programs: promtool, and a Prometheus that scrapes prometheus-varnish-exporter and varnishsentry.

collector.py starts and asks them, test_rules.py and test_reload.py are the tests; `tests/check prometheus` runs them.
"""

from e2e import ROOT

CONTRIB = ROOT / "contrib" / "prometheus"
# What has to be installed, and the Debian packages that bring it.
PROGRAMS = {"promtool": "prometheus", "prometheus": "prometheus", "prometheus-varnish-exporter": "prometheus-varnish-exporter"}
