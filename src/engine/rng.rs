//! Seeded randomness: one stream per purpose, each draw a pure function of (seed, purpose, index).
//!
//! ChaCha12, keyed by the master seed; the stream's number is the FNV-1a hash of a path that
//! names the purpose (`user/regulars/17/think`), and draw number `i` takes the [`WORDS`] words
//! from position `i * WORDS` on. So what user 17 asks for does not depend on who else is there,
//! in which process it lives, or what was drawn before. The mapping is fixed by test vectors:
//! changing it changes every workload and is a breaking change.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// 32-bit words that every draw takes, whatever it needs of them.
pub const WORDS: u64 = 4;

/// Two independent 64-bit random numbers.
pub type Draw = [u64; 2];

/// The draws of one purpose.
#[derive(Clone, Debug)]
pub struct Stream {
    rng: ChaCha12Rng,
    next: u64,
}

impl Stream {
    /// Returns the stream of a purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha12Rng::from_seed(key);
        rng.set_stream(fnv1a(purpose.as_bytes()));
        Self { rng, next: 0 }
    }

    /// Returns draw number `index`. Consecutive indices are cheapest.
    pub fn draw(&mut self, index: u64) -> Draw {
        if index != self.next {
            self.rng.set_word_pos(u128::from(index) * u128::from(WORDS));
        }
        self.next = index.wrapping_add(1);
        [self.rng.next_u64(), self.rng.next_u64()]
    }
}

/// Returns the 64-bit FNV-1a hash of bytes (Fowler, Noll, Vo).
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_on(0xcbf2_9ce4_8422_2325, bytes)
}

/// Goes on with a hash that [`fnv1a`] began.
pub fn fnv1a_on(hash: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Returns a number in `[0, 1)` with 53 random bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a number in `(0, 1]`, of which a logarithm can be taken.
pub fn unit_positive(random: u64) -> f64 {
    1.0 - unit(random)
}

/// Returns a number below `bound` by multiplication and shift: the bias is below 2⁻³² for every
/// bound, and a fixed number of words is used. Zero for a bound of zero.
pub fn below(random: u64, bound: u32) -> u32 {
    let scaled = (u128::from(random) * u128::from(bound)) >> 64;
    u32::try_from(scaled).expect("it is below a bound of 32 bits")
}

/// Shuffles a slice (Fisher and Yates), taking draws from `index` on.
pub fn shuffle<T>(stream: &mut Stream, index: u64, slice: &mut [T]) {
    for (step, last) in (0..).zip((1..slice.len()).rev()) {
        let [random, _] = stream.draw(index + step);
        let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
        slice.swap(last, below(random, bound) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_is_fixed() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        let mut stream = Stream::new(42, "user/regulars/17/think");
        insta::assert_debug_snapshot!([stream.draw(0), stream.draw(1), stream.draw(1000)]);
    }

    #[test]
    fn a_draw_does_not_depend_on_what_was_drawn_before() {
        let mut in_order = Stream::new(7, "load/rush/arrival");
        let draws: Vec<Draw> = (0..200).map(|index| in_order.draw(index)).collect();
        let mut jumping = Stream::new(7, "load/rush/arrival");
        for index in [150, 3, 3, 4, 199, 0, 64] {
            assert_eq!(jumping.draw(index), draws[usize::try_from(index).unwrap()]);
        }
    }

    #[test]
    fn seeds_and_purposes_are_independent() {
        let first = |seed, purpose| Stream::new(seed, purpose).draw(0);
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
    }

    #[test]
    fn intervals_keep_their_ends() {
        assert!(unit(0) == 0.0 && unit(u64::MAX) < 1.0);
        assert!(unit_positive(0) == 1.0 && unit_positive(u64::MAX) > 0.0);
        assert_eq!((below(u64::MAX, 10), below(0, 10), below(9, 0)), (9, 0, 0));
    }

    #[test]
    fn a_shuffle_keeps_all_and_is_repeatable() {
        let shuffled = |seed| {
            let mut cards: Vec<u8> = (0..52).collect();
            shuffle(&mut Stream::new(seed, "cards"), 0, &mut cards);
            cards
        };
        let mut sorted = shuffled(1);
        assert!(sorted == shuffled(1) && sorted != shuffled(2));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..52).collect::<Vec<u8>>());
    }
}
