//! Every internal metric, once: the table feeds recording, telemetry, exports and documentation.
//!
//! Names are `component.operation.unit`. To add a metric, add a line here and record it where it
//! happens with [`count!`](crate::count) or [`observe!`](crate::observe).

/// One metric. Its number is its place in [`METRICS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// `component.operation.unit`.
    pub name: &'static str,
    /// What is kept of the values.
    pub kind: MetricKind,
    /// What it means.
    pub help: &'static str,
}

/// What is kept of recorded values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Their sum.
    Counter,
    /// How often each size came, with three significant digits.
    Histogram,
}

impl Metric {
    /// Returns the part of the program that records it: what stands before the first dot.
    pub fn component(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// Returns the unit of its values: what stands behind the last dot.
    pub fn unit(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// Declares the metrics of each component and their numbers.
macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $id:ident = $kind:ident $name:literal;)+) => {
        #[expect(non_camel_case_types, reason = "names of constants")]
        #[repr(u16)]
        #[derive(Clone, Copy)]
        enum Number { $($id),+ }
        $($(#[doc = $help])+ pub const $id: u16 = Number::$id as u16;)+

        /// All metrics, by number.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: MetricKind::$kind,
            help: concat!($($help),+),
        }),+];
    };
}

metrics! {
    // --- any process's event loop ---
    /// Time that a turn of an event loop took, waiting left out; one turn in sixteen is timed.
    LOOP_TURN = Histogram "loop.turn.ns";
    /// Frames that were read from peers.
    LOOP_READ_FRAMES = Counter "loop.read.frames";
    /// Bytes that were read from peers.
    LOOP_READ_BYTES = Counter "loop.read.bytes";
    /// Bytes that were sent to peers.
    LOOP_SEND_BYTES = Counter "loop.send.bytes";

    // --- the issuer ---
    /// Tickets that were handed to workers, again or for the first time.
    ISSUER_ASSIGN = Counter "issuer.assign.tickets";

    // --- the log ---
    /// Time to write a batch to the kernel.
    LOGSTORE_WRITE = Histogram "logstore.write.ns";
    /// Bytes that were written with one call.
    LOGSTORE_WRITE_BYTES = Histogram "logstore.write.bytes";
    /// Records in a batch.
    LOGSTORE_BATCH = Histogram "logstore.batch.records";
    /// Time of a sync of the log's tail, after which its records are on the disk.
    LOGSTORE_FSYNC = Histogram "logstore.fsync.ns";
    /// Time that a checkpoint of the index took.
    LOGSTORE_CHECKPOINT = Histogram "logstore.checkpoint.ns";

    // --- workers ---
    /// How late a worker woke for a ticket whose work is to wait.
    WORKER_OVERSHOOT = Histogram "worker.overshoot.ns";

    // --- user processes ---
    /// Requests that were sent again after a lost connection.
    USER_RESEND = Counter "user.resend.requests";

    // --- the director ---
    /// Time to make a snapshot.
    DIRECTOR_SNAPSHOT = Histogram "director.snapshot.ns";

    // --- the dashboard ---
    /// Time to draw a frame, without sending it to the terminal.
    DASHBOARD_FRAME = Histogram "dashboard.frame.ns";
    /// Bytes of a frame that was sent to the terminal.
    DASHBOARD_SEND = Histogram "dashboard.send.bytes";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in `docs/metrics.md` is this one; `UPDATE_DOCS=1 cargo test` writes it again.
    #[test]
    fn the_documentation_lists_every_metric() {
        use std::fmt::Write as _;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let written = std::fs::read_to_string(path).unwrap();
        let (head, _) = written.split_once("| metric |").unwrap();
        let mut text = format!("{head}| metric | kind | unit | what it is |\n|---|---|---|---|\n");
        for metric in METRICS {
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Histogram => "histogram",
            };
            let (name, unit, help) = (metric.name, metric.unit(), metric.help.trim());
            writeln!(text, "| `{name}` | {kind} | {unit} | {help} |").unwrap();
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let current = std::fs::read_to_string(path).unwrap();
        assert!(
            current == text,
            "docs/metrics.md is not up to date: UPDATE_DOCS=1 cargo test writes it"
        );
    }

    #[test]
    fn names_say_component_operation_and_unit_and_occur_once() {
        let mut names = std::collections::BTreeSet::new();
        for metric in METRICS {
            let parts: Vec<&str> = metric.name.split('.').collect();
            let is_word = |part: &&str| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            };
            assert!(parts.len() == 3 && parts.iter().all(is_word), "{}", metric.name);
            assert!(
                ["ns", "bytes", "frames", "records", "requests", "tickets"]
                    .contains(&metric.unit())
            );
            assert!(metric.help.trim().ends_with('.'), "{}: {}", metric.name, metric.help);
            assert!(names.insert(metric.name), "{} is there twice", metric.name);
        }
        assert_eq!(METRICS[usize::from(LOGSTORE_FSYNC)].name, "logstore.fsync.ns");
        assert_eq!(METRICS[usize::from(LOGSTORE_FSYNC)].component(), "logstore");
    }
}
