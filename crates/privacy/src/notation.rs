// SPDX-License-Identifier: BSD-2-Clause
//! A name and its value in free text, in whatever notation: `name=value`, `name: value`, JSON and what resembles it, quotes of either kind,
//! escaped or not, XML, GraphQL, PHP's serialised form, a list, columns of SQL, options of a command; and private keys in PEM.
//!
//! Text is [walked](walk) once, [word by word](word). A word that is a name on the list is followed to its value, by the [mark] between the two; a
//! value that has no [end](value) is hidden to the end of the text. What a word is told by is in [`crate::names`].

mod apart;
mod columns;
mod element;
mod mark;
mod option;
mod pair;
mod pem;
mod search;
mod value;
mod walk;
mod word;

pub(crate) use apart::{holds_name, holds_value};
pub(crate) use walk::find;
