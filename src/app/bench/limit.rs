//! What limits a figure, told from what was measured beside it.

use std::time::Duration;

use super::report::nanos;
use crate::app::format;

/// From this share on something counts as busy all the time.
const FULL: f64 = 0.8;
/// From this share on the disk is what an office waits for, if it needs the CPUs less.
const HALF: f64 = 0.5;

/// Where a time goes: the machine's part is the floor, the rest is the product's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// What takes the time, in the singular.
    pub(super) per: &'static str,
    /// What the floor does.
    pub(super) machine: &'static str,
    /// What the product does beyond it.
    pub(super) own: &'static str,
}

impl Split {
    /// Says which of both takes more, for the time of one on either side.
    pub(super) fn tell(&self, product_ns: f64, floor_ns: f64) -> String {
        let Self { per, machine, own } = self;
        let (product, floor) = (nanos(product_ns), nanos(floor_ns));
        if floor_ns >= product_ns {
            format!("{machine}: {floor} a {per} for the floor, {product} for the product")
        } else if floor_ns * 2.0 >= product_ns {
            format!("{machine}: {floor} of {product} a {per}; the rest is {own}")
        } else {
            let own_ns = nanos(product_ns - floor_ns);
            format!("{own}: {own_ns} of {product} a {per}; the rest is {machine}")
        }
    }

    /// Says the same for rates.
    pub(super) fn tell_rates(&self, product_per_s: f64, floor_per_s: f64) -> String {
        self.tell(1e9 / product_per_s, 1e9 / floor_per_s)
    }
}

/// What was seen while an office ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfficeFacts {
    /// CPUs of the machine.
    pub(super) cpus: f64,
    /// CPUs that the office kept busy.
    pub(super) cpus_used: f64,
    /// The share of its CPU time that it spent in the kernel.
    pub(super) kernel_share: f64,
    /// CPU time of one ticket.
    pub(super) cpu_ns_per_ticket: f64,
    /// The share of the machine's CPU time that anybody used.
    pub(super) machine_busy: f64,
    /// Syncs, where every batch has one.
    pub(super) syncs: Option<SyncFacts>,
    /// The median time from asking to being told.
    pub(super) response: Duration,
    /// The same for the floor.
    pub(super) floor_response: Duration,
}

/// What was seen of the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct SyncFacts {
    /// The share of the time in which a sync was under way.
    pub(super) share: f64,
    /// How long one took.
    pub(super) mean: Duration,
    /// Tickets told after one sync.
    pub(super) tickets: f64,
}

/// Says what limits an office.
pub(super) fn of_office(facts: &OfficeFacts) -> String {
    let OfficeFacts { cpus, cpus_used, .. } = *facts;
    // Others may keep the CPUs busy while the office waits for its disk.
    let waits_for = |share: f64| share >= FULL || share >= HALF.max(cpus_used / cpus);
    if let Some(syncs) = facts.syncs.filter(|syncs| waits_for(syncs.share)) {
        return format!(
            "the disk: a sync was under way {} of the time, {} each, {} tickets a sync",
            format::percent(syncs.share),
            format::duration(syncs.mean),
            format::rate(syncs.tickets),
        );
    }
    if cpus_used >= FULL * cpus {
        return format!(
            "the CPUs: the office kept {cpus_used:.1} of {cpus} busy, {} of CPU a ticket, {} of it \
             in the kernel",
            nanos(facts.cpu_ns_per_ticket),
            format::percent(facts.kernel_share),
        );
    }
    if facts.machine_busy >= FULL {
        return format!(
            "the CPUs, shared with other programs: all were busy {} of the time, the office had \
             {cpus_used:.1} of {cpus}",
            format::percent(facts.machine_busy),
        );
    }
    let split = Split {
        per: "ticket",
        machine: "handing over from process to process",
        own: "the office's own work, and waiting for its turns",
    };
    let nanos = |span: Duration| span.as_secs_f64() * 1e9;
    split.tell(nanos(facts.response), nanos(facts.floor_response))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: Split = Split { per: "record", machine: "the write", own: "the index" };

    #[test]
    fn the_larger_part_is_named_first() {
        let check = |product, floor, words: &str| assert_eq!(SPLIT.tell(product, floor), words);
        check(100.0, 120.0, "the write: 120ns a record for the floor, 100ns for the product");
        check(100.0, 60.0, "the write: 60.0ns of 100ns a record; the rest is the index");
        check(100.0, 20.0, "the index: 80.0ns of 100ns a record; the rest is the write");
        assert_eq!(SPLIT.tell_rates(1e7, 5e7), SPLIT.tell(100.0, 20.0));
    }

    #[test]
    fn an_office_is_limited_by_what_was_full() {
        let us = Duration::from_micros;
        let sync = SyncFacts { share: 0.93, mean: us(210), tickets: 22.4 };
        let idle = OfficeFacts {
            cpus: 2.0,
            cpus_used: 0.7,
            kernel_share: 0.61,
            cpu_ns_per_ticket: 18_200.0,
            machine_busy: 0.4,
            syncs: Some(SyncFacts { share: 0.3, ..sync }),
            response: us(100),
            floor_response: us(60),
        };
        let check = |facts: &OfficeFacts, words: &str| assert_eq!(of_office(facts), words);
        check(
            &idle,
            "handing over from process to process: 60.0µs of 100µs a ticket; \
             the rest is the office's own work, and waiting for its turns",
        );
        check(
            &OfficeFacts { syncs: Some(sync), cpus_used: 1.9, ..idle },
            "the disk: a sync was under way 93.0 % of the time, 210µs each, 22.4 tickets a sync",
        );
        let halved = Some(SyncFacts { share: 0.6, ..sync });
        check(
            &OfficeFacts { syncs: halved, cpus_used: 0.4, machine_busy: 1.0, ..idle },
            "the disk: a sync was under way 60.0 % of the time, 210µs each, 22.4 tickets a sync",
        );
        check(
            &OfficeFacts { syncs: halved, cpus_used: 1.94, machine_busy: 1.0, ..idle },
            "the CPUs: the office kept 1.9 of 2 busy, 18.2µs of CPU a ticket, 61.0 % of it in the \
             kernel",
        );
        check(
            &OfficeFacts { cpus_used: 1.1, machine_busy: 0.97, ..idle },
            "the CPUs, shared with other programs: all were busy 97.0 % of the time, the office \
             had 1.1 of 2",
        );
    }
}
