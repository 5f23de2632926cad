# SPDX-License-Identifier: BSD-2-Clause
"""Which way arrows point: no ring of files in any package, and no crate that knows one above it.

tokens.py reads Rust as far as that takes, modules.py finds out what a path leads to, rings.py and crates.py
say what is wrong. `tests/check layers` runs them over the tree, and test_layers.py over trees made on purpose.
"""
