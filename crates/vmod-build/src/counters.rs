// SPDX-License-Identifier: BSD-2-Clause
//! Counters: a `.vsc` file's names, as Rust constants and as C that proves where they are.

/// The counters of one `.vsc` file, in order.
pub struct Counters {
    /// The set's name, as `varnish_vsc_begin` gives it.
    pub set: String,
    names: Vec<String>,
}

impl Counters {
    /// Reads the directives of a `.vsc` text; `None` if it begins no set.
    pub fn parse(text: &str) -> Option<Counters> {
        let value = |line: &str, directive: &str| {
            line.strip_prefix(".. ")?.strip_prefix(directive)?.strip_prefix("::").map(|name| name.trim().to_owned())
        };
        let set = text.lines().find_map(|line| value(line, "varnish_vsc_begin"))?;
        let names = text.lines().filter_map(|line| value(line, "varnish_vsc")).collect();
        Some(Counters { set, names })
    }

    /// A Rust enum of the counters; a variant's number is the counter's place in the segment.
    pub fn rust(&self) -> String {
        let variants: String =
            self.names.iter().enumerate().map(|(at, name)| format!("    {} = {at},\n", camel(name))).collect();
        format!(
            "/// The counters of `{set}.vsc`; the number is the counter's place in its segment.\n\
             #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n#[repr(usize)]\npub enum {enum_name} {{\n{variants}}}\n",
            set = self.set,
            enum_name = format_args!("{}Counter", camel(&self.set)),
        )
    }

    /// C that makes and ends a segment, and fails to compile if a counter is not where Rust expects it.
    pub fn c(&self) -> String {
        let set = &self.set;
        let places: String = self
            .names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                format!("_Static_assert(offsetof(struct VSC_{set}, {name}) == {at} * sizeof(uint64_t), \"{name}\");\n")
            })
            .collect();
        format!(
            "#include \"VSC_{set}.h\"\n{places}\
             uint64_t *vx_{set}_counters_new(struct vsc_seg **, const char *);\n\
             void vx_{set}_counters_destroy(struct vsc_seg **);\n\
             uint64_t *\nvx_{set}_counters_new(struct vsc_seg **segment, const char *name)\n{{\n\
             \t/* An empty format, not an empty name, leaves out the dot after the set. */\n\
             \tif (*name == '\\0')\n\t\treturn ((uint64_t *)VSC_{set}_New(NULL, segment, \"\"));\n\
             \treturn ((uint64_t *)VSC_{set}_New(NULL, segment, \"%s\", name));\n}}\n\
             void\nvx_{set}_counters_destroy(struct vsc_seg **segment)\n{{\n\tVSC_{set}_Destroy(segment);\n}}\n"
        )
    }
}

fn camel(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "..\n\tprose\n\n.. varnish_vsc_begin::\tsaintmode\n\t:order:\t1\n\n\
                        .. varnish_vsc:: refused_object\n\t:type:\tcounter\n\n.. varnish_vsc:: denied\n\n\
                        .. varnish_vsc_end::\tsaintmode\n";

    #[test]
    fn counters_are_numbered_in_the_order_of_the_file() {
        let counters = Counters::parse(TEXT).unwrap();
        assert_eq!(counters.set, "saintmode");
        assert!(counters.rust().contains("enum SaintmodeCounter {\n    RefusedObject = 0,\n    Denied = 1,\n}"));
        assert!(counters.c().contains("offsetof(struct VSC_saintmode, denied) == 1 * sizeof(uint64_t)"));
    }

    #[test]
    fn a_text_that_begins_no_set_has_no_counters() {
        assert!(Counters::parse("prose").is_none());
    }
}
