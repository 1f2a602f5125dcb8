//! The issuer's state as bytes, kept with the log's index: what a restart would otherwise have to
//! read the whole log for.
//!
//! It holds only what the log says up to that position, so that a restart which finds no state
//! and reads all of the log comes to the same counts, latencies and tokens. (Time averages then lack
//! their maxima, a second wait of tickets whose worker died, and tickets of earlier runs.) Open
//! tickets are not in it: the index finds them, and the log has them. What no log holds
//! (rejections, staffed time) the director carries over.
//!
//! ```text
//! version u8 | run u64 | first ticket of the run u64 | epoch u32 | lease u64 | oldest open u64
//! services u16, for each: issued, served, failed (total, measured), delayed, completions u64
//!     | most waiting, most in service u64 | integrals of both u128 | 4 histograms, length u32 each
//! loads u16, for each: users u32, the next request number of each u64
//! finished requests u32, for each: user u32 | number u64 | ticket u64 | outcome u8
//! ```

use super::issuer::Options;
use super::record::{Fields, Outcome};
use super::stats::{Counts, Latencies, ServiceStats, Stats, TimeAverage};
use super::tokens::Tokens;
use crate::ids::{Epoch, RunId, TicketId, Token, UserId};
use crate::perf::Histogram;

const VERSION: u8 = 1;

/// Where a run stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunMark {
    /// The run.
    pub run: RunId,
    /// Its first ticket has at least this id; all below belong to earlier runs.
    pub first: TicketId,
    /// The latest start of the issuer.
    pub epoch: Epoch,
}

/// What [`encode`] wrote.
#[derive(Debug)]
pub(super) struct State {
    pub(super) mark: RunMark,
    pub(super) lease: TicketId,
    pub(super) oldest_open: TicketId,
    pub(super) stats: Stats,
    pub(super) tokens: Tokens,
}

/// Appends the state to `out`. The integrals are without what open tickets contributed.
pub(super) fn encode(
    out: &mut Vec<u8>,
    mark: &RunMark,
    (lease, oldest_open): (TicketId, TicketId),
    services: &[(ServiceStats, [u128; 2])],
    next_seqs: &[Vec<u64>],
    finished: &[(Token, TicketId, Outcome)],
) {
    out.push(VERSION);
    out.extend_from_slice(&mark.run.0.to_be_bytes());
    out.extend_from_slice(&mark.first.0.to_be_bytes());
    out.extend_from_slice(&mark.epoch.0.to_be_bytes());
    out.extend_from_slice(&lease.0.to_be_bytes());
    out.extend_from_slice(&oldest_open.0.to_be_bytes());
    put_u16(out, services.len());
    for (service, integrals) in services {
        put_service(out, service, *integrals);
    }
    put_u16(out, next_seqs.len());
    for users in next_seqs {
        put_u32(out, users.len());
        for seq in users {
            out.extend_from_slice(&seq.to_be_bytes());
        }
    }
    put_u32(out, finished.len());
    for (token, id, outcome) in finished {
        out.extend_from_slice(&token.user.0.to_be_bytes());
        out.extend_from_slice(&token.seq.to_be_bytes());
        out.extend_from_slice(&id.0.to_be_bytes());
        out.push(outcome.code());
    }
}

fn put_service(out: &mut Vec<u8>, service: &ServiceStats, integrals: [u128; 2]) {
    for Counts { issued, served, failed, .. } in [service.totals, service.measured] {
        for count in [issued, served, failed] {
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
    let maxima = [service.waiting.max(), service.in_service.max()];
    for count in [service.delayed, service.window_completions].into_iter().chain(maxima) {
        out.extend_from_slice(&count.to_be_bytes());
    }
    for integral in integrals {
        out.extend_from_slice(&integral.to_be_bytes());
    }
    let Latencies { wait, service, sojourn, overhead } = &service.latencies;
    for histogram in [wait, service, sojourn, overhead] {
        let bytes = histogram.to_bytes();
        put_u32(out, bytes.len());
        out.extend_from_slice(&bytes);
    }
}

/// Reads a state; `None` if it is of another version or of an office with other services.
pub(super) fn decode(bytes: &[u8], options: &Options) -> Option<State> {
    let mut fields = Fields(bytes);
    if fields.bytes::<1>()? != [VERSION] {
        return None;
    }
    let mark = RunMark {
        run: RunId(fields.u64()?),
        first: TicketId(fields.u64()?),
        epoch: Epoch(fields.u32()?),
    };
    let (lease, oldest_open) = (TicketId(fields.u64()?), TicketId(fields.u64()?));
    let services = usize::from(u16::from_be_bytes(fields.bytes()?));
    let services: Vec<ServiceStats> =
        (0..services).map(|_| take_service(&mut fields)).collect::<Option<_>>()?;
    let mut stats = Stats::new(options.services);
    stats.restore(services);
    let mut tokens = Tokens::default();
    for load in 0..u16::from_be_bytes(fields.bytes()?) {
        for index in 0..fields.u32()? {
            let seq = fields.u64()?;
            tokens.restore_next_seq(usize::from(load), index as usize, seq);
        }
    }
    for _ in 0..fields.u32()? {
        let token = Token { user: UserId(fields.u32()?), seq: fields.u64()? };
        let id = TicketId(fields.u64()?);
        let [outcome] = fields.bytes()?;
        tokens.finish(token, id, Outcome::from_code(outcome)?);
    }
    fields.0.is_empty().then_some(State { mark, lease, oldest_open, stats, tokens })
}

fn take_service(fields: &mut Fields<'_>) -> Option<ServiceStats> {
    let mut counts = || {
        let (issued, served, failed) = (fields.u64()?, fields.u64()?, fields.u64()?);
        Some(Counts { issued, served, failed, rejected: 0 })
    };
    let (totals, measured) = (counts()?, counts()?);
    let (delayed, window_completions) = (fields.u64()?, fields.u64()?);
    let maxima = [fields.u64()?, fields.u64()?];
    let integrals = [fields.u128()?, fields.u128()?];
    let mut histogram = || {
        let bytes = fields.u32()? as usize;
        Histogram::from_bytes(fields.take(bytes)?).ok()
    };
    let latencies = Latencies {
        wait: histogram()?,
        service: histogram()?,
        sojourn: histogram()?,
        overhead: histogram()?,
    };
    Some(ServiceStats {
        totals,
        measured,
        delayed,
        window_completions,
        waiting: TimeAverage::restored(integrals[0], maxima[0]),
        in_service: TimeAverage::restored(integrals[1], maxima[1]),
        latencies,
    })
}

fn put_u16(out: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).expect("the limits bound services and loads");
    out.extend_from_slice(&count.to_be_bytes());
}

fn put_u32(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("the limits bound users and tokens");
    out.extend_from_slice(&count.to_be_bytes());
}
