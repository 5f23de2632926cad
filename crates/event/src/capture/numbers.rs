// SPDX-License-Identifier: BSD-2-Clause
//! Numbers of one context, packed into one field of a record: as many fields would cost the request's thread
//! several times as much.

/// One number's head: the length of its key, its type.
const HEAD: usize = 2;
const VALUE: usize = 8;
/// Well over what a task has to tell.
const ROOM: usize = 512;

/// A number and how it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Count(u64),
    Real(f64),
}

/// Numbers to be put into a record as [`crate::capture::fields::Kind::Numbers`].
pub struct Numbers {
    packed: [u8; ROOM],
    len: usize,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers { packed: [0; ROOM], len: 0 }
    }
}

impl Numbers {
    /// Adds `key` unless there is nothing to count.
    pub fn count(&mut self, key: &str, value: u64) {
        if value != 0 {
            self.add(key, 0, value.to_le_bytes());
        }
    }

    /// Adds `key` unless the value is no number.
    pub fn real(&mut self, key: &str, value: f64) {
        if value.is_finite() {
            self.add(key, 1, value.to_le_bytes());
        }
    }

    /// All of them, for a field.
    pub fn packed(&self) -> &[u8] {
        self.packed.get(..self.len).unwrap_or_default()
    }

    /// What does not fit is left out; keys are written in this project, and fit.
    fn add(&mut self, key: &str, kind: u8, value: [u8; VALUE]) {
        let Ok(key_len) = u8::try_from(key.len()) else { return };
        let end = self.len + HEAD + VALUE + key.len();
        let Some(to) = self.packed.get_mut(self.len..end) else { return };
        let (head, rest) = to.split_at_mut(HEAD);
        head.copy_from_slice(&[key_len, kind]);
        let (number, name) = rest.split_at_mut(VALUE);
        number.copy_from_slice(&value);
        name.copy_from_slice(key.as_bytes());
        self.len = end;
    }
}

/// The numbers of a field by their keys; ends where the field is none of ours.
pub(crate) fn unpack(mut packed: &[u8]) -> impl Iterator<Item = (&[u8], Number)> {
    std::iter::from_fn(move || {
        let (&[key_len, kind], rest) = packed.split_first_chunk::<HEAD>()?;
        let (&value, rest) = rest.split_first_chunk::<VALUE>()?;
        let (key, rest) = rest.split_at_checked(key_len.into())?;
        packed = rest;
        let number = match kind {
            0 => Number::Count(u64::from_le_bytes(value)),
            _ => Number::Real(f64::from_le_bytes(value)),
        };
        Some((key, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_order_and_what_says_nothing_is_left_out() {
        let mut numbers = Numbers::default();
        numbers.count("hits", 3);
        numbers.count("none", 0);
        numbers.real("ttl", -0.5);
        numbers.real("unknown", f64::NAN);
        numbers.count("all", u64::MAX);
        let read: Vec<_> = unpack(numbers.packed()).collect();
        let all = [("hits", Number::Count(3)), ("ttl", Number::Real(-0.5)), ("all", Number::Count(u64::MAX))];
        assert_eq!(read, all.map(|(key, number)| (key.as_bytes(), number)));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_what_is_cut_is_not_read() {
        let mut numbers = Numbers::default();
        let long = "k".repeat(100);
        (0..9).for_each(|_| numbers.count(&long, 1));
        numbers.count(&"k".repeat(256), 1);
        assert_eq!(unpack(numbers.packed()).count(), 4);
        let cut = numbers.packed().len() - 1;
        assert_eq!(unpack(&numbers.packed()[..cut]).count(), 3);
    }
}
