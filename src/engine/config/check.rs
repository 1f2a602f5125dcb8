//! What single keys can't tell: whether they fit each other.

use std::time::Duration;

use super::parse::{ConfigError, Origin};
use super::scenario::{self, Load, LoadModel, OnOverrun, Scenario, Service, Slo};
use super::schema::{Draft, DraftLoad, DraftService};
use crate::limits;

/// Looks at the keys together.
pub(super) struct Checks<'a> {
    pub(super) draft: Draft,
    pub(super) origin_of: &'a dyn Fn(&str, &str) -> Origin,
    pub(super) errors: &'a mut Vec<ConfigError>,
}

impl Checks<'_> {
    /// Returns the scenario; it is only valid if no error was added.
    pub(super) fn scenario(mut self) -> Scenario {
        let warmup = self.warmup();
        let seats = self.seats();
        let services = self.services();
        let loads = self.loads();
        let slos = self.slos(&services);
        let Draft { seed, duration, drain, explode, workers, .. } = self.draft;
        let Draft { scheduler, discipline, room, retry, max_processes, .. } = self.draft;
        let Draft { fsync, segment_bytes, retain_bytes, index_bytes, compression, .. } = self.draft;
        let Draft { frame_max_bytes, outbox_high_bytes, metrics_listen, .. } = self.draft;
        let Draft { metrics_recording, .. } = self.draft;
        Scenario {
            run: scenario::Run { seed, duration, warmup, drain, explode_waiting: explode },
            slos,
            office: scenario::Office { workers, seats, scheduler, discipline, room, retry },
            services,
            loads,
            users: scenario::Users { max_processes },
            storage: scenario::Storage {
                fsync,
                segment_bytes,
                retain_bytes,
                index_bytes,
                compression,
            },
            net: scenario::Net { frame_max_bytes, outbox_high_bytes },
            metrics: scenario::Metrics { listen: metrics_listen, recording: metrics_recording },
        }
    }

    fn error(&mut self, section: &str, key: &str, problem: &str) {
        let origin = (self.origin_of)(section, key);
        self.errors.push(ConfigError { origin, problem: format!("{section}.{key}: {problem}") });
    }

    fn warmup(&mut self) -> Duration {
        let most = Duration::from_secs(3);
        let Some(duration) = self.draft.duration else { return self.draft.warmup.unwrap_or(most) };
        let warmup = self.draft.warmup.unwrap_or_else(|| (duration / 10).min(most));
        if warmup >= duration {
            let problem = format!(
                "{warmup:?} is not shorter than run.duration, which is {duration:?}; \
                 set a shorter one, for example --set run.warmup=0s"
            );
            self.error("run", "warmup", &problem);
        }
        warmup
    }

    fn seats(&mut self) -> u32 {
        let workers = u32::from(self.draft.workers);
        let seats = self.draft.seats.unwrap_or(workers);
        if seats < workers {
            let problem =
                format!("{seats} seats are too few for {workers} workers; each needs at least one");
            self.error("office", "seats", &problem);
        }
        seats
    }

    fn services(&mut self) -> Vec<Service> {
        let services = std::mem::take(&mut self.draft.services);
        if services.len() > limits::SERVICES_MAX {
            let last = format!("service.{}", services[limits::SERVICES_MAX].name);
            let problem = format!("there are more than {} services", limits::SERVICES_MAX);
            self.error(&last, "time", &problem);
        }
        let given: f64 = services.iter().filter_map(|service| service.share).sum();
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let open = services.iter().filter(|service| service.share.is_none()).count() as f64;
        if given > 1.0 + 1e-9 || (open == 0.0 && given < 1.0 - 1e-9) {
            let with_share = services.iter().find(|service| service.share.is_some());
            let section = format!("service.{}", with_share.map_or("", |service| &service.name));
            let problem = format!("the shares of all services sum to {}%, not 100%", given * 100.0);
            self.error(&section, "share", &problem);
        }
        let rest = if open > 0.0 { (1.0 - given).max(0.0) / open } else { 0.0 };
        let service = |service: DraftService| Service {
            share: service.share.unwrap_or(rest),
            name: service.name,
            time: service.time,
            work: service.work,
        };
        services.into_iter().map(service).collect()
    }

    fn slos(&mut self, services: &[Service]) -> Vec<Slo> {
        let slos = std::mem::take(&mut self.draft.slos);
        let goals: usize = slos.iter().map(|slo| slo.goals.len()).sum();
        if goals > limits::GOALS_MAX
            && let Some(last) = slos.last()
        {
            let problem = format!("there are more than {} goals", limits::GOALS_MAX);
            self.error("slo", &last.name, &problem);
        }
        for slo in &slos {
            let named = slo.goals.iter().filter_map(|goal| goal.service.as_deref());
            for name in named.filter(|name| services.iter().all(|known| known.name != *name)) {
                let known: Vec<&str> = services.iter().map(|known| &known.name[..]).collect();
                let known = known.join(", ");
                let problem = format!("there is no service {name}; there are: {known}");
                self.error("slo", &slo.name, &problem);
            }
        }
        slos
    }

    fn loads(&mut self) -> Vec<Load> {
        let loads = std::mem::take(&mut self.draft.loads);
        if loads.len() > limits::LOADS_MAX {
            let last = format!("load.{}", loads[limits::LOADS_MAX].name);
            let problem = format!("there are more than {} loads", limits::LOADS_MAX);
            self.error(&last, "model", &problem);
        }
        let users: u64 = loads.iter().map(|load| u64::from(load.users)).sum();
        if users > u64::from(limits::USERS_MAX)
            && let Some(load) = loads.iter().max_by_key(|load| load.users)
        {
            let section = format!("load.{}", load.name);
            let problem = format!("{users} users in all are more than {}", limits::USERS_MAX);
            self.error(&section, "users", &problem);
        }
        loads.into_iter().map(|load| self.load(load)).collect()
    }

    fn load(&mut self, load: DraftLoad) -> Load {
        let section = format!("load.{}", load.name);
        let misplaced = if load.is_open {
            [("think", load.think.is_some(), "closed"), ("", false, "")]
        } else {
            [
                ("rate", load.rate.is_some(), "open"),
                ("on_overrun", load.on_overrun.is_some(), "open"),
            ]
        };
        for (key, is_given, model) in misplaced {
            if is_given {
                self.error(&section, key, &format!("the key belongs to model = {model}"));
            }
        }
        let model = if load.is_open {
            if load.rate.is_none() {
                self.error(
                    &section,
                    "rate",
                    "an open load needs its arrivals, such as poisson 160/s",
                );
            }
            let rate = load.rate.unwrap_or(scenario::Arrival::Det { per_second: 1.0 });
            LoadModel::Open { rate, on_overrun: load.on_overrun.unwrap_or(OnOverrun::Late) }
        } else {
            LoadModel::Closed { think: load.think.unwrap_or(scenario::Distribution::Exp(1.0)) }
        };
        Load { name: load.name, users: load.users, model, payload_bytes: load.payload_bytes }
    }
}
