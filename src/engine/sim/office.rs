//! An issuer with its log, users and workers on a simulated disk: whatever dies and whenever, the
//! guarantees of the design hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::disk::{Fault, SimDisk};
use crate::clock::{Time, WallTime};
use crate::config::scenario::{Compression, FsyncPolicy, Retry, RetryPosition};
use crate::ids::{LoadId, Lsn, RunId, ServiceId, TicketId, Token, UserId, WorkerId};
use crate::roles::issuer::ledger::{self, Ledger, Tell};
use crate::scheduler::issuer::{Assignment, Completion, Options, Request};
use crate::scheduler::record::{Outcome, Record, Start};
use crate::scheduler::recovery::Recovery;
use crate::scheduler::verify::Verifier;
use crate::storage::{Hands, LogError, LogOptions, LogPlace, LogStats, Opening, reader};
use crate::timeline::Timeline;

/// An id that no ticket has.
const NEVER: TicketId = TicketId(u64::MAX);
const USERS: u32 = 6;
const WORKERS: u16 = 3;
const OPTIONS: Options =
    Options { services: 2, room: 64, retry: Retry { attempts: 3, position: RetryPosition::Head } };

/// What users and workers were told and have not acted upon.
#[derive(Default)]
struct Told {
    assigned: Vec<(WorkerId, Completion)>,
    accepted: Vec<(Token, TicketId)>,
    done: Vec<Token>,
}

impl Tell for Told {
    fn assign(&mut self, worker: WorkerId, assignment: &Assignment<'_>) {
        let &Assignment { id, handle, attempt, .. } = assignment;
        self.assigned.push((worker, Completion { id, handle, attempt }));
    }

    fn accepted(&mut self, token: Token, id: TicketId) {
        self.accepted.push((token, id));
    }

    fn rejected(&mut self, _: Token) {}

    fn done(&mut self, token: Token, _: TicketId, _: Outcome) {
        self.done.push(token);
    }
}

/// One record of the log, and where it stands.
type Logged = (Lsn, u8, [u8; 16]);

/// What the log says.
#[derive(Default)]
struct Read {
    records: Vec<Logged>,
    ids: BTreeSet<TicketId>,
    /// Requests that have a ticket, by run.
    tokens: BTreeSet<(u64, Token)>,
    run: u64,
    open: u64,
    /// No segment was let go of.
    is_whole: bool,
    segments: u64,
    bytes: u64,
}

struct World {
    rng: ChaCha8Rng,
    disk: SimDisk,
    index: Option<PathBuf>,
    /// Old segments are let go of.
    retains: bool,
    compression: Compression,
    policy: FsyncPolicy,
    /// Somebody changes the policy while the issuer lives.
    changes_policy: bool,
    /// The policy whose promise held when the issuer died.
    in_force: FsyncPolicy,
    run: u64,
    now: Time,
    /// The request that each user makes, again and again until its ticket's life has ended.
    asking: BTreeMap<u32, u64>,
    /// What users were told: G2 and G3.
    accepted: BTreeMap<Token, TicketId>,
    /// The highest id that anybody was told, and those that were in the log when the issuer
    /// started: G1.
    highest: TicketId,
    in_log: BTreeSet<TicketId>,
    /// Starts that read only what the index did not know.
    warm_starts: u32,
}

/// A death that the world has to bear.
enum Death {
    /// The process dies; what it wrote stays.
    Kill,
    /// The power fails.
    Power,
}

impl World {
    fn new(seed: u64, policy: FsyncPolicy, index: Option<PathBuf>) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            disk: SimDisk::new(seed ^ 0xd15c),
            retains: index.is_some() && seed.is_multiple_of(3),
            compression: if seed.is_multiple_of(5) { Compression::Lz4 } else { Compression::None },
            index,
            policy,
            changes_policy: seed % 8 >= 4,
            in_force: policy,
            run: 1,
            now: Time(1_000_000_000),
            asking: (0..USERS).map(|user| (user, 0)).collect(),
            accepted: BTreeMap::new(),
            highest: TicketId(0),
            in_log: BTreeSet::new(),
            warm_starts: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    /// Reads the whole log, which must keep its promises.
    fn read_log(&self) -> Read {
        let mut verifier = Verifier::default();
        let mut read = Read::default();
        let found = reader::scan_dir(Arc::new(self.disk.clone()), &mut |record| {
            read.records.push((record.lsn, record.kind, *record.key));
            let record = Record::decode(record.kind, record.key, record.value).unwrap();
            match &record {
                Record::Issued(issued) => {
                    read.ids.insert(issued.id);
                    read.tokens.insert((read.run, issued.token));
                }
                Record::Start(start) => read.run = start.run.0,
                _ => {}
            }
            verifier.read(&record);
        })
        .unwrap();
        let verdict = verifier.finish(found.is_whole());
        assert!(verdict.problems.is_empty(), "{:?}", verdict.problems);
        let (segments, bytes) = (found.segments.len() as u64, found.bytes());
        Read { open: verdict.open, is_whole: found.is_whole(), segments, bytes, ..read }
    }

    /// Starts the issuer.
    fn open(&mut self) -> Result<Ledger, LogError> {
        let options = LogOptions {
            segment_bytes: 16 << 10,
            policy: self.policy,
            retain_bytes: self.retains.then_some(64 << 10),
            index_bytes: 1 << 20,
            compression: self.compression,
            checkpoint_bytes: 1 << 10,
        };
        let place = LogPlace { log: Arc::new(self.disk.clone()), index: self.index.clone() };
        let disk = self.disk.clone();
        let hands = Hands::Caller(Arc::new(move || disk.is_quick()));
        let opening = Opening::begin(&place, options, hands)?;
        self.warm_starts += u32::from(opening.state().is_some());
        let mut recovery = Recovery::new(OPTIONS, RunId(self.run), Timeline::default());
        let (log, _) = ledger::replay(opening, &mut recovery, &mut |_| {})?;
        let read = self.read_log();
        check_size(&log.stats(), &read);
        if self.index.is_some() && !self.retains {
            self.compare_with_full_replay(&recovery);
        }
        self.in_log = read.ids;
        assert_eq!(recovery.open() as u64, read.open, "G5: open tickets are queued again");
        let start = Start {
            epoch: recovery.epoch(),
            run: RunId(self.run),
            wall: WallTime(0),
            boot: [0; 16],
        };
        let mut ledger = Ledger::new(log, recovery, start, self.now);
        for worker in 0..WORKERS {
            ledger.core.worker_up(WorkerId(worker), 2, self.now);
        }
        Ok(ledger)
    }

    /// What a start finds with an index is what it would find without.
    fn compare_with_full_replay(&self, warm: &Recovery) {
        let mut cold = Recovery::new(OPTIONS, RunId(self.run), Timeline::default());
        reader::scan_dir(Arc::new(self.disk.clone()), &mut |record| {
            cold.replay(&Record::decode(record.kind, record.key, record.value).unwrap());
        })
        .unwrap();
        assert_eq!(warm.found(), cold.found(), "with an index and without");
    }

    /// One life of the issuer, of `steps` steps at most; returns where the log was synced.
    fn live(&mut self, steps: u64) -> Lsn {
        let mut told = Told::default();
        let mut ledger = match self.open() {
            Ok(ledger) => ledger,
            // A fault struck while it started.
            Err(LogError::Io { .. }) => return Lsn(0),
            Err(error) => panic!("a start is refused: {error}"),
        };
        for _ in 0..steps {
            let pause = if self.below(10) == 0 { 1_100_000 } else { self.below(20_000) };
            self.now = self.now + Duration::from_micros(pause);
            let ends = self.step(&mut ledger, &mut told);
            self.hear(&mut told);
            if let Err(error) = ends {
                assert!(matches!(error, LogError::Io { .. }), "{error}");
                break;
            }
        }
        self.in_force = ledger.log.policy_in_force();
        ledger.log.synced()
    }

    fn step(&mut self, ledger: &mut Ledger, told: &mut Told) -> Result<(), LogError> {
        for _ in 0..self.below(6) {
            let can_ask = ledger.core.can_issue() && !ledger.log.is_blocked();
            match self.below(8) {
                0..5 if can_ask => self.ask(ledger, told),
                5 => {
                    let worker = WorkerId(u16::try_from(self.below(3)).unwrap());
                    told.assigned.retain(|(held, _)| *held != worker);
                    let (core, mut acting) = ledger.split(told);
                    core.worker_down(worker, self.now, &mut acting);
                    core.worker_up(worker, 2, self.now);
                }
                _ => self.serve(ledger, told),
            }
        }
        if self.below(40) == 0 {
            let room = self.below(2) * (40 << 10);
            self.disk.set_room((room > 0).then_some(room));
        }
        if self.changes_policy && self.below(8) == 0 {
            let policy = POLICIES[usize::try_from(self.below(4)).unwrap()];
            ledger.log.set_policy(policy, self.retains.then_some(64 << 10), self.now);
        }
        ledger.turn(self.now, told)
    }

    /// A user asks, perhaps again.
    fn ask(&mut self, ledger: &mut Ledger, told: &mut Told) {
        let user = u32::try_from(self.below(u64::from(USERS))).unwrap();
        let token = Token { user: UserId::new(LoadId(0), user), seq: self.asking[&user] };
        let payload = vec![7; usize::try_from(self.below(400)).unwrap()];
        let service = ServiceId(u8::from(user % 2 == 0));
        let (core, mut acting) = ledger.split(told);
        let request = Request {
            token,
            service,
            demand_ns: 5,
            scheduled: self.now,
            submitted: self.now,
            payload: &payload,
        };
        core.request(&request, self.now, &mut acting);
    }

    /// A worker reports a ticket that it holds.
    fn serve(&mut self, ledger: &mut Ledger, told: &mut Told) {
        if told.assigned.is_empty() {
            return;
        }
        let which = usize::try_from(self.below(told.assigned.len() as u64)).unwrap();
        let (worker, completion) = told.assigned.swap_remove(which);
        let (core, mut acting) = ledger.split(told);
        core.completed(worker, completion, self.now, &mut acting);
    }

    /// Users take note of what they are told.
    fn hear(&mut self, told: &mut Told) {
        for (token, id) in told.accepted.drain(..) {
            match self.accepted.insert(token, id) {
                Some(before) => assert_eq!(before, id, "G3: {token:?} has one ticket"),
                None if self.in_log.contains(&id) => {}
                None => assert!(id > self.highest, "G1: {id} follows {}", self.highest),
            }
            self.highest = self.highest.max(id);
        }
        for token in told.done.drain(..) {
            let asking = self.asking.get_mut(&token.user.index()).unwrap();
            *asking = (*asking).max(token.seq + 1);
        }
    }

    fn die(&mut self, death: &Death, synced: Lsn) {
        self.disk.set_room(None);
        let before = match death {
            Death::Kill => {
                self.disk = self.disk.kill();
                self.read_log()
            }
            Death::Power => {
                // What was seen before the power failed is what may be left of it.
                let before = self.read_log();
                self.disk = self.disk.crash();
                before
            }
        };
        let Read { records: mut after, tokens, is_whole, ids, .. } = self.read_log();
        let before = before.records;
        // A segment that was let go of may be back.
        let first = before.first().map_or(Lsn(0), |&(lsn, ..)| lsn);
        after.retain(|&(lsn, ..)| lsn >= first);
        assert!(after.len() <= before.len());
        assert_eq!(after[..], before[..after.len()], "what is left is a beginning of the log");
        let is_kept = |record: &&Logged| record.0 < synced;
        assert!(after.len() >= before.iter().filter(is_kept).count(), "what was synced is kept");
        // A disk that fails a sync has lost what it was given, as if the power had failed.
        let is_lost = matches!(death, Death::Power) || self.disk.has_failed_a_sync();
        let loses_tail = is_lost && self.in_force != FsyncPolicy::EachBatch;
        // What was let go of had ended, and the index remembers its token.
        let oldest = if is_whole { TicketId(0) } else { ids.first().copied().unwrap_or(NEVER) };
        let is_gone = |(token, id): &(&Token, &TicketId)| {
            !tokens.contains(&(self.run, **token)) && **id >= oldest
        };
        let gone: Vec<Token> =
            self.accepted.iter().filter(is_gone).map(|(token, _)| *token).collect();
        assert!(loses_tail || gone.is_empty(), "G2: acknowledged and not in the log: {gone:?}");
        for token in gone {
            // Its user asks again and gets another ticket.
            self.accepted.remove(&token);
            let asking = self.asking.get_mut(&token.user.index()).unwrap();
            *asking = (*asking).min(token.seq);
        }
    }
}

/// Lives and dies on one disk, from one seed; returns how many starts were warm.
fn check(seed: u64, policy: FsyncPolicy, index: Option<PathBuf>) -> u32 {
    let mut world = World::new(seed, policy, index);
    for _ in 0..4 {
        if world.below(3) == 0 {
            let fault = [Fault::Write, Fault::Sync, Fault::Rename];
            let fault = fault[usize::try_from(world.below(3)).unwrap()];
            let after = world.below(60);
            world.disk.fail_after(after, fault);
        }
        let steps = world.below(60);
        let synced = world.live(steps);
        let death = if world.below(2) == 0 { Death::Kill } else { Death::Power };
        world.die(&death, synced);
        if world.below(4) == 0 {
            // Another run on the same data directory: its requests are new ones.
            world.run += 1;
            world.accepted.clear();
            world.asking.values_mut().for_each(|seq| *seq = 0);
        }
    }
    // At last all that is open is served.
    let mut ledger = world.open().unwrap();
    let mut told = Told::default();
    let mut turns = 0;
    while ledger.core.open() > 0 {
        world.now = world.now + Duration::from_millis(1);
        world.serve(&mut ledger, &mut told);
        ledger.turn(world.now, &mut told).unwrap();
        turns += 1;
        assert!(turns < 10_000, "G5: {} tickets are never served", ledger.core.open());
    }
    let stats = ledger.close(world.now).unwrap();
    let read = world.read_log();
    assert_eq!(read.open, 0);
    check_size(&stats, &read);
    world.warm_starts
}

/// Makes sure that the writer's figures are those of a reader.
fn check_size(stats: &LogStats, read: &Read) {
    assert_eq!((stats.segments, stats.log_bytes), (read.segments, read.bytes));
}

const POLICIES: [FsyncPolicy; 4] = [
    FsyncPolicy::None,
    FsyncPolicy::EachBatch,
    FsyncPolicy::Every(8),
    FsyncPolicy::Interval(Duration::from_millis(50)),
];

/// Runs seeds and names the one that fails; returns how many starts were warm.
fn check_seeds(seeds: std::ops::Range<u64>, with_index: bool) -> u32 {
    let mut warm_starts = 0;
    for seed in seeds {
        let policy = POLICIES[usize::try_from(seed % 4).unwrap()];
        let dir = with_index.then(|| tempfile::tempdir().unwrap());
        let index = dir.as_ref().map(|dir| dir.path().join("index"));
        let result = std::panic::catch_unwind(|| check(seed, policy, index));
        assert!(result.is_ok(), "seed {seed} fails, with an index: {with_index}");
        warm_starts += result.unwrap_or(0);
    }
    warm_starts
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    0..seeds.unwrap_or(default)
}

/// `SIM_SEEDS=50000 cargo test sim::office` takes more.
#[test]
fn the_guarantees_hold_whatever_dies_and_whenever() {
    check_seeds(seeds(1000), false);
}

#[test]
fn they_hold_with_an_index_and_retention_too() {
    let seeds = seeds(60);
    let (count, warm_starts) = (seeds.end, check_seeds(seeds, true));
    assert!(u64::from(warm_starts) > count, "{warm_starts} warm starts");
}
