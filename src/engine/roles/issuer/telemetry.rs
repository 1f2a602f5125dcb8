//! What an issuer tells the director about tickets and the log.

use super::super::control::{Control, Due};
use super::super::links::Links;
use super::serving::Serving;
use crate::clock::Time;
use crate::ids::ServiceId;
use crate::net::message::{
    IndexTotals, IssuerToDirector, IssuerTotals, ServiceLatencies, ServiceTotals, StoreTotals,
    TicketCounts,
};
use crate::scheduler::stats::{Counts, ServiceStats};
use crate::storage::LogStats;
use crate::timeline::Timeline;

/// Sends the telemetry that is due.
pub(super) fn send(serving: &Serving, due: Due, control: &Control, now: Time, links: &mut Links) {
    if due.totals {
        control.send(&IssuerToDirector::Totals(totals(serving, now)), links);
    }
    if due.latencies {
        for (index, stats) in (0..).zip(serving.ledger.core.stats().services()) {
            send_latencies(ServiceId(index), stats, control, links);
        }
    }
}

/// Returns all that was counted.
pub(super) fn totals(serving: &Serving, now: Time) -> IssuerTotals {
    let stats = serving.ledger.core.stats();
    let line = stats.timeline();
    let log = &serving.ledger.log;
    let mut store = StoreTotals {
        sync: serving.sync_times.spread().map(Into::into),
        trouble: log.trouble().map(str::to_owned),
        index_trouble: log.index_trouble().map(str::to_owned),
        is_blocked: log.is_blocked(),
        ..StoreTotals::default()
    };
    take_log_stats(&mut store, &log.stats());
    IssuerTotals {
        at: now,
        services: stats.services().iter().map(|service| of_service(service, now, line)).collect(),
        open: u64::from(serving.ledger.core.open()),
        staffed: stats.staffed().value(),
        staffed_ns: saturating(stats.staffed().integral_ns(now, line)),
        recovered: stats.recovered,
        redelivered: stats.redelivered,
        bad_peers: serving.peers.refused,
        store,
    }
}

/// Takes over what the log has counted.
pub(super) fn take_log_stats(store: &mut StoreTotals, log: &LogStats) {
    let LogStats { records, bytes, batches, segments, log_bytes, syncs, .. } = *log;
    (store.records, store.bytes, store.batches, store.syncs) = (records, bytes, batches, syncs);
    (store.segments, store.log_bytes, store.retired) = (segments, log_bytes, log.retired);
    store.unsynced_bytes = log.unsynced_bytes;
    store.index = IndexTotals {
        keys: log.index_keys,
        bytes: log.index_bytes,
        rows: log.lmdb_rows,
        file_bytes: log.lmdb_bytes,
        behind_bytes: log.unindexed_bytes,
        checkpoints: log.checkpoints,
    };
}

fn of_service(stats: &ServiceStats, now: Time, line: &Timeline) -> ServiceTotals {
    ServiceTotals {
        totals: counts(stats.totals),
        measured: counts(stats.measured),
        delayed: stats.delayed,
        window_completions: stats.window_completions,
        waiting: stats.waiting.value(),
        waiting_max: stats.waiting.max(),
        waiting_ns: saturating(stats.waiting.integral_ns(now, line)),
        in_service: stats.in_service.value(),
        in_service_ns: saturating(stats.in_service.integral_ns(now, line)),
    }
}

fn counts(Counts { issued, rejected, served, failed }: Counts) -> TicketCounts {
    TicketCounts { issued, rejected, served, failed }
}

fn send_latencies(service: ServiceId, stats: &ServiceStats, control: &Control, links: &mut Links) {
    let latencies = &stats.latencies;
    let latencies = ServiceLatencies {
        service,
        wait: &latencies.wait.to_bytes(),
        service_time: &latencies.service.to_bytes(),
        sojourn: &latencies.sojourn.to_bytes(),
        overhead: &latencies.overhead.to_bytes(),
    };
    control.send(&IssuerToDirector::Latencies(latencies), links);
}

/// 584 years of one seat, or two hours of 80,000, fit 64 bits; more stays at the end.
fn saturating(integral_ns: u128) -> u64 {
    u64::try_from(integral_ns).unwrap_or(u64::MAX)
}
