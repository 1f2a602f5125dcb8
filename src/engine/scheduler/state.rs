//! The issuer's state as bytes, kept with the log's index: what a restart would otherwise have to
//! read the whole log for.
//!
//! It holds only what the log says up to that position, so that a restart which finds no state
//! and reads all of the log comes to the same figures. (Maxima and what happened to tickets whose
//! worker died between their first start and the last are not in the log.) Open tickets are not in
//! it: the index finds them, and the log has them. What no log holds (rejections, staffed time) the
//! director carries over.
//!
//! ```text
//! version u8 | run u64 | first ticket of the run u64 | epoch u32 | lease u64 | oldest open u64
//! services u16, for each: issued, served, failed (total, measured), delayed, completions u64
//!     | most waiting, in service and in the system, each with its time, u64 | integrals of both u128
//!     | waits in the window, of accepted tickets, of ended ones u128 | their boundary i128
//!     | number of accepted waits u64
//!     | 4 histograms, length u32 each | batch means of wait and sojourn
//! most waiting, most in the system, each with its time, u64 | batch means of wait and sojourn
//! workers u16, the busy time of each u64
//! loads u16, for each: users u32, the sum of waits u64 and their number u32 of each
//! loads u16, for each: users u32, the next request number of each u64
//! finished requests u32, for each: user u32 | number u64 | ticket u64 | outcome u8
//!
//! batch means: runs u32, the sum of each u64 | values in a run, sum and number of the next u64
//! ```

use super::issuer::Options;
use super::record::{Fields, Outcome};
use super::stats::fairness::UserWaits;
use super::stats::{
    Counts, Latencies, Level, OfficeStats, ServiceStats, Stats, Sum, TimeAverage, Timed, Waits,
};
use super::tokens::Tokens;
use crate::clock::Time;
use crate::ids::{Epoch, RunId, TicketId, Token, UserId};
use crate::perf::{BatchMeans, Histogram};

const VERSION: u8 = 2;

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

/// The figures to keep.
pub(super) struct Figures<'a> {
    pub(super) stats: &'a Stats,
    /// The position in the window that they are kept at.
    pub(super) position: u64,
    /// What open tickets contributed to the integrals of waiting tickets and of tickets in
    /// service, by service; it is left out.
    pub(super) open: &'a [[u128; 2]],
}

/// Appends the state to `out`.
pub(super) fn encode(
    out: &mut Vec<u8>,
    mark: &RunMark,
    (lease, oldest_open): (TicketId, TicketId),
    figures: &Figures<'_>,
    next_seqs: &[Vec<u64>],
    finished: &[(Token, TicketId, Outcome)],
) {
    out.push(VERSION);
    out.extend_from_slice(&mark.run.0.to_be_bytes());
    out.extend_from_slice(&mark.first.0.to_be_bytes());
    out.extend_from_slice(&mark.epoch.0.to_be_bytes());
    out.extend_from_slice(&lease.0.to_be_bytes());
    out.extend_from_slice(&oldest_open.0.to_be_bytes());
    let services = figures.stats.services();
    put_u16(out, services.len());
    for (service, open) in services.iter().zip(figures.open) {
        put_service(out, service, *open, figures.position);
    }
    put_office(out, figures.stats.office());
    put_u16(out, next_seqs.len());
    for users in next_seqs {
        put_u32(out, users.len());
        for seq in users {
            put_u64(out, *seq);
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

fn put_service(out: &mut Vec<u8>, service: &ServiceStats, open: [u128; 2], position: u64) {
    for Counts { issued, served, failed, .. } in [service.totals, service.measured] {
        for count in [issued, served, failed] {
            put_u64(out, count);
        }
    }
    put_u64(out, service.delayed);
    put_u64(out, service.window_completions);
    put_max(out, service.waiting.level());
    put_max(out, service.in_service.level());
    put_max(out, service.in_system);
    let [waiting, in_service] = open;
    for integral in [
        service.waiting.integral_ns(position).saturating_sub(waiting),
        service.in_service.integral_ns(position).saturating_sub(in_service),
        service.waits_in_window.sum_ns(position).saturating_sub(waiting),
        service.accepted_waits.ns,
        service.ended_waits_ns,
    ] {
        out.extend_from_slice(&integral.to_be_bytes());
    }
    out.extend_from_slice(&service.boundary_ns.to_be_bytes());
    put_u64(out, service.accepted_waits.count);
    let Latencies { wait, service: time, sojourn, overhead } = &service.latencies.whole();
    for histogram in [wait, time, sojourn, overhead] {
        let bytes = histogram.to_bytes();
        put_u32(out, bytes.len());
        out.extend_from_slice(&bytes);
    }
    put_means(out, &service.wait_means);
    put_means(out, &service.sojourn_means);
}

fn put_office(out: &mut Vec<u8>, office: &OfficeStats) {
    put_max(out, office.waiting);
    put_max(out, office.in_system);
    put_means(out, &office.wait_means);
    put_means(out, &office.sojourn_means);
    put_u16(out, office.busy_ns.len());
    for busy in &office.busy_ns {
        // Nobody is busy for that long.
        put_u64(out, busy.unwrap_or(u64::MAX));
    }
    let loads = office.user_waits.parts();
    put_u16(out, loads.len());
    for users in loads {
        put_u32(out, users.len());
        for &(sum, count) in users {
            put_u64(out, sum);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

fn put_max(out: &mut Vec<u8>, level: Level) {
    let (max, at) = level.max();
    put_u64(out, max);
    put_u64(out, at.0);
}

fn put_means(out: &mut Vec<u8>, means: &BatchMeans) {
    let (sums, rest) = means.to_parts();
    put_u32(out, sums.len());
    for &number in sums.iter().chain(&rest) {
        put_u64(out, number);
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
    if services != options.services {
        return None;
    }
    let services: Vec<ServiceStats> =
        (0..services).map(|_| take_service(&mut fields)).collect::<Option<_>>()?;
    let office = take_office(&mut fields)?;
    let mut stats = Stats::new(options.services);
    stats.restore(services, office);
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
    let (most_waiting, most_in_service) = (take_max(fields)?, take_max(fields)?);
    let in_system = Level::restored(take_max(fields)?);
    let [waiting, in_service, waits] = [fields.u128()?, fields.u128()?, fields.u128()?];
    let (accepted_ns, ended_waits_ns) = (fields.u128()?, fields.u128()?);
    let boundary_ns = fields.u128()?.cast_signed();
    let accepted_waits = Sum { ns: accepted_ns, count: fields.u64()? };
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
        waiting: TimeAverage::restored(waiting, most_waiting),
        in_service: TimeAverage::restored(in_service, most_in_service),
        in_system,
        waits_in_window: Waits::restored(waits),
        ended_waits_ns,
        boundary_ns,
        lost_ns: 0,
        accepted_waits,
        latencies: Timed::restored(latencies),
        wait_means: take_means(fields)?,
        sojourn_means: take_means(fields)?,
    })
}

fn take_office(fields: &mut Fields<'_>) -> Option<OfficeStats> {
    let waiting = Level::restored(take_max(fields)?);
    let in_system = Level::restored(take_max(fields)?);
    let (wait_means, sojourn_means) = (take_means(fields)?, take_means(fields)?);
    let workers = u16::from_be_bytes(fields.bytes()?);
    let busy = |_| fields.u64().map(|ns| (ns < u64::MAX).then_some(ns));
    let busy_ns = (0..workers).map(busy).collect::<Option<_>>()?;
    let mut loads = Vec::new();
    for _ in 0..u16::from_be_bytes(fields.bytes()?) {
        let users = fields.u32()?;
        let of_user = |_| Some((fields.u64()?, fields.u32()?));
        loads.push((0..users).map(of_user).collect::<Option<Vec<_>>>()?);
    }
    let user_waits = UserWaits::from_parts(loads);
    Some(OfficeStats { waiting, in_system, wait_means, sojourn_means, busy_ns, user_waits })
}

fn take_max(fields: &mut Fields<'_>) -> Option<(u64, Time)> {
    Some((fields.u64()?, Time(fields.u64()?)))
}

fn take_means(fields: &mut Fields<'_>) -> Option<BatchMeans> {
    let runs = fields.u32()?;
    let sums = (0..runs).map(|_| fields.u64()).collect::<Option<_>>()?;
    BatchMeans::from_parts(sums, [fields.u64()?, fields.u64()?, fields.u64()?])
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_u16(out: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).expect("the limits bound services and loads");
    out.extend_from_slice(&count.to_be_bytes());
}

fn put_u32(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("the limits bound users and tokens");
    out.extend_from_slice(&count.to_be_bytes());
}
