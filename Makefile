# SPDX-License-Identifier: BSD-2-Clause
# make            builds both modules and the daemon for the installed server
# make demo       shows them at work; with BUGSINK=1 in a real error tracker's web page
# make check      runs every test; the last line says `N passed, M failed`
# make soak       runs a site under all that may happen to it at a time for SOAK (600) seconds, and prints a page; fails if anything is lost, grows or breaks
# make sanitize   runs the crates' tests with ThreadSanitizer, modules and daemon with AddressSanitizer under the VTCs, and the modules under valgrind in a storm; about 40 minutes
# make reproducible  builds the last commit in two folders and compares the modules byte for byte
# make bench      measures what both modules cost, beside the official Rust SDK and the C saintmode; about eight minutes, with QUICK=1 under three, for what there are pictures of.
#                 Numbers and pictures go to build/bench; `make bench FIGURES=docs` renews those of the README
# make fuzz       runs each fuzz target for FUZZ_SECONDS (60) or FUZZ_RUNS inputs, a line for each; what it found worth keeping stays in build/fuzz
# make install    modules into the server's own folder, the daemon with its unit, man pages, examples and files for Prometheus below PREFIX, its configuration into /etc unless there is one,
#                 its user, the folder for the module's spool; honours DESTDIR
# make deps       installs the system packages all this needs; the other targets call it when one is missing
# make deb        Debian packages of both modules and the daemon for the installed server, into build/deb
# make check-servers  builds and tests on every server of README's table, each in a root of its own; needs root
# make man, make clean, make clean-servers

PREFIX ?= /usr/local
DOCDIR ?= $(PREFIX)/share/doc/vmod-sentry
PYTHON ?= python3
FIGURES ?= build/bench

export CARGO_TARGET_DIR ?= target
# Where rustup and Debian put cargo and varnishd: not in everybody's PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin

# Late (=, not :=): on a fresh machine pkg-config comes while make already runs.
SERVER    = $(shell pkg-config --exists varnishapi 2>/dev/null && echo varnishapi || echo vinylapi)
VMODTOOL  = $(shell pkg-config --variable=vmodtool $(SERVER))
VMODDIR   = $(shell pkg-config --variable=vmoddir $(SERVER))
# The folder of the modules is below one with the name of the server, and so of its service.
SERVICE   = $(notdir $(patsubst %/vmods,%,$(VMODDIR)))
VMOD_ABI  = $(wildcard $(shell pkg-config --variable=pkgincludedir $(SERVER) 2>/dev/null)/vmod_abi.h)
SOURCES   = $(shell find Cargo.toml Cargo.lock *.rs *.vcc *.vsc src saintmode varnishsentry crates -type f 2>/dev/null)
MODULES   = build/libvmod_sentry.so build/libvmod_saintmode.so
DAEMON    = build/varnishsentry
PAGES     = build/vmod_sentry.3 build/vmod_saintmode.3
DAEMON_PAGE = build/varnishsentry.1

# The server's version is in the packages' version, so that an upgrade to a newer server upgrades them too.
DEB_REVISION ?= 1
VERSION   = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)-$(DEB_REVISION)~$(shell pkg-config --modversion $(SERVER))

.PHONY: build deps man check demo soak sanitize reproducible bench fuzz install deb check-servers clean clean-servers
.PHONY: need-build need-man need-vtc need-sanitize need-check need-bench need-fuzz need-deb need-servers
.DELETE_ON_ERROR:
.NOTPARALLEL:

build: build/.built

# One stamp for modules and daemon: cargo builds them in one go. The server's vmod_abi.h changes with the
# server, and so must the modules. `mv`, because a running varnishd may have the old file mapped.
build/.built: $(SOURCES) $(VMOD_ABI) | need-build
	@command -v cargo >/dev/null || { echo "missing: cargo: install the Rust toolchain," \
		"$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer" \
		"(https://rustup.rs); the one of Debian 12 is too old" >&2; exit 1; }
	@echo "building for $$(sed -n 's/.*VMOD_ABI_Version "\(.*\) .*"/\1/p' $(VMOD_ABI))"
	cargo build --release
	@mkdir -p build
	@for so in $(notdir $(MODULES)); do \
		cp $(CARGO_TARGET_DIR)/release/$$so build/.$$so && \
		mv build/.$$so build/$$so && \
		pkg/symbols build/$$so "$$(command -v varnishd)" || exit 1; \
	done
	@cp $(CARGO_TARGET_DIR)/release/$(notdir $(DAEMON)) build/.daemon && mv build/.daemon $(DAEMON)
	@touch $@
	@echo "made $(MODULES) $(DAEMON)"

man: $(PAGES) $(DAEMON_PAGE)

build/vmod_sentry.3: vmod.vcc
build/vmod_saintmode.3: saintmode/vmod.vcc
$(PAGES): build/vmod_%.3: | need-man
	@rm -rf build/man/$* && mkdir -p build/man/$*
	$(PYTHON) $(VMODTOOL) --strict -o build/man/$*/vcc_$*_if -w build/man/$* $<
	$$(command -v rst2man || command -v rst2man.py) --report=2 --halt=2 build/man/$*/vmod_$*.man.rst $@

$(DAEMON_PAGE): varnishsentry/varnishsentry.rst | need-man
	@mkdir -p build
	$$(command -v rst2man || command -v rst2man.py) --report=2 --halt=2 $< $@

check: build man need-check
	$(PYTHON) tests/check

demo: build need-check
	$(PYTHON) demo/demo.py $(if $(BUGSINK),--bugsink)

soak: build need-vtc
	$(PYTHON) tests/soak/soak

sanitize: build need-sanitize
	tests/sanitize

reproducible: need-build
	tests/reproducible

bench: build need-bench
	$(PYTHON) benches/bench $(if $(QUICK),--quick) --into '$(FIGURES)'

fuzz: need-fuzz
	$(PYTHON) fuzz/fuzz

# Neither compiler nor cargo is asked when `make` has been run before: `sudo make install` knows no cargo.
install: build man
	install -d '$(DESTDIR)$(VMODDIR)' '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man3'
	install -m 644 $(MODULES) '$(DESTDIR)$(VMODDIR)'
	install -m 755 $(DAEMON) '$(DESTDIR)$(PREFIX)/bin'
	install -m 644 $(PAGES) '$(DESTDIR)$(PREFIX)/share/man/man3'
	install -D -m 644 $(DAEMON_PAGE) '$(DESTDIR)$(PREFIX)/share/man/man1/$(notdir $(DAEMON_PAGE))'
	install -D -m 644 pkg/varnishsentry.service '$(DESTDIR)$(PREFIX)/lib/systemd/system/varnishsentry.service'
	sed -i 's,@BINDIR@,$(PREFIX)/bin,' '$(DESTDIR)$(PREFIX)/lib/systemd/system/varnishsentry.service'
	test -e '$(DESTDIR)/etc/varnishsentry.toml' || $(DAEMON) settings | install -D -m 640 /dev/stdin '$(DESTDIR)/etc/varnishsentry.toml'
	test -n '$(DESTDIR)' || pkg/user /etc/varnishsentry.toml
	install -d '$(DESTDIR)$(DOCDIR)/examples' '$(DESTDIR)$(DOCDIR)/contrib/prometheus'
	install -m 644 examples/* '$(DESTDIR)$(DOCDIR)/examples'
	install -m 644 contrib/prometheus/* '$(DESTDIR)$(DOCDIR)/contrib/prometheus'
	pkg/spool '$(DESTDIR)'
	install -D -m 755 pkg/dsns/sentry-dsns '$(DESTDIR)$(PREFIX)/libexec/vmod-sentry/sentry-dsns'
	install -D -m 644 pkg/dsns/sentry-dsns.timer '$(DESTDIR)$(PREFIX)/lib/systemd/system/sentry-dsns.timer'
	sed 's,^ExecStart=/usr,ExecStart=$(PREFIX),' pkg/dsns/sentry-dsns.service >'$(DESTDIR)$(PREFIX)/lib/systemd/system/sentry-dsns.service'
	install -D -m 644 pkg/killmode.conf '$(DESTDIR)$(PREFIX)/lib/systemd/system/$(SERVICE).service.d/vmod-sentry.conf'

deb: build man need-deb
	@rm -rf build/deb && mkdir -p build/deb/tree && cp -R pkg/debian build/deb/tree/debian
	@printf 'vmod-sentry (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' '$(VERSION)' \
		"$$(sed -n 's/^Maintainer: //p' pkg/debian/control)" "$$(date -R -r CHANGELOG.md)" >build/deb/tree/debian/changelog
	pkg/linked licenses >build/deb/tree/licenses
	for module in vmod-sentry vmod-saintmode varnishsentry; do pkg/linked sbom $$module >build/deb/tree/$$module.cdx.json || exit 1; done
	cd build/deb/tree && dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
	lintian --fail-on error,warning build/deb/*.changes
	@echo "made $$(echo build/deb/*.deb)"

check-servers: need-servers
	pkg/servers check

clean-servers:
	pkg/servers clean

deps: need-check

need-build need-man need-vtc need-sanitize need-check need-bench need-fuzz need-deb need-servers: need-%:
	@pkg/deps $*

# The roots stay: they take minutes to make.
clean:
	rm -rf $(filter-out build/roots,$(wildcard build/* build/.[!.]*)) target
