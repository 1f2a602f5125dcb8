//! What each user asks for.
//!
//! Request `k` of a user is a pure function of (seed, load, user, k): the service, the demand,
//! and, in a closed load, the think time before it. The digest sums this up for the users and
//! requests that every run of a scenario has, so two runs with the same digest had the same work
//! to do, however users were packed into processes.

use super::arrivals::Schedule;
use super::sample::span_ns;
use crate::config::Scenario;
use crate::config::scenario::{Distribution, LoadModel};
use crate::ids::{LoadId, ServiceId, UserId};
use crate::limits;
use crate::rng::{Stream, fnv1a_on, unit};

/// The work of a whole run.
#[derive(Clone, Debug)]
pub struct Workload {
    seed: u64,
    scenario: std::sync::Arc<Scenario>,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The kind of work.
    pub service: ServiceId,
    /// The work, in nanoseconds.
    pub demand_ns: u64,
    /// How long the user thinks before it asks, in nanoseconds; zero in an open load.
    pub think_ns: u64,
}

/// The requests of one user.
#[derive(Clone, Debug)]
pub struct UserDraws {
    scenario: std::sync::Arc<Scenario>,
    load: LoadId,
    think: Stream,
    demand: Stream,
    route: Stream,
}

impl Workload {
    /// Returns the work of a scenario.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self { seed, scenario: std::sync::Arc::new(scenario.clone()) }
    }

    /// Returns the requests of a user.
    pub fn user(&self, user: UserId) -> UserDraws {
        let load = &self.scenario.loads[usize::from(user.load().0)].name;
        let stream = |purpose| {
            let path = format!("user/{load}/{}/{purpose}", user.index());
            Stream::new(self.seed, &path)
        };
        UserDraws {
            scenario: std::sync::Arc::clone(&self.scenario),
            load: user.load(),
            think: stream("think"),
            demand: stream("demand"),
            route: stream("route"),
        }
    }

    /// Returns the arrivals of an open load; `None` for a closed one.
    pub fn schedule(&self, load: LoadId) -> Option<Schedule> {
        let load = &self.scenario.loads[usize::from(load.0)];
        match load.model {
            LoadModel::Open { rate, .. } => {
                let stream = Stream::new(self.seed, &format!("load/{}/arrival", load.name));
                Some(Schedule::new(rate, load.users, stream))
            }
            LoadModel::Closed { .. } => None,
        }
    }

    /// Returns the digest of a user's first [`limits::DIGEST_DRAWS`] requests: FNV-1a over the
    /// big-endian user, number, think time, service and demand of each. The digest of a run is
    /// the wrapping sum over its starting users, so it does not depend on any order.
    pub fn digest(&self, user: UserId) -> u64 {
        let mut draws = self.user(user);
        let mut hash = crate::rng::fnv1a(&user.0.to_be_bytes());
        for k in 0..limits::DIGEST_DRAWS {
            let Draw { service, demand_ns, think_ns } = draws.draw(k);
            for number in [k, think_ns, u64::from(service.0), demand_ns] {
                hash = fnv1a_on(hash, &number.to_be_bytes());
            }
        }
        hash
    }
}

impl UserDraws {
    /// Returns request number `k`; consecutive numbers are cheapest.
    pub fn draw(&mut self, k: u64) -> Draw {
        let service = self.route(k);
        let time = &self.scenario.services[usize::from(service.0)].time;
        let demand_ns = span_ns(time, self.demand.draw(k));
        let think_ns = match &self.scenario.loads[usize::from(self.load.0)].model {
            LoadModel::Closed { think: Distribution::Det(0.0) } | LoadModel::Open { .. } => 0,
            LoadModel::Closed { think } => span_ns(think, self.think.draw(k)),
        };
        Draw { service, demand_ns, think_ns }
    }

    fn route(&mut self, k: u64) -> ServiceId {
        let services = &self.scenario.services;
        if services.len() == 1 {
            return ServiceId(0);
        }
        let mut left = unit(self.route.draw(k)[0]);
        let chosen = services.iter().position(|service| {
            left -= service.share;
            left < 0.0
        });
        let last = services.len() - 1;
        ServiceId(u8::try_from(chosen.unwrap_or(last)).expect("services are at most 64"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::scenario::*;
    use std::time::Duration;

    /// Two services and two loads.
    pub(in crate::population) fn scenario() -> Scenario {
        let service = |name: &str, share| Service {
            name: name.to_owned(),
            share,
            time: Distribution::Exp(0.01),
            work: Work::Sleep,
        };
        let load =
            |name: &str, model| Load { name: name.to_owned(), users: 4, model, payload_bytes: 64 };
        let rate = Arrival::Poisson { per_second: 100.0 };
        Scenario {
            run: Run {
                seed: None,
                duration: None,
                warmup: Duration::ZERO,
                drain: Duration::ZERO,
                explode_waiting: None,
            },
            office: Office {
                workers: 1,
                seats: 1,
                scheduler: Scheduler::Central,
                discipline: Discipline::Fifo,
                room: 10,
                retry: Retry { attempts: 3, position: RetryPosition::Head },
            },
            slos: Vec::new(),
            services: vec![service("parcels", 0.7), service("letters", 0.3)],
            loads: vec![
                load("regulars", LoadModel::Closed { think: Distribution::Exp(0.2) }),
                load("rush", LoadModel::Open { rate, on_overrun: OnOverrun::Late }),
            ],
            users: Users { max_processes: 4 },
            storage: Storage {
                fsync: FsyncPolicy::None,
                segment_bytes: 1 << 20,
                retain_bytes: None,
                index_bytes: 1 << 20,
                compression: Compression::None,
            },
            net: Net { frame_max_bytes: 65_536, outbox_high_bytes: 65_536 },
            metrics: Metrics { listen: None, recording: true },
        }
    }

    #[test]
    fn a_request_depends_on_nothing_but_seed_user_and_number() {
        let user = UserId::new(LoadId(0), 3);
        let mut in_order = Workload::new(&scenario(), 9).user(user);
        let draws: Vec<Draw> = (0..50).map(|k| in_order.draw(k)).collect();
        let mut jumping = Workload::new(&scenario(), 9).user(user);
        for k in [49, 0, 7, 7, 8] {
            assert_eq!(jumping.draw(k), draws[usize::try_from(k).unwrap()]);
        }
        assert_ne!(Workload::new(&scenario(), 10).user(user).draw(0), draws[0]);
    }

    #[test]
    fn services_get_their_shares() {
        let workload = Workload::new(&scenario(), 1);
        let mut draws = workload.user(UserId::new(LoadId(0), 0));
        let letters = (0..20_000).filter(|&k| draws.draw(k).service == ServiceId(1)).count();
        assert!((5_700..6_300).contains(&letters), "{letters} of 20 000 went to a share of 30 %");
    }

    #[test]
    fn the_digest_tells_workloads_apart_and_is_fixed() {
        let user = UserId::new(LoadId(0), 2);
        let digest = Workload::new(&scenario(), 5).digest(user);
        assert_eq!(digest, Workload::new(&scenario(), 5).digest(user));
        assert_ne!(digest, Workload::new(&scenario(), 6).digest(user));
        let mut slower = scenario();
        slower.loads[0].model = LoadModel::Closed { think: Distribution::Exp(0.3) };
        assert_ne!(digest, Workload::new(&slower, 5).digest(user));
        let mut packed = scenario();
        packed.users.max_processes = 1;
        assert_eq!(digest, Workload::new(&packed, 5).digest(user));
        insta::assert_snapshot!(format!("{digest:016x}"));
    }
}
