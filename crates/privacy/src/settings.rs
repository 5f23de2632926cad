// SPDX-License-Identifier: BSD-2-Clause
//! What a client's settings say about scrubbing, checked: names that the VCL's author knows better than any list.

use std::fmt;

/// The settings as they are written in VCL; lists have commas between the names.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrivacyArguments<'a> {
    pub anonymize_ip: bool,
    pub allowed_only: bool,
    pub allow_headers: &'a str,
    pub deny_headers: &'a str,
    pub allow_keys: &'a str,
    pub deny_keys: &'a str,
}

/// Checked settings. The default knows no names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Privacy {
    /// Whether addresses lose the part that tells one machine from its neighbours.
    pub(crate) anonymize_ip: bool,
    /// Whether a header or a key has to be known to be harmless, rather than not known to be a secret.
    pub(crate) allowed_only: bool,
    pub(crate) headers: Exceptions,
    /// Names of cookies, of query parameters, of what a form or JSON has.
    pub(crate) keys: Exceptions,
}

/// What is known of names, whatever they look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Exceptions {
    pub(crate) allowed: Names,
    pub(crate) denied: Names,
}

/// Whole names; case does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Names(Vec<Box<str>>);

/// A list that cannot be meant. Reads well after `sentry.privacy(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivacyError {
    NoNames { setting: &'static str, got: String },
    Contradiction { name: String, settings: [&'static str; 2] },
    Cookies { name: String },
}

impl fmt::Display for PrivacyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrivacyError::NoNames { setting, got } => {
                write!(f, "{setting} must be names with commas between them, got {got:?}")
            }
            PrivacyError::Contradiction { name, settings: [allow, deny] } => {
                write!(f, "{name:?} is in both {allow} and {deny}, expected it in one of them")
            }
            PrivacyError::Cookies { name } => {
                write!(f, "allow_headers cannot have {name:?}, name the cookies in allow_keys")
            }
        }
    }
}

impl std::error::Error for PrivacyError {}

impl Privacy {
    /// No names, and addresses as they are: the default, for a static.
    pub(crate) const NONE: Privacy =
        Privacy { anonymize_ip: false, allowed_only: false, headers: Exceptions::NONE, keys: Exceptions::NONE };

    /// Checks the lists.
    pub fn new(arguments: &PrivacyArguments<'_>) -> Result<Privacy, PrivacyError> {
        let PrivacyArguments { anonymize_ip, allowed_only, allow_headers, deny_headers, allow_keys, deny_keys } =
            *arguments;
        let headers = Exceptions::new([("allow_headers", allow_headers), ("deny_headers", deny_headers)], is_token)?;
        let keys = Exceptions::new([("allow_keys", allow_keys), ("deny_keys", deny_keys)], |c| !c.is_control())?;
        // They are lists of pairs: letting through a header of cookies would let through the session.
        let cookies = ["cookie", "set-cookie"].into_iter().find(|name| headers.allowed.has(name.as_bytes()));
        match cookies {
            Some(name) => Err(PrivacyError::Cookies { name: name.to_owned() }),
            None => Ok(Privacy { anonymize_ip, allowed_only, headers, keys }),
        }
    }
}

impl Exceptions {
    const NONE: Exceptions = Exceptions { allowed: Names(Vec::new()), denied: Names(Vec::new()) };

    fn new(lists: [(&'static str, &str); 2], is_part: fn(char) -> bool) -> Result<Exceptions, PrivacyError> {
        let [(allow, _), (deny, _)] = lists;
        let [allowed, denied] = lists.map(|(setting, list)| Names::new(setting, list, is_part));
        let (allowed, denied) = (allowed?, denied?);
        match denied.0.iter().find(|name| allowed.has(name.as_bytes())) {
            Some(name) => Err(PrivacyError::Contradiction { name: name.to_string(), settings: [allow, deny] }),
            None => Ok(Exceptions { allowed, denied }),
        }
    }
}

impl Names {
    fn new(setting: &'static str, list: &str, is_part: fn(char) -> bool) -> Result<Names, PrivacyError> {
        if list.trim().is_empty() {
            return Ok(Names::default());
        }
        let names = list.split(',').map(str::trim).map(Box::from);
        let names: Vec<Box<str>> = names.collect();
        if names.iter().any(|name| name.is_empty() || !name.chars().all(is_part)) {
            return Err(PrivacyError::NoNames { setting, got: list.to_owned() });
        }
        Ok(Names(names))
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// What the name of a header is made of (RFC 9110, section 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_names_in_any_case_with_white_space_around_them() {
        let privacy = Privacy::new(&PrivacyArguments {
            allow_headers: " Surrogate-Key,x-cache-key ",
            deny_headers: "X-Tenant",
            allow_keys: "keyword, user[key], mot clé",
            ..PrivacyArguments::default()
        });
        let Privacy { headers, keys, .. } = privacy.unwrap();
        assert!(headers.allowed.has(b"surrogate-key") && headers.allowed.has(b"X-Cache-Key"));
        assert!(headers.denied.has(b"x-tenant") && !headers.denied.has(b"x-tenan"));
        assert!(keys.allowed.has(b"User[Key]") && keys.allowed.has("mot clé".as_bytes()));
        let blank = PrivacyArguments { allow_headers: " ", ..PrivacyArguments::default() };
        assert_eq!(Privacy::new(&blank), Ok(Privacy::default()));
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused_with_a_sentence() {
        type Change = fn(&mut PrivacyArguments<'_>);
        let table: &[(Change, &str)] = &[
            (|a| a.allow_headers = "a b", r#"allow_headers must be names with commas between them, got "a b""#),
            (|a| a.deny_headers = "a,,b", r#"deny_headers must be names with commas between them, got "a,,b""#),
            (|a| a.allow_headers = "a:", r#"allow_headers must be names with commas between them, got "a:""#),
            (|a| a.allow_keys = "a,", r#"allow_keys must be names with commas between them, got "a,""#),
            (|a| a.deny_keys = "a\nb", r#"deny_keys must be names with commas between them, got "a\nb""#),
            (
                |a| (a.allow_headers, a.deny_headers) = ("b, x-key", "X-Key"),
                r#""X-Key" is in both allow_headers and deny_headers, expected it in one of them"#,
            ),
            (
                |a| (a.allow_keys, a.deny_keys) = ("k", "K"),
                r#""K" is in both allow_keys and deny_keys, expected it in one of them"#,
            ),
            (
                |a| a.allow_headers = "Set-Cookie",
                r#"allow_headers cannot have "set-cookie", name the cookies in allow_keys"#,
            ),
        ];
        for (change, sentence) in table {
            let mut arguments = PrivacyArguments::default();
            change(&mut arguments);
            assert_eq!(Privacy::new(&arguments).map_err(|error| error.to_string()), Err((*sentence).to_owned()));
        }
    }
}
