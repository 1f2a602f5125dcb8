//! Latencies as users see them, until they are told.

use crate::net::message::UsersLatencies;
use crate::perf::Histogram;
use crate::perf::histogram::InvalidHistogram;

/// What was timed since it was last told.
#[derive(Debug, Default)]
pub(super) struct Timed {
    /// From the intended issue to the user's knowledge of the end.
    pub(super) response: Histogram,
    /// From the intended issue to the sending.
    pub(super) lag: Histogram,
}

impl Timed {
    /// Adds what others have told.
    pub(super) fn merge(&mut self, told: &UsersLatencies<'_>) -> Result<(), InvalidHistogram> {
        self.response.merge(&Histogram::from_bytes(told.response)?);
        self.lag.merge(&Histogram::from_bytes(told.lag)?);
        Ok(())
    }

    /// Tells what was timed, if anything was, and forgets it.
    pub(super) fn tell(&mut self, is_measured: bool, send: impl FnOnce(UsersLatencies<'_>)) {
        let Self { response, lag } = self;
        if response.count() + lag.count() == 0 {
            // There are many user processes, and the warm-up comes once.
            *self = Self::default();
            return;
        }
        let bytes = (response.to_bytes(), lag.to_bytes());
        send(UsersLatencies { is_measured, response: &bytes.0, lag: &bytes.1 });
        response.clear();
        lag.clear();
    }
}
