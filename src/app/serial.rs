//! How snapshots travel to another process: what serde can't know by itself.
//!
//! Spans are whole nanoseconds; texts that the program knows are looked up among those it knows,
//! so that a snapshot of another version is refused rather than half understood.

use engine::config::scenario::FsyncPolicy;
use engine::perf::catalog::{METRICS, Metric};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use super::figures::LATENCIES;
use super::net::ROLES;

/// A text that the program holds. (By this name serde does not take it for a borrowed one.)
pub(crate) type Text = &'static str;
/// A metric of the catalog.
pub(crate) type KnownMetric = &'static Metric;

/// A span in nanoseconds.
pub(crate) mod ns {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(engine::clock::nanos(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

/// A span in nanoseconds, or null.
pub(crate) mod ns_option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(engine::clock::nanos).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::deserialize(from)?.map(Duration::from_nanos))
    }
}

/// Reads the name of a latency.
pub(crate) fn latency<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
    known(&String::deserialize(from)?, LATENCIES)
}

/// Reads the name of a role.
pub(crate) fn role<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
    known(&String::deserialize(from)?, ROLES)
}

/// Reads how the requests of an open load are spread.
pub(crate) fn arrival_model<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
    known(&String::deserialize(from)?, ["poisson", "det"])
}

/// Reads what a power loss takes.
pub(crate) fn power_loss<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
    let policies = [
        FsyncPolicy::None,
        FsyncPolicy::EachBatch,
        FsyncPolicy::Every(1),
        FsyncPolicy::Interval(std::time::Duration::from_secs(1)),
    ];
    known(&String::deserialize(from)?, policies.map(|policy| policy.power_loss_takes()))
}

fn known<E: Error>(text: &str, all: impl IntoIterator<Item = Text>) -> Result<Text, E> {
    let found = all.into_iter().find(|&known| known == text);
    found.ok_or_else(|| E::custom(format!("{text} is not known here")))
}

/// A metric by its name.
pub(crate) mod metric {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(metric: &KnownMetric, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(metric.name)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<KnownMetric, D::Error> {
        let name = String::deserialize(from)?;
        let found = METRICS.iter().find(|metric| metric.name == name);
        found.ok_or_else(|| D::Error::custom(format!("the metric {name} is not known here")))
    }
}

/// The level of a log line by its name.
pub(crate) mod level {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(level: &log::Level, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(level.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<log::Level, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
