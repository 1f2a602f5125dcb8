//! Comparing two things that take turns.
//!
//! A shared machine is never as fast for two seconds, so figures of different moments say nothing
//! about each other. Here the product and its floor (what the machine does without it) take turns
//! in short windows; only the ratio inside one turn means something, and the median over the turns
//! is what is told.

use std::time::Duration;

/// How often, and for how long at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Turns of each side.
    pub count: usize,
    /// How long one side's turn is.
    pub window: Duration,
}

impl Turns {
    /// Divides a time into an odd number of turns, at least `least`, none longer than `longest`.
    ///
    /// # Panics
    /// If there is to be no turn, or one without length.
    pub fn of(total: Duration, least: u32, longest: Duration) -> Self {
        assert!(least > 0 && !longest.is_zero(), "a turn has a length");
        let wanted = total.as_nanos().div_ceil(longest.as_nanos());
        let count = u32::try_from(wanted).unwrap_or(u32::MAX - 1).max(least) | 1;
        Self { count: count as usize, window: total / count }
    }
}

/// Lets two things take turns and returns what each returned, one entry per turn.
///
/// # Errors
/// The first error of either.
pub fn alternate<A, B, E>(
    turns: Turns,
    mut ours: impl FnMut(Duration) -> Result<A, E>,
    mut floor: impl FnMut(Duration) -> Result<B, E>,
) -> Result<(Vec<A>, Vec<B>), E> {
    let pairs = (0..turns.count).map(|_| Ok((ours(turns.window)?, floor(turns.window)?)));
    pairs.collect()
}

/// Returns the median, the upper one of two.
///
/// # Panics
/// If there is no value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns the median of the turns' ratios.
///
/// # Panics
/// If there was no turn.
pub fn median_ratio(ours: &[f64], floors: &[f64]) -> f64 {
    median(ours.iter().zip(floors).map(|(ours, floor)| ours / floor).collect())
}

/// Returns the turn whose ratio is the median: its figures belong together.
///
/// # Panics
/// If there was no turn.
pub fn median_turn(ours: &[f64], floors: &[f64]) -> usize {
    let mut ratios: Vec<(f64, usize)> =
        ours.iter().zip(floors).map(|(ours, floor)| ours / floor).zip(0..).collect();
    ratios.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    ratios[ratios.len() / 2].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_divided_into_an_odd_number_of_short_turns() {
        let check = |total_ms, count, window_ms| {
            let turns = Turns::of(Duration::from_millis(total_ms), 5, Duration::from_millis(500));
            assert_eq!(turns, Turns { count, window: Duration::from_millis(window_ms) });
        };
        check(50, 5, 10);
        check(1000, 5, 200);
        check(2500, 5, 500);
        check(3500, 7, 500);
        check(9 * 400, 9, 400);
    }

    #[test]
    fn both_take_turns_until_one_fails() {
        let turns = Turns { count: 3, window: Duration::from_millis(7) };
        let log = std::cell::RefCell::new(Vec::new());
        let note = |name| {
            log.borrow_mut().push(name);
            if log.borrow().len() < 5 { Ok(log.borrow().len()) } else { Err(name) }
        };
        assert_eq!(alternate(turns, |_| note("ours"), |_| note("floor")), Err("ours"));
        assert_eq!(log.take(), ["ours", "floor", "ours", "floor", "ours"]);
        let windows = alternate(turns, Ok::<_, ()>, |window| Ok(window * 2)).unwrap();
        assert_eq!(windows, (vec![turns.window; 3], vec![turns.window * 2; 3]));
    }

    #[test]
    fn the_median_turn_has_the_median_ratio() {
        let (ours, floors) = ([10.0, 2.0, 9.0], [2.0, 1.0, 3.0]);
        assert_eq!(median_ratio(&ours, &floors), 3.0);
        assert_eq!(median_turn(&ours, &floors), 2);
        assert_eq!(median(vec![4.0, 1.0]), 4.0);
    }
}
