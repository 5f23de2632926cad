// SPDX-License-Identifier: BSD-2-Clause
//! Deflate (RFC 1951) for bodies that are much alike: a block is written with the codes that suit those before it.
//!
//! With a body of some kilobytes a compressor is busy with codes for half of its time: it counts symbols, makes codes
//! that suit them and describes those, for each body anew. The events of one server hardly differ in that. So the codes
//! stay from body to body here, and are made again now and then, from what was counted meanwhile; and as they are known
//! beforehand, one pass is enough.

mod codes;

use std::mem;

use codes::{Code, Codes};

/// Slots of the table of places, as a power of two.
const SLOT_BITS: u32 = 13;
/// Bytes of a block, at most. New codes begin with a block.
const BLOCK: usize = 32 * 1024;
/// How far back a match may begin.
const WINDOW: usize = 32 * 1024;
/// Bytes of a match. Shorter ones save little, and so many can be compared as one number.
const SHORTEST: usize = 4;
const LONGEST: usize = 258;
/// Places within a match that are remembered. Of what comes behind them, the earlier place is seldom forgotten yet.
const MAX_REMEMBERED: usize = 8;

/// A compressor and what it has learnt; keep it.
pub struct Deflate {
    codes: Codes,
    /// Where four bytes were last seen: a hint, the low bits of the number of the first of them.
    places: Box<[u16; 1 << SLOT_BITS]>,
    /// The number of the body's first byte. Numbers go on from body to body, so that what is left of the ones before
    /// seems too far away.
    begin: u16,
}

impl Default for Deflate {
    fn default() -> Deflate {
        Deflate { codes: Codes::default(), places: Box::new([0; 1 << SLOT_BITS]), begin: 0 }
    }
}

impl Deflate {
    /// Writes `body`, compressed, to the beginning of `out`. Returns its length; `None` if there is not enough room, of
    /// which it may want up to eight bytes more than it fills.
    pub fn compress(&mut self, body: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut bits = Bits { out, at: 0, held: 0, count: 0 };
        let written = self.write(body, &mut bits);
        self.begin = self.stamp(body.len());
        written?;
        bits.finish()
    }

    fn write(&mut self, body: &[u8], bits: &mut Bits<'_>) -> Option<()> {
        let mut begin = 0;
        loop {
            let end = body.len().min(begin + BLOCK);
            let written = self.write_block(body.get(..end)?, begin, end == body.len(), bits);
            // After one for which there was no room, too: the next of its kind may be shorter for it.
            self.codes.learn(end - begin);
            written?;
            if end == body.len() {
                return Some(());
            }
            begin = end;
        }
    }

    /// Writes what there is in `body` from `begin` on.
    fn write_block(&mut self, body: &[u8], begin: usize, is_last: bool, bits: &mut Bits<'_>) -> Option<()> {
        bits.put([Code::new(u16::from(is_last) | 2 << 1, 3)])?;
        self.codes.description().iter().try_for_each(|code| bits.put([*code]))?;
        let mut at = begin;
        while let Some(rest) = body.get(at..)
            && let Some(word) = first_four(rest)
        {
            if let Some(before) = self.find(body, at, word) {
                let length = common(rest, before);
                bits.put(self.codes.length(length))?;
                bits.put(self.codes.distance(before.len() - rest.len()))?;
                let within = rest.windows(SHORTEST).zip(at..).take(length.min(1 + MAX_REMEMBERED)).skip(1);
                for (bytes, place) in within {
                    self.remember(place, first_four(bytes).unwrap_or_default());
                }
                at += length;
            } else {
                bits.put([self.codes.literal(word as u8)])?;
                at += 1;
            }
        }
        for byte in body.get(at..)? {
            bits.put([self.codes.literal(*byte)])?;
        }
        bits.put([self.codes.end()])
    }

    /// What of `body` begins with the same four bytes as what is at `at`, which are `word`, and not too far before it.
    fn find<'a>(&mut self, body: &'a [u8], at: usize, word: u32) -> Option<&'a [u8]> {
        let distance = usize::from(self.stamp(at).wrapping_sub(self.remember(at, word)));
        if !(1..=at.min(WINDOW)).contains(&distance) {
            return None;
        }
        let before = body.get(at - distance..)?;
        (first_four(before) == Some(word)).then_some(before)
    }

    /// Takes down that `word` is at `at`; returns what was there for the last word in the same slot.
    fn remember(&mut self, at: usize, word: u32) -> u16 {
        // By the product's high bits, which depend on all bits of the word.
        let slot = word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOT_BITS);
        let stamp = self.stamp(at);
        self.places.get_mut(slot as usize).map_or(stamp, |place| mem::replace(place, stamp))
    }

    fn stamp(&self, at: usize) -> u16 {
        self.begin.wrapping_add(at as u16)
    }
}

fn first_four(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// How many bytes the two have in common, as far as a match can go.
fn common(these: &[u8], those: &[u8]) -> usize {
    let these = these.get(..LONGEST).unwrap_or(these);
    let mut length = 0;
    let eights = these.as_chunks::<8>().0.iter().zip(those.as_chunks::<8>().0);
    for (this, that) in eights {
        let difference = u64::from_le_bytes(*this) ^ u64::from_le_bytes(*that);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let tails = these.iter().zip(those).skip(length);
    length + tails.take_while(|(this, that)| this == that).count()
}

/// Bits on their way to `out`, the first one lowest.
struct Bits<'a> {
    out: &'a mut [u8],
    /// Bytes that are complete and written.
    at: usize,
    held: u64,
    /// Bits that are held.
    count: u32,
}

impl Bits<'_> {
    fn put<const N: usize>(&mut self, codes: [Code; N]) -> Option<()> {
        // A code has less than 16 bits.
        if self.count > u64::BITS - 16 * N as u32 {
            self.flush()?;
        }
        for code in codes {
            self.held |= u64::from(code.bits) << self.count;
            self.count += u32::from(code.length);
        }
        Some(())
    }

    /// Writes the bytes that are complete.
    fn flush(&mut self) -> Option<()> {
        *self.out.get_mut(self.at..)?.first_chunk_mut()? = self.held.to_le_bytes();
        let bytes = self.count / 8;
        self.at += bytes as usize;
        self.held >>= bytes * 8;
        self.count %= 8;
        Some(())
    }

    fn finish(mut self) -> Option<usize> {
        self.flush()?;
        Some(self.at + usize::from(self.count > 0))
    }
}

#[cfg(test)]
mod tests;
