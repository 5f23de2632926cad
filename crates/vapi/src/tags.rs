// SPDX-License-Identifier: BSD-2-Clause
//! The tags that the library knows.

use std::ffi::{CStr, c_char};
use std::sync::LazyLock;

use transaction::tags::Tags;

/// The tags of the installed library.
pub fn installed() -> &'static Tags {
    static TAGS: LazyLock<Tags> =
        LazyLock::new(|| Tags::new((0..=u8::MAX).filter_map(|number| Some((number, name(number)?)))));
    &TAGS
}

fn name(number: u8) -> Option<&'static str> {
    // SAFETY: takes any number.
    let name = unsafe { va_tag_name(number.into()) };
    if name.is_null() {
        return None;
    }
    // SAFETY: one of the library's literals.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

unsafe extern "C" {
    fn va_tag_name(tag: u32) -> *const c_char;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_knows_the_tags_that_all_servers_have() {
        for name in
            ["Begin", "End", "Link", "ReqURL", "RespStatus", "BerespStatus", "FetchError", "Backend_health", "VSL"]
        {
            let (number, spelled) = installed().named(name).unwrap();
            assert_eq!(spelled, name);
            assert_eq!(installed().name(number), Some(name));
        }
        assert_eq!(installed().name(0), None);
    }
}
