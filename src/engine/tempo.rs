//! How fast users live.
//!
//! Users keep their timers in *demand time*. It is office time as the scenario has it; people can
//! make it go faster or slower, for all loads (speed) or for one (its rate). What each user asks
//! for, and at which demand time, is the same pure function of the seed whatever the tempo: only
//! when that is, is not.
//!
//! The demand time of a load is a piecewise linear function of office time, its [`Course`]. A
//! change appends a piece and touches nothing before it, so no timer has to be moved, and since
//! the function has no steps a change makes neither a burst nor a gap. Both directions are
//! computed in whole numbers and belong together: [`Course::office`] is exactly the first office
//! time at which [`Course::demand`] has got there. So a request is due at one moment, whoever
//! computes it, and its lateness is measured from there.

use std::fmt;

use crate::ids::LoadId;
use crate::limits;

/// How many times as fast as office time a demand time goes, in steps of 10⁻¹².
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(u64);

impl Factor {
    const PARTS: u64 = 1_000_000_000_000;
    /// As fast as office time.
    pub const ONE: Self = Self(Self::PARTS);
    /// The slowest that there is...
    pub const MIN: Self = Self(Self::PARTS / limits::TEMPO_FACTOR_MAX);
    /// ...and the fastest.
    pub const MAX: Self = Self(Self::PARTS * limits::TEMPO_FACTOR_MAX);

    /// Returns a factor; `None` if it is not from [`Self::MIN`] to [`Self::MAX`].
    pub fn new(times: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "casts from f64 saturate, and what is no factor is refused"
        )]
        let parts = (times * Self::PARTS as f64).round() as u64;
        Self::of_parts(parts)
    }

    /// Returns a factor from its steps, as [`Self::parts`] gives them.
    pub fn of_parts(parts: u64) -> Option<Self> {
        Some(Self(parts)).filter(|factor| (Self::MIN..=Self::MAX).contains(factor))
    }

    /// Returns the factor in steps of 10⁻¹².
    pub fn parts(self) -> u64 {
        self.0
    }

    /// Returns the demand time that passes in some office time, rounded down.
    fn demand_in(self, office_ns: u64) -> u64 {
        saturated(u128::from(office_ns) * u128::from(self.0) / u128::from(Self::PARTS))
    }

    /// Returns the least office time in which some demand time passes.
    fn office_for(self, demand_ns: u64) -> u64 {
        let parts = u128::from(demand_ns) * u128::from(Self::PARTS);
        saturated(parts.div_ceil(u128::from(self.0)))
    }
}

impl Default for Factor {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "a factor for people")]
        let times = self.0 as f64 / Self::PARTS as f64;
        write!(f, "x{times}")
    }
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// From some office time on, demand time goes on from there with this factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The office time, in nanoseconds.
    pub office_ns: u64,
    /// The demand time that has been reached by then, in nanoseconds.
    pub demand_ns: u64,
    /// How fast it goes on.
    pub factor: Factor,
}

impl Piece {
    const FIRST: Self = Self { office_ns: 0, demand_ns: 0, factor: Factor::ONE };

    fn demand(&self, office_ns: u64) -> u64 {
        let since = office_ns.saturating_sub(self.office_ns);
        self.demand_ns.saturating_add(self.factor.demand_in(since))
    }
}

/// The demand time of one load; without pieces it is office time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course(Vec<Piece>);

impl Course {
    /// Returns a course of these pieces, in order; `None` if they are none.
    pub fn of(pieces: Vec<Piece>) -> Option<Self> {
        let begins =
            pieces.first().is_none_or(|first| (first.office_ns, first.demand_ns) == (0, 0));
        let rises = pieces.windows(2).all(|pair| {
            pair[0].office_ns < pair[1].office_ns && pair[0].demand_ns <= pair[1].demand_ns
        });
        let is_bounded = pieces.len() <= limits::TEMPO_PIECES_MAX;
        (begins && rises && is_bounded).then_some(Self(pieces))
    }

    /// Returns the pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Returns the demand time at an office time, both in nanoseconds. It never falls.
    pub fn demand(&self, office_ns: u64) -> u64 {
        let after = self.0.partition_point(|piece| piece.office_ns <= office_ns);
        let Some(piece) = self.0[..after].last() else { return office_ns };
        let demand_ns = piece.demand(office_ns);
        self.0.get(after).map_or(demand_ns, |next| demand_ns.min(next.demand_ns))
    }

    /// Returns the first office time at which the demand time has got to `demand_ns`.
    pub fn office(&self, demand_ns: u64) -> u64 {
        let after = self.0.partition_point(|piece| piece.demand_ns < demand_ns);
        let Some(piece) = self.0[..after].last() else {
            return if self.0.is_empty() { demand_ns } else { 0 };
        };
        let since = piece.factor.office_for(demand_ns - piece.demand_ns);
        let office_ns = piece.office_ns.saturating_add(since);
        self.0.get(after).map_or(office_ns, |next| office_ns.min(next.office_ns))
    }

    /// Lets demand time go on with another factor from some office time on. What was decided for
    /// later gives way.
    pub fn change(&mut self, factor: Factor, office_ns: u64) {
        if self.0.is_empty() {
            self.0.push(Piece::FIRST);
        }
        let demand_ns = self.demand(office_ns);
        self.0.retain(|piece| piece.office_ns < office_ns);
        if self.0.last().is_none_or(|last| last.factor != factor) {
            self.0.push(Piece { office_ns, demand_ns, factor });
        }
        while self.0.len() > limits::TEMPO_PIECES_MAX {
            self.fold();
        }
    }

    /// Makes one piece of the two oldest, which leads to where they led.
    fn fold(&mut self) {
        let (second, third) = (self.0.remove(1), self.0[1]);
        debug_assert!(second.office_ns < third.office_ns);
        let parts =
            u128::from(third.demand_ns) * u128::from(Factor::PARTS) / u128::from(third.office_ns);
        self.0[0].factor = Factor(saturated(parts)).clamp(Factor::MIN, Factor::MAX);
    }
}

/// The courses of all loads, by [`LoadId`]; those that are not there go as office time.
///
/// The director owns it and sends it whole on every change and to every new process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tempo(pub Vec<Course>);

impl Tempo {
    /// Returns how the demand time of a load goes.
    pub fn course(&self, load: LoadId) -> &Course {
        static PLAIN: Course = Course(Vec::new());
        self.0.get(usize::from(load.0)).unwrap_or(&PLAIN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn times(factor: f64) -> Factor {
        Factor::new(factor).unwrap()
    }

    /// One second as the scenario has it, two seconds three times as fast, then half as fast.
    fn course() -> Course {
        let mut course = Course::default();
        course.change(times(3.0), SECOND);
        course.change(times(0.5), 3 * SECOND);
        course
    }

    #[test]
    fn demand_time_goes_as_fast_as_was_asked_from_each_change_on() {
        let course = course();
        for (office, demand) in [(0, 0), (500, 500), (1000, 1000), (2000, 4000), (5000, 8000)] {
            let ms = 1_000_000;
            assert_eq!(course.demand(office * ms), demand * ms, "at {office} ms");
            assert_eq!(course.office(demand * ms), office * ms, "until {demand} ms");
        }
        assert_eq!(Course::default().demand(7), 7);
        assert_eq!(Course::default().office(7), 7);
        assert_eq!(course.office(u64::MAX), u64::MAX, "never");
    }

    #[test]
    fn a_later_wish_for_the_same_moment_counts() {
        let mut course = course();
        course.change(times(10.0), 3 * SECOND);
        assert_eq!(course.demand(4 * SECOND), 17 * SECOND);
        course.change(times(1.0), 2 * SECOND);
        assert_eq!(course.demand(4 * SECOND), 6 * SECOND, "it was decided for later");
        let pieces = course.pieces().len();
        course.change(times(1.0), 9 * SECOND);
        assert_eq!(course.pieces().len(), pieces, "nothing has changed");
    }

    #[test]
    fn only_factors_within_the_bounds_exist() {
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7, 1e-7] {
            assert_eq!(Factor::new(none), None, "{none}");
        }
        assert_eq!((times(1e6), times(1e-6)), (Factor::MAX, Factor::MIN));
        assert_eq!(times(0.1).demand_in(10), 1, "exactly, though 0.1 is not");
    }

    #[test]
    fn the_oldest_pieces_are_folded_and_the_rest_stays_as_it_was() {
        let mut course = Course::default();
        let most = limits::TEMPO_PIECES_MAX as u64;
        for change in 1..most {
            course.change(times(if change % 2 == 0 { 1.0 } else { 2.0 }), change * SECOND);
        }
        let (whole, border) = (course.clone(), 2 * SECOND);
        course.change(times(7.0), most * SECOND);
        assert_eq!(course.pieces().len(), limits::TEMPO_PIECES_MAX);
        for office_ns in (border..most * SECOND).step_by(123_456_789) {
            assert_eq!(course.demand(office_ns), whole.demand(office_ns));
        }
        assert!(course.demand(SECOND) > SECOND, "what is long ago is known on average");
    }

    #[test]
    fn pieces_from_outside_must_be_a_course() {
        let piece = |office_ns, demand_ns| Piece { office_ns, demand_ns, factor: Factor::ONE };
        assert!(Course::of(course().0).is_some() && Course::of(Vec::new()).is_some());
        for none in [
            vec![piece(1, 0)],
            vec![piece(0, 0), piece(0, 5)],
            vec![piece(0, 0), piece(4, 5), piece(6, 4)],
            (0..=limits::TEMPO_PIECES_MAX as u64).map(|at| piece(at, at)).collect(),
        ] {
            assert_eq!(Course::of(none.clone()), None, "{none:?}");
        }
    }

    prop_compose! {
        /// Any changes, at any distances, of which the last may be for one moment.
        fn courses()(
            changes in prop::collection::vec((0u64..4 * SECOND, 1u64..=1_000_000_000), 0..90),
        ) -> Course {
            let (mut course, mut office_ns) = (Course::default(), 0);
            for (span, parts) in changes {
                office_ns += span;
                course.change(Factor(Factor::MIN.0 * parts), office_ns);
            }
            course
        }
    }

    proptest! {
        #[test]
        fn an_office_time_is_the_first_at_which_demand_has_got_there(
            course in courses(), demand_ns in 0u64..400_000 * SECOND,
        ) {
            let office_ns = course.office(demand_ns);
            prop_assume!(office_ns < u64::MAX);
            prop_assert!(course.demand(office_ns) >= demand_ns);
            prop_assert!(office_ns == 0 || course.demand(office_ns - 1) < demand_ns);
        }

        #[test]
        fn demand_time_never_falls_and_never_jumps(
            course in courses(), office_ns in 0u64..400 * SECOND, span in 0u64..SECOND,
        ) {
            let (from, to) = (course.demand(office_ns), course.demand(office_ns + span));
            prop_assert!(from <= to);
            let fastest = course.pieces().iter().map(|piece| piece.factor).max();
            let most = fastest.unwrap_or_default().demand_in(span);
            prop_assert!(to - from <= most + 2, "no burst: {} in {span}", to - from);
        }

        #[test]
        fn a_change_touches_nothing_before_it(
            course in courses(), office_ns in 0u64..400 * SECOND, before in 0u64..400 * SECOND,
        ) {
            prop_assume!(course.pieces().len() < limits::TEMPO_PIECES_MAX);
            let mut changed = course.clone();
            changed.change(times(5.0), office_ns);
            let before = before.min(office_ns);
            prop_assert_eq!(changed.demand(before), course.demand(before));
            prop_assert_eq!(Course::of(changed.0.clone()), Some(changed));
        }
    }
}
