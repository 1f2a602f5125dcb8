//! What an issuer tells the director about tickets and the log.

use super::super::control::{Control, Due};
use super::super::links::Links;
use super::serving::Serving;
use crate::clock::Time;
use crate::ids::ServiceId;
use crate::net::message::{
    IndexTotals, IssuerToDirector, IssuerTotals, LatencyScope, OfficeTotals, Peak,
    ServiceLatencies, ServiceTotals, StoreTotals, TicketCounts,
};
use crate::scheduler::stats::{Counts, Latencies, Level, OfficeStats, ServiceStats, Stats};
use crate::storage::LogStats;

/// Sends the telemetry that is due.
pub(super) fn send(
    serving: &mut Serving,
    due: Due,
    control: &Control,
    now: Time,
    links: &mut Links,
) {
    if due.latencies {
        let is_first = !std::mem::replace(&mut serving.has_told, true);
        for (index, timed) in (0..).zip(serving.ledger.core.stats_mut().latencies_mut()) {
            let service = ServiceId(index);
            if is_first {
                send_latencies(service, LatencyScope::Restored, timed.told(), control, links);
            }
            timed.tell(|is_measured, latencies| {
                let scope =
                    if is_measured { LatencyScope::Measured } else { LatencyScope::Outside };
                send_latencies(service, scope, latencies, control, links);
            });
        }
    }
    if due.totals {
        let totals = IssuerTotals { ends_second: due.latencies, ..totals(serving, now) };
        control.send(&IssuerToDirector::Totals(totals), links);
    }
}

/// Returns all that was counted.
pub(super) fn totals(serving: &Serving, now: Time) -> IssuerTotals {
    let stats = serving.ledger.core.stats();
    let log = &serving.ledger.log;
    let mut store = StoreTotals {
        fsync: serving.ledger.log.policy_in_force().to_string(),
        trouble: log.trouble().map(str::to_owned),
        index_trouble: log.index_trouble().map(str::to_owned),
        is_blocked: log.is_blocked(),
        ..StoreTotals::default()
    };
    take_log_stats(&mut store, &log.stats());
    IssuerTotals {
        open: u64::from(serving.ledger.core.open()),
        untold: serving.ledger.core.untold() as u64,
        bad_peers: serving.peers.refused,
        store,
        ..of_stats(stats, now)
    }
}

/// Returns the figures of a moment, wherever they come from.
pub(in crate::roles) fn of_stats(stats: &Stats, now: Time) -> IssuerTotals {
    let position = stats.position(now);
    IssuerTotals {
        at: now,
        office: of_office(stats.office()),
        services: stats.services().iter().map(|service| of_service(service, position)).collect(),
        staffed: stats.staffed().level().value(),
        staffed_ns: stats.staffed().integral_ns(position),
        recovered: stats.recovered,
        redelivered: stats.redelivered,
        ..IssuerTotals::default()
    }
}

fn of_office(office: &OfficeStats) -> OfficeTotals {
    OfficeTotals {
        waiting_max: peak(office.waiting),
        in_system_max: peak(office.in_system),
        wait: office.wait_means.interval(),
        sojourn: office.sojourn_means.interval(),
        workers_fairness: office.workers_fairness(),
        users_fairness: office.user_waits.fairness(),
    }
}

fn peak(level: Level) -> Peak {
    let (count, at) = level.max();
    Peak { count, at }
}

/// Takes over what the log has counted.
pub(super) fn take_log_stats(store: &mut StoreTotals, log: &LogStats) {
    let LogStats { records, bytes, padding_bytes, batches, segments, log_bytes, syncs, .. } = *log;
    (store.records, store.bytes, store.batches, store.syncs) = (records, bytes, batches, syncs);
    (store.segments, store.log_bytes, store.retired) = (segments, log_bytes, log.retired);
    (store.padding_bytes, store.unsynced_bytes) = (padding_bytes, log.unsynced_bytes);
    store.index = IndexTotals {
        keys: log.index_keys,
        bytes: log.index_bytes,
        rows: log.lmdb_rows,
        file_bytes: log.lmdb_bytes,
        behind_bytes: log.unindexed_bytes,
        checkpoints: log.checkpoints,
    };
}

fn of_service(stats: &ServiceStats, position: u64) -> ServiceTotals {
    ServiceTotals {
        totals: counts(stats.totals),
        measured: counts(stats.measured),
        delayed: stats.delayed,
        window_completions: stats.window_completions,
        waiting: stats.waiting.level().value(),
        waiting_max: peak(stats.waiting.level()),
        waiting_ns: stats.waiting.integral_ns(position),
        in_service: stats.in_service.level().value(),
        in_system_max: peak(stats.in_system),
        in_service_ns: stats.in_service.integral_ns(position),
        lost_ns: stats.lost_ns,
        waits_ns: stats.waits_ns(position),
        accepted_waits_ns: stats.accepted_waits.ns,
        accepted_waits: stats.accepted_waits.count,
        wait: stats.wait_means.interval(),
        sojourn: stats.sojourn_means.interval(),
    }
}

fn counts(Counts { issued, rejected, served, failed }: Counts) -> TicketCounts {
    TicketCounts { issued, rejected, served, failed }
}

fn send_latencies(
    service: ServiceId,
    scope: LatencyScope,
    latencies: &Latencies,
    control: &Control,
    links: &mut Links,
) {
    let latencies = ServiceLatencies {
        service,
        scope,
        wait: &latencies.wait.to_bytes(),
        service_time: &latencies.service.to_bytes(),
        sojourn: &latencies.sojourn.to_bytes(),
        overhead: &latencies.overhead.to_bytes(),
    };
    control.send(&IssuerToDirector::Latencies(latencies), links);
}
