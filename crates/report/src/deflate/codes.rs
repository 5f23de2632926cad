// SPDX-License-Identifier: BSD-2-Clause
//! The two alphabets of deflate and their codes (RFC 1951, 3.2.5 to 3.2.7).

use std::cmp::Reverse;

/// Bits of a code, the first one lowest; at most 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Code {
    pub bits: u16,
    pub length: u8,
}

impl Code {
    pub const fn new(bits: u16, length: u8) -> Code {
        Code { bits, length }
    }
}

/// Bytes, the end of a block, and the lengths of matches.
const LITERALS: usize = 286;
const END: usize = 256;
const FIRST_LENGTH: usize = 257;
const DISTANCES: usize = 30;
/// The lengths of codes, and repetitions of them.
const LENGTHS: usize = 19;
const REPEAT: u8 = 16;
/// The order in which their own lengths are told.
const ORDER: [u8; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Bits of the longest code of these alphabets, and of those of `LENGTHS`.
const LONGEST: u8 = 15;
const LONGEST_LENGTH: u8 = 7;

/// Bytes behind which codes are made again, at first and at most.
const SOON: usize = 1024;
const LATE: usize = 64 * 1024;

/// What is written with before anything was counted.
const SAMPLE: &[u8] = br#"{"event_id":"0123456789abcdef","timestamp":1767225600.7,"platform":"other","level":"error",
"logger":"varnish","environment":"production","message":"fetch failed: 503","request":{"method":"GET","url":"https://www.example.com/",
"headers":{"User-Agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","Accept-Encoding":"gzip"}},"tags":{"backend":"origin"}}"#;

/// Symbols of one alphabet: how often they came, and their codes.
struct Alphabet<const N: usize> {
    counts: [u32; N],
    codes: [Code; N],
}

impl<const N: usize> Alphabet<N> {
    /// The code of `symbol`, which came once more.
    fn count(&mut self, symbol: usize) -> Code {
        if let Some(count) = self.counts.get_mut(symbol) {
            *count += 1;
        }
        self.codes.get(symbol).copied().unwrap_or_default()
    }

    /// Makes codes that suit what was counted; those that never came have one, too. Older counts weigh half of what
    /// they did. Returns the lengths.
    fn learn(&mut self) -> [u8; N] {
        let lengths = code_lengths(&self.counts.map(|count| count + 1), LONGEST);
        self.codes = codes(&lengths);
        self.counts.iter_mut().for_each(|count| *count /= 2);
        lengths
    }
}

impl<const N: usize> Default for Alphabet<N> {
    fn default() -> Alphabet<N> {
        Alphabet { counts: [0; N], codes: [Code::default(); N] }
    }
}

/// The codes in use, and what the next ones will be made from.
pub struct Codes {
    literals: Alphabet<LITERALS>,
    distances: Alphabet<DISTANCES>,
    description: Vec<Code>,
    /// Bytes that were written with these codes.
    written: usize,
    /// How many there are to be before new ones are made.
    enough: usize,
}

impl Default for Codes {
    fn default() -> Codes {
        let mut codes = Codes {
            literals: Alphabet::default(),
            distances: Alphabet::default(),
            description: Vec::new(),
            written: 0,
            enough: SOON,
        };
        SAMPLE.iter().for_each(|byte| {
            codes.literal(*byte);
        });
        codes.make();
        codes
    }
}

impl Codes {
    /// What a block begins with, but for its first three bits: the lengths of the codes.
    pub fn description(&self) -> &[Code] {
        &self.description
    }

    pub fn literal(&mut self, byte: u8) -> Code {
        self.literals.count(usize::from(byte))
    }

    pub fn end(&mut self) -> Code {
        self.literals.count(END)
    }

    /// For a match of 3 to 258 bytes; its distance is to follow.
    pub fn length(&mut self, length: usize) -> [Code; 2] {
        let (symbol, more) = length_symbol(length);
        [self.literals.count(FIRST_LENGTH + symbol), more]
    }

    /// For a match that begins 1 to 32768 bytes before.
    pub fn distance(&mut self, distance: usize) -> [Code; 2] {
        let (symbol, more) = distance_symbol(distance);
        [self.distances.count(symbol), more]
    }

    /// To be called behind each block, which was of so many bytes.
    pub fn learn(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.enough {
            self.enough = (2 * self.enough).min(LATE);
            self.written = 0;
            self.make();
        }
    }

    fn make(&mut self) {
        let literals = self.literals.learn();
        let distances = self.distances.learn();
        self.description = describe(&[literals.as_slice(), distances.as_slice()].concat());
    }
}

/// The symbol of a match's length, counted from [`FIRST_LENGTH`], and the bits behind it.
fn length_symbol(length: usize) -> (usize, Code) {
    match length.wrapping_sub(3) {
        // The longest has a symbol of its own.
        255 => (28, Code::default()),
        number => in_groups(number, 4),
    }
}

/// The symbol of a match's distance and the bits behind it.
fn distance_symbol(distance: usize) -> (usize, Code) {
    in_groups(distance.wrapping_sub(1), 2)
}

/// Two groups of symbols stand for a number each; those of each further group stand for twice as many as those of the
/// group before it, which as many bits tell apart.
fn in_groups(number: usize, group: usize) -> (usize, Code) {
    let bits = number.max(group).ilog2() - group.ilog2();
    let rest = number & ((1 << bits) - 1);
    (group * bits as usize + (number >> bits), Code::new(rest as u16, bits as u8))
}

/// The lengths of codes for symbols that come so often, two of them at least; one that never comes has none. There may be
/// 2^(longest - 1) symbols, and counts of 2^31 together.
///
/// This is not Huffman's tree, but hardly worse: each symbol gets its share of all codes, rounded down to a power of
/// two, and what is left then goes to those that lost most by that.
fn code_lengths<const N: usize>(counts: &[u32; N], longest: u8) -> [u8; N] {
    // So that no share is smaller than that of the longest code.
    let least = counts.iter().sum::<u32>() >> (longest - 1);
    let shares = counts.map(|count| if count > 0 { count + least } else { 0 });
    let total = shares.iter().sum::<u32>();
    let mut lengths = shares.map(|share| total.checked_div(share).map_or(0, |_| ceil_log2(total.div_ceil(share))));
    let room = |length: u8| 1_u32 << (longest - length);
    let mut order: Vec<_> = shares.into_iter().zip(&mut lengths).filter(|(share, _)| *share > 0).collect();
    let mut free = order.iter().fold(room(0), |free, (_, length)| free - room(**length));
    order.sort_by_key(|(share, length)| Reverse(u64::from(*share) << **length));
    // Ends, for the share of the longest code divides what is free.
    while free > 0 {
        for (_, length) in &mut order {
            if room(**length) <= free {
                free -= room(**length);
                **length -= 1;
            }
        }
    }
    lengths
}

fn ceil_log2(number: u32) -> u8 {
    number.next_power_of_two().ilog2() as u8
}

/// The codes of these lengths: shorter ones first, then by symbol.
fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next = 0_u16;
    for length in 1..=LONGEST {
        next <<= 1;
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, this)| **this == length) {
            *code = Code::new(next.reverse_bits() >> (u16::BITS - u32::from(length)), length);
            next += 1;
        }
    }
    codes
}

/// Tells a reader the lengths of both alphabets' codes.
fn describe(lengths: &[u8]) -> Vec<Code> {
    let symbols = shorten(lengths);
    let mut counts = [0; LENGTHS];
    for (symbol, _) in &symbols {
        if let Some(count) = counts.get_mut(usize::from(*symbol)) {
            *count += 1;
        }
    }
    // Of two lengths at least: with one alone the symbols would have to be a power of two.
    let own = code_lengths(&counts, LONGEST_LENGTH);
    let codes = codes(&own);
    let mut told = vec![
        Code::new((LITERALS - 257) as u16, 5),
        Code::new((DISTANCES - 1) as u16, 5),
        Code::new((LENGTHS - 4) as u16, 4),
    ];
    let at = |symbol: u8| usize::from(symbol);
    told.extend(ORDER.iter().filter_map(|symbol| own.get(at(*symbol))).map(|length| Code::new(u16::from(*length), 3)));
    told.extend(symbols.iter().flat_map(|(symbol, more)| [codes.get(at(*symbol)).copied().unwrap_or_default(), *more]));
    join(&told)
}

/// The lengths as symbols and the bits behind them, with repetitions of a length in one.
fn shorten(lengths: &[u8]) -> Vec<(u8, Code)> {
    let mut symbols = Vec::new();
    for run in lengths.chunk_by(|this, next| this == next) {
        let mut rest = run;
        while let [length, more @ ..] = rest {
            symbols.push((*length, Code::default()));
            rest = more;
            while rest.len() >= 3 {
                let (these, more) = rest.split_at(rest.len().min(6));
                symbols.push((REPEAT, Code::new((these.len() - 3) as u16, 2)));
                rest = more;
            }
        }
    }
    symbols
}

/// The same bits in as few pieces as can be.
fn join(pieces: &[Code]) -> Vec<Code> {
    let mut joined: Vec<Code> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if last.length + piece.length <= LONGEST => {
                last.bits |= piece.bits << last.length;
                last.length += piece.length;
            }
            _ => joined.push(*piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What is left of all codes, in shares of the longest.
    fn left(lengths: &[u8], longest: u8) -> i64 {
        let used = lengths.iter().filter(|length| **length > 0).map(|length| 1_i64 << (longest - length));
        (1 << longest) - used.sum::<i64>()
    }

    /// The base and the bits behind each symbol, as RFC 1951 lists them in 3.2.5.
    fn listed(number: usize, first: usize, bits: impl Iterator<Item = u8>) -> (usize, Code) {
        let mut begin = first;
        for (symbol, bits) in bits.enumerate() {
            if number < begin + (1 << bits) {
                return (symbol, Code::new((number - begin) as u16, bits));
            }
            begin += 1 << bits;
        }
        panic!("{number} is too much");
    }

    #[test]
    fn lengths_and_distances_have_the_symbols_that_the_standard_lists() {
        for length in 3..258 {
            let bits = [0; 8].into_iter().chain((1..6).flat_map(|bits| [bits; 4]));
            assert_eq!(length_symbol(length), listed(length, 3, bits), "{length}");
        }
        assert_eq!(length_symbol(258), (28, Code::default()));
        for distance in 1..=32_768 {
            let bits = [0; 4].into_iter().chain((1..14).flat_map(|bits| [bits; 2]));
            assert_eq!(distance_symbol(distance), listed(distance, 1, bits), "{distance}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_counted_the_codes_are_complete(
            counts in vec(prop_oneof![Just(0), 0_u32..3, 0_u32..1000, Just(200_000)], LITERALS)
        ) {
            let counts: [u32; LITERALS] = counts.try_into().unwrap();
            let lengths = code_lengths(&counts.map(|count| count + 1), LONGEST);
            prop_assert_eq!(left(&lengths, LONGEST), 0);
            prop_assert!(lengths.iter().all(|length| (1..=LONGEST).contains(length)));
            let counts: [u32; LENGTHS] = std::array::from_fn(|symbol| counts[symbol]);
            let lengths = code_lengths(&counts, LONGEST_LENGTH);
            if counts.iter().filter(|count| **count > 0).count() > 1 {
                prop_assert_eq!(left(&lengths, LONGEST_LENGTH), 0);
            }
            prop_assert!(lengths.iter().zip(counts).all(|(length, count)| (*length > 0) == (count > 0) && *length <= LONGEST_LENGTH));
        }
    }

    #[test]
    fn what_comes_often_has_a_short_code() {
        let mut counts = [1; LITERALS];
        (counts[7], counts[8], counts[9]) = (100_000, 50_000, 25_000);
        assert_eq!(code_lengths(&counts, LONGEST)[7..10], [1, 2, 3]);
        // The halves of a half, and so on: no tree could be better.
        let counts = std::array::from_fn(|symbol| 1 << (7_usize.saturating_sub(symbol)));
        let lengths: [u8; 9] = code_lengths(&counts, LONGEST);
        assert_eq!(lengths, [1, 2, 3, 4, 5, 6, 7, 8, 8]);
    }
}
