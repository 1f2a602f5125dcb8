//! Spans of time from random words.
//!
//! Every distribution uses the same number of words and no rejection loop (inverse transform; the
//! lognormal by Box and Muller), so a draw's place in its stream never moves. That is why
//! `rand_distr` is not used here: its ziggurat takes a varying number of words. Logarithms and
//! the like come from `libm`, which computes the same bits on every machine.

use crate::config::scenario::Distribution;
use crate::rng::{Draw, unit, unit_positive};

/// Returns a span of a distribution, in nanoseconds.
pub fn span_ns(distribution: &Distribution, draw: Draw) -> u64 {
    to_ns(seconds(distribution, draw))
}

fn seconds(distribution: &Distribution, [first, second]: Draw) -> f64 {
    match distribution {
        Distribution::Det(value) => *value,
        Distribution::Exp(mean) => exponential(*mean, first),
        Distribution::Uniform(low, high) => low + (high - low) * unit(first),
        Distribution::Lognormal { mean, cv } => {
            let variance = libm::log(1.0 + cv * cv);
            let location = libm::log(*mean) - variance / 2.0;
            libm::exp(location + libm::sqrt(variance) * normal(first, second))
        }
        Distribution::Hyperexp(branches) => {
            let mut left = unit(first);
            let chosen = branches.iter().find(|(share, _)| {
                left -= share;
                left < 0.0
            });
            let mean = chosen.or(branches.last()).map_or(0.0, |&(_, mean)| mean);
            exponential(mean, second)
        }
    }
}

/// Returns an exponential span (inverse transform).
pub(super) fn exponential(mean: f64, random: u64) -> f64 {
    -mean * libm::log(unit_positive(random))
}

/// Returns a standard normal number (Box and Muller, the cosine branch).
fn normal(first: u64, second: u64) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(unit_positive(first)));
    radius * libm::cos(std::f64::consts::TAU * unit(second))
}

/// Rounds seconds to whole nanoseconds; what is no span counts as none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts from f64 saturate, and not-a-number becomes zero"
)]
pub(super) fn to_ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    /// Returns the mean of a distribution, in seconds.
    fn mean(distribution: &Distribution) -> f64 {
        match distribution {
            Distribution::Det(value) | Distribution::Exp(value) => *value,
            Distribution::Uniform(low, high) => f64::midpoint(*low, *high),
            Distribution::Lognormal { mean, .. } => *mean,
            Distribution::Hyperexp(branches) => {
                branches.iter().map(|(share, mean)| share * mean).sum()
            }
        }
    }

    /// Compares mean and coefficient of variation of many draws with what they should be.
    fn check(distribution: &Distribution, cv: f64) {
        const DRAWS: u32 = 200_000;
        let mut stream = Stream::new(1, "test");
        let (mut sum, mut squares) = (0.0, 0.0);
        for index in 0..u64::from(DRAWS) {
            let value = seconds(distribution, stream.draw(index));
            assert!(value >= 0.0);
            sum += value;
            squares += value * value;
        }
        let found = sum / f64::from(DRAWS);
        let found_cv = (squares / f64::from(DRAWS) - found * found).max(0.0).sqrt() / found;
        let wanted = mean(distribution);
        assert!((found / wanted - 1.0).abs() < 0.02, "{distribution:?}: mean {found}");
        assert!((found_cv - cv).abs() < 0.05 * cv.max(0.1), "{distribution:?}: cv {found_cv}");
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        check(&Distribution::Det(0.02), 0.0);
        check(&Distribution::Exp(0.02), 1.0);
        check(&Distribution::Uniform(0.01, 0.03), 1.0 / 12_f64.sqrt());
        check(&Distribution::Lognormal { mean: 0.02, cv: 1.5 }, 1.5);
        let branches = vec![(0.89, 0.008), (0.11, 0.066)];
        let second_moment = 2.0 * (0.89 * 0.008 * 0.008 + 0.11 * 0.066 * 0.066);
        let mean = 0.89 * 0.008 + 0.11 * 0.066;
        let cv = (second_moment / (mean * mean) - 1.0_f64).sqrt();
        check(&Distribution::Hyperexp(branches), cv);
    }

    #[test]
    fn spans_are_the_same_on_every_machine() {
        let mut stream = Stream::new(42, "user/regulars/17/demand");
        let mut spans = |distribution: Distribution| {
            [0, 1, 2].map(|index| span_ns(&distribution, stream.draw(index)))
        };
        insta::assert_debug_snapshot!([
            spans(Distribution::Exp(0.02)),
            spans(Distribution::Uniform(0.01, 0.03)),
            spans(Distribution::Lognormal { mean: 0.02, cv: 1.5 }),
            spans(Distribution::Hyperexp(vec![(0.89, 0.008), (0.11, 0.066)])),
        ]);
    }

    #[test]
    fn what_is_no_span_is_none() {
        assert_eq!((to_ns(f64::NAN), to_ns(-1.0), to_ns(f64::INFINITY)), (0, 0, u64::MAX));
    }
}
