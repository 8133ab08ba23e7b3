//! Bytes that need no memory: each is a function of a seed and of its place, so they can be made while they are sent and checked
//! while they arrive, and a byte in a wrong place is a wrong byte. About 1 ns for 8 bytes.

use crate::Result;

/// The contents of a value of any length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) seed: u64,
}

/// A step of splitmix64 (Steele, Lea, Flood 2014).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Content {
    fn word(self, index: u64) -> [u8; 8] {
        mixed(self.seed.wrapping_add(index.wrapping_mul(STEP))).to_le_bytes()
    }

    /// The bytes from `at` on.
    pub(crate) fn fill(self, at: u64, out: &mut [u8]) {
        let until_word = usize::try_from(at.next_multiple_of(8) - at).unwrap_or(0).min(out.len());
        let (head, rest) = out.split_at_mut(until_word);
        if !head.is_empty() {
            let from = usize::try_from(at % 8).unwrap_or(0);
            head.copy_from_slice(&self.word(at / 8)[from..from + head.len()]);
        }
        let mut index = at.div_ceil(8);
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.word(index));
            index += 1;
        }
        let tail = words.into_remainder();
        let len = tail.len();
        tail.copy_from_slice(&self.word(index)[..len]);
    }

    /// Whether `bytes` stand at `at`.
    ///
    /// # Errors
    /// Which place differs first.
    pub(crate) fn check(self, at: u64, bytes: &[u8]) -> Result {
        let mut expected = [0; 4096];
        let mut place = at;
        for part in bytes.chunks(expected.len()) {
            let expected = &mut expected[..part.len()];
            self.fill(place, expected);
            if expected != part {
                let differs = expected.iter().zip(part.iter()).take_while(|(a, b)| a == b).count();
                return Err(format!("byte {} of a value is wrong", place + differs as u64).into());
            }
            place += part.len() as u64;
        }
        Ok(())
    }

    /// Bit `at`, counted as SETBIT does: bit 0 is the highest of byte 0.
    pub(crate) fn bit(self, at: u64) -> bool {
        let mut byte = [0];
        self.fill(at / 8, &mut byte);
        byte[0] >> (7 - at % 8) & 1 == 1
    }
}

/// Random numbers from a seed.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_do_not_depend_on_how_they_are_cut() {
        let content = Content { seed: 7 };
        let mut whole = [0; 100];
        content.fill(0, &mut whole);
        for from in 0..100 {
            for to in from..=100 {
                content.check(from as u64, &whole[from..to]).expect("the same bytes");
            }
        }
        assert!(content.check(1, &whole[..50]).is_err());
        assert_eq!(content.bit(9), whole[1] & 0x40 != 0);
    }
}
