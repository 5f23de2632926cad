// SPDX-License-Identifier: BSD-2-Clause
//! What the records of varnishd's log (VSL) mean, whoever reads them: tags by their names, texts in the server's own forms.

pub mod builtin;
pub mod forms;
pub mod found;
pub mod tags;
