// SPDX-License-Identifier: BSD-2-Clause
//! The names of records. Servers number them differently: a number is good for this process only.

/// For each tag, by number, whether it is wanted: 0 if not.
pub type Wanted = [u8; 256];

/// Everything.
pub const ALL: &Wanted = &[1; 256];

/// The tags of the installed library.
#[derive(Clone, Debug)]
pub struct Tags {
    names: [Option<&'static str>; 256],
}

impl Tags {
    /// The tags with these names; of two with one number the later counts.
    pub fn new(names: impl IntoIterator<Item = (u8, &'static str)>) -> Tags {
        let mut tags = Tags { names: [None; 256] };
        for (number, name) in names {
            if let Some(place) = tags.names.get_mut(usize::from(number)) {
                *place = Some(name);
            }
        }
        tags
    }

    /// What records of this number are called, as the server spells it; `None` if there are none.
    pub fn name(&self, number: u8) -> Option<&'static str> {
        self.names.get(usize::from(number)).copied().flatten()
    }

    /// Number and spelling of the tag with this name, in whatever case it is given; no abbreviations.
    pub fn named(&self, name: &str) -> Option<(u8, &'static str)> {
        self.iter().find(|(_, known)| known.eq_ignore_ascii_case(name))
    }

    /// All that there are, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'static str)> {
        (0..=u8::MAX).filter_map(|number| Some((number, self.name(number)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_by_number_and_by_its_whole_name_in_any_case() {
        let tags = Tags::new([(1, "Debug"), (70, "VCL_Log"), (255, "Last")]);
        assert_eq!(tags.name(70), Some("VCL_Log"));
        assert_eq!(tags.named("vcl_log"), Some((70, "VCL_Log")));
        assert_eq!(tags.named("Last"), Some((255, "Last")));
        assert_eq!(tags.named("VCL"), None);
        assert_eq!(tags.name(2), None);
        assert_eq!(tags.iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 70, 255]);
    }
}
