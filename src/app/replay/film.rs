//! A run as a film: the office at any moment that its log knows.
//!
//! The records of the log are fed to the issuer's arithmetic, and every quarter of a second of the
//! run's time its figures are told to the same [`Tally`] that a director keeps, so that a replay
//! shows what the dashboard showed. Going on is cheap. For going back, what was known is kept now
//! and then ([`Kept`]): histograms as bytes, and the place in the log to read on from. There are at
//! most [`KEPT_MAX`] of these; when there are more, every second one goes and the distance doubles.
//! So memory does not grow with the log, and any moment is at most two distances of reading away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime, nanos};
use engine::config::scenario::Service;
use engine::config::{self, Scenario};
use engine::ids::{RunId, ServiceId};
use engine::net::message::{LatencyScope, ServiceLatencies};
use engine::perf::Histogram;
use engine::roles::replay::Replay;
use engine::scheduler::record::{Record, Start};
use engine::storage::{self, LogError};
use engine::timeline::Timeline;

use super::reel::{Mark, Reel};
use super::{Choice, ReplayError};
use crate::app::results::{Latencies, Results};
use crate::app::runfile::RunFile;
use crate::app::state::Reading;
use crate::app::tally::Tally;

/// How often the issuer's figures are told.
const TICK: Duration = Duration::from_millis(250);
/// Ticks in a second.
const TICKS: u64 = 4;
/// States that are kept to go back to.
const KEPT_MAX: usize = 32;
/// Ticks between two of them, at first.
const KEEP_TICKS: u64 = 10 * TICKS;
/// Beyond this span the windows of recent latencies are made anew rather than kept up.
const FAR: Duration = Duration::from_secs(30);
/// Records between two words about how far the log was read.
const WORD_RECORDS: u64 = 100_000;

/// What is known at a moment.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The tickets.
    pub(super) core: Replay,
    /// What they add up to.
    pub(super) results: Results,
    /// What charts show.
    pub(super) tally: Tally,
    /// Ticks since the run began.
    ticks: u64,
    /// The log has gone on to another run.
    is_over: bool,
}

/// A scene that can be had again.
#[derive(Debug)]
struct Kept {
    at: Time,
    mark: Mark,
    scene: Scene,
    latencies: Vec<[Vec<u8>; 4]>,
}

/// A run of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunSeen {
    pub(super) id: RunId,
    pub(super) wall: WallTime,
}

/// A start of the issuer in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartSeen {
    /// The moment of the last record before it.
    pub(super) at: Time,
    pub(super) start: Start,
    /// Unfinished tickets that it queued again.
    pub(super) requeued: u64,
}

/// A run of a log.
#[derive(Debug)]
pub(super) struct Film {
    data_dir: PathBuf,
    choice: Choice,
    reel: Reel,
    pub(super) scene: Scene,
    kept: Vec<Kept>,
    keep_ticks: u64,
    pub(super) runs: Vec<RunSeen>,
    /// Starts of the issuer.
    pub(super) starts: Vec<StartSeen>,
    /// What the director said of the run.
    pub(super) file: Option<RunFile>,
    pub(super) scenario: Scenario,
    /// The run's first moment, its last, and the one that the scene shows.
    pub(super) from: Time,
    pub(super) until: Time,
    pub(super) at: Time,
    /// Bytes of a torn tail.
    pub(super) torn_bytes: u64,
    pub(super) segments: u64,
    pub(super) log_bytes: u64,
}

impl Film {
    /// Reads a log to its end and returns the film of one of its runs, at its last moment. `tell`
    /// hears how far reading is, and says whether it shall go on.
    ///
    /// # Errors
    /// [`ReplayError`] if the log can't be read, is damaged, or does not hold the run.
    pub(super) fn open(
        data_dir: &Path,
        choice: Choice,
        tell: &mut dyn FnMut(Reading) -> bool,
    ) -> Result<Self, ReplayError> {
        let scenario = unnamed(1);
        let mut film = Self {
            data_dir: data_dir.to_owned(),
            choice,
            reel: Reel::new(data_dir, None)?,
            scene: Scene::new(&scenario),
            kept: Vec::new(),
            keep_ticks: KEEP_TICKS,
            runs: Vec::new(),
            starts: Vec::new(),
            file: None,
            scenario,
            from: Time::ZERO,
            until: Time::ZERO,
            at: Time::ZERO,
            torn_bytes: 0,
            segments: 0,
            log_bytes: 0,
        };
        film.read_all(tell)?;
        let found = film.reel.judge()?;
        film.torn_bytes = found.torn.as_ref().map_or(0, |torn| torn.bytes);
        film.segments = found.segments.len() as u64;
        film.log_bytes = found.bytes();
        match (choice, film.runs.len()) {
            (_, 0) => Err(ReplayError::Empty(data_dir.to_owned())),
            (Choice::Number(wanted), has) if wanted > has => {
                Err(ReplayError::NoRun { wanted, has })
            }
            _ => {
                let until = film.until;
                film.seek(until)?;
                Ok(film)
            }
        }
    }

    /// Returns the data directory.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns which of the runs it is, from one.
    pub(super) fn number(&self) -> usize {
        match self.choice {
            Choice::Last => self.runs.len(),
            Choice::Number(number) => number,
        }
    }

    fn read_all(&mut self, tell: &mut dyn FnMut(Reading) -> bool) -> Result<(), ReplayError> {
        let bytes_total = storage::file_bytes(&self.data_dir)?;
        let (mut records, mut first) = (0, None);
        while let Some(entry) = self.reel.peek()? {
            let (at, lsn) = (entry.at(), entry.lsn);
            let first = *first.get_or_insert(lsn.0);
            if records % WORD_RECORDS == 0 {
                let bytes = self.reel.position().0.saturating_sub(first);
                if !tell(Reading { records, bytes, bytes_total: bytes_total.max(bytes) }) {
                    return Err(ReplayError::GivenUp);
                }
            }
            records += 1;
            match at {
                Some(at) if self.is_wanted() && !self.scene.is_over => {
                    self.note_first(at);
                    self.advance(at, true)?;
                    self.until = self.until.max(at);
                }
                _ => self.take_next()?,
            }
        }
        // What the director still saw when nothing more was written.
        if let Some((at, _)) = self.file.as_ref().and_then(|file| file.ended.as_ref()) {
            self.until = self.until.max(*at);
        }
        Ok(())
    }

    /// Returns whether the run that is being read is the one that is shown.
    fn is_wanted(&self) -> bool {
        match self.choice {
            Choice::Last => !self.runs.is_empty(),
            Choice::Number(number) => self.runs.len() == number,
        }
    }

    /// Nobody knows when a run without a file began; its first record is the best guess.
    fn note_first(&mut self, at: Time) {
        let line = self.scene.core.timeline();
        if !line.opened_at.is_set() || line.opened_at == Time::NEVER {
            let line = Timeline { opened_at: at, ..line.clone() };
            self.scene.core.set_timeline(line);
        }
        if !self.from.is_set() {
            self.from = self.scene.core.timeline().opened_at.min(at);
            (self.at, self.until) = (self.from, self.from);
            self.keep();
        }
    }

    /// Takes the next record, whatever its time.
    fn take_next(&mut self) -> Result<(), ReplayError> {
        let Some(entry) = self.reel.peek()? else { return Ok(()) };
        if let Some(Record::Start(start)) = entry.record {
            let is_new = self.runs.last().is_none_or(|run| run.id != start.run);
            if is_new {
                let was_wanted = self.is_wanted();
                self.runs.push(RunSeen { id: start.run, wall: start.wall });
                match self.choice {
                    Choice::Number(_) if was_wanted => self.scene.is_over = true,
                    _ if self.is_wanted() => self.begin(&start)?,
                    _ => {}
                }
            }
            if self.is_wanted() {
                let requeued = self.scene.core.open() as u64;
                self.starts.push(StartSeen { at: self.until, start, requeued });
            }
        }
        let Some(entry) = self.reel.next()? else { return Ok(()) };
        if !self.scene.is_over {
            self.scene.take(&entry);
        }
        Ok(())
    }

    /// Begins the run that is shown; all before is forgotten.
    fn begin(&mut self, start: &Start) -> Result<(), ReplayError> {
        self.file = RunFile::read(&self.data_dir, start.run);
        let text = self.file.as_ref().map(|file| Arc::clone(&file.facts.scenario_text));
        let known = text.and_then(|text| config::parse_effective(&text).ok());
        self.scenario = match known {
            Some(scenario) => scenario,
            None => unnamed(services_of(&self.data_dir, start.run)?),
        };
        let line = self.file.as_ref().map(RunFile::timeline).unwrap_or_default();
        let mut core = std::mem::take(&mut self.scene.core);
        core.begin(start.run, self.scenario.services.len(), line);
        self.scene = Scene { core, ..Scene::new(&self.scenario) };
        self.kept.clear();
        self.starts.clear();
        self.keep_ticks = KEEP_TICKS;
        (self.from, self.until, self.at) = Default::default();
        Ok(())
    }

    /// Goes to a moment, before or behind.
    ///
    /// # Errors
    /// If the log can't be read.
    pub(super) fn seek(&mut self, to: Time) -> Result<(), ReplayError> {
        let to = to.clamp(self.from, self.until);
        let kept = self.kept.iter().rev().find(|kept| kept.at <= to);
        if let Some(kept) = kept
            && (self.at > to || kept.at > self.at)
        {
            self.reel = Reel::new(&self.data_dir, Some(kept.mark))?;
            self.scene = kept.scene.clone();
            self.scene.results.latencies = kept.latencies.iter().map(latencies).collect();
            self.at = kept.at;
        }
        self.advance(to, false)?;
        Ok(())
    }

    /// Goes on to a moment.
    fn advance(&mut self, to: Time, keeps: bool) -> Result<(), ReplayError> {
        if to.since(self.at) > FAR {
            self.scene.tally.fold();
        }
        loop {
            let due = self.scene.next_tick();
            self.feed(due.min(to))?;
            if due > to {
                self.at = self.at.max(to);
                return Ok(());
            }
            self.at = due;
            self.scene.tick(due, self.wall(due), &self.reel);
            if keeps && self.scene.ticks.is_multiple_of(self.keep_ticks) {
                self.keep();
            }
        }
    }

    /// Takes all records up to a moment.
    fn feed(&mut self, until: Time) -> Result<(), LogError> {
        while !self.scene.is_over
            && let Some(entry) = self.reel.peek()?
            && entry.at().is_none_or(|at| at <= until)
        {
            if let Some(Record::Start(start)) = entry.record {
                if Some(start.run) != self.scene.core.run() {
                    self.scene.is_over = true;
                    return Ok(());
                }
                let is_known = self.starts.iter().any(|seen| seen.start.epoch == start.epoch);
                if !is_known {
                    let requeued = self.scene.core.open() as u64;
                    self.starts.push(StartSeen { at: self.until, start, requeued });
                }
            }
            let Some(entry) = self.reel.next()? else { break };
            self.scene.take(&entry);
        }
        Ok(())
    }

    /// Keeps what is known now.
    fn keep(&mut self) {
        if self.kept.len() == KEPT_MAX {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.keep_ticks *= 2;
        }
        let (scene, latencies) = self.scene.folded();
        self.kept.push(Kept { at: self.at, mark: self.reel.mark(), scene, latencies });
    }

    /// Looks whether a writer has gone on; returns whether it has.
    ///
    /// # Errors
    /// If the log can't be read.
    pub(super) fn follow(&mut self) -> Result<bool, ReplayError> {
        let before = self.until;
        self.reel.follow();
        self.reel.peek()?;
        if let Some(id) = self.scene.core.run()
            && let Some(file) = RunFile::read(&self.data_dir, id)
            && self.file.as_ref() != Some(&file)
        {
            self.scene.core.set_timeline(file.timeline());
            if let Some((at, _)) = &file.ended {
                self.until = self.until.max(*at);
            }
            self.file = Some(file);
        }
        if !self.scene.is_over {
            self.until = self.until.max(self.reel.newest().unwrap_or(Time::ZERO));
        }
        Ok(self.until > before)
    }

    /// Returns the moment on the wall's clock.
    pub(super) fn wall(&self, at: Time) -> WallTime {
        let first = || self.starts.first().map(|seen| (self.from, seen.start.wall));
        let clock = self.file.as_ref().map(|file| file.clock).or_else(first);
        let (known, wall) = clock.unwrap_or_default();
        let offset = i128::from(at.0) - i128::from(known.0) + i128::from(wall.0);
        WallTime(u64::try_from(offset).unwrap_or_default())
    }

    /// Tells the figures of the moment that the scene shows.
    pub(super) fn sum_up(&mut self) {
        self.scene.tell_totals(self.at, &self.reel);
        self.scene.tell_latencies();
        let Scene { core, results, tally, .. } = &mut self.scene;
        tally.sum_up(core.timeline(), results);
    }
}

impl Scene {
    fn new(scenario: &Scenario) -> Self {
        let mut tally = Tally::new(scenario);
        tally.fold();
        Self {
            core: Replay::new(),
            results: Results::new(scenario.services.len()),
            tally,
            ticks: 0,
            is_over: false,
        }
    }

    fn next_tick(&self) -> Time {
        let nanos = nanos(TICK).saturating_mul(self.ticks + 1);
        self.core.timeline().opened_at + Duration::from_nanos(nanos)
    }

    fn take(&mut self, entry: &super::reel::Entry) {
        let Some(record) = &entry.record else { return };
        self.core.take(record);
        let store = &mut self.results.issuer.store;
        if let Record::Start(start) = record
            && Some(start.run) == self.core.run()
        {
            self.results.issuer_starts = self.core.starts();
        }
        store.records += 1;
        store.batches += u64::from(entry.begins_batch);
        store.bytes += entry.bytes;
    }

    fn tell_totals(&mut self, at: Time, reel: &Reel) {
        let store = std::mem::take(&mut self.results.issuer.store);
        self.results.issuer = self.core.totals(at, |id| reel.begun(id));
        self.results.issuer.store = store;
    }

    fn tell_latencies(&mut self) {
        let results = &mut self.results;
        self.core.tell(|index, is_measured, latencies| {
            let scope = if is_measured { LatencyScope::Measured } else { LatencyScope::Outside };
            let service = ServiceId(u8::try_from(index).unwrap_or(u8::MAX));
            let bytes = [&latencies.wait, &latencies.service, &latencies.sojourn];
            let [wait, service_time, sojourn] = &bytes.map(Histogram::to_bytes);
            let overhead = &latencies.overhead.to_bytes();
            let told = ServiceLatencies { service, scope, wait, service_time, sojourn, overhead };
            results.take_latencies(&told).expect("these are the bytes of histograms");
        });
    }

    fn tick(&mut self, at: Time, wall: WallTime, reel: &Reel) {
        self.ticks += 1;
        self.tell_totals(at, reel);
        self.tally.count(&self.results);
        if self.ticks.is_multiple_of(TICKS) {
            self.tell_latencies();
            let line = self.core.timeline().clone();
            let workers = u32::try_from(self.core.served_by().len()).unwrap_or(u32::MAX);
            self.tally.close_second(wall, &line, &mut self.results, workers);
        }
    }

    /// Returns the scene without what takes much memory, and that as bytes.
    fn folded(&mut self) -> (Self, Vec<[Vec<u8>; 4]>) {
        self.tell_latencies();
        let bytes = |latencies: &Latencies| {
            let Latencies { wait, service, sojourn, overhead } = latencies;
            [wait, service, sojourn, overhead].map(|histogram| histogram.to_bytes())
        };
        let latencies = self.results.latencies.iter().map(bytes).collect();
        let whole = std::mem::take(&mut self.results.latencies);
        let mut folded = Self { core: self.core.without_latencies(), ..self.clone() };
        self.results.latencies = whole;
        folded.tally.fold();
        (folded, latencies)
    }
}

fn latencies(bytes: &[Vec<u8>; 4]) -> Latencies {
    let histogram =
        |bytes: &Vec<u8>| Histogram::from_bytes(bytes).expect("these are the bytes of one").into();
    let [wait, service, sojourn, overhead] = bytes;
    Latencies {
        wait: histogram(wait),
        service: histogram(service),
        sojourn: histogram(sojourn),
        overhead: histogram(overhead),
    }
}

/// Returns a scenario of so many services whose names nobody knows.
fn unnamed(services: usize) -> Scenario {
    let mut scenario = config::parse_effective("").expect("a scenario has a default for every key");
    let like = scenario.services[0].clone();
    let name = |index| format!("service {index}");
    scenario.services =
        (0..services).map(|index| Service { name: name(index), ..like.clone() }).collect();
    scenario
}

/// Returns how many services a run's tickets name.
fn services_of(data_dir: &Path, run: RunId) -> Result<usize, LogError> {
    let (mut reel, mut most, mut is_it) = (Reel::new(data_dir, None)?, 0, false);
    while let Some(entry) = reel.next()? {
        match entry.record {
            Some(Record::Start(start)) => is_it = start.run == run,
            Some(Record::Issued(issued)) if is_it => most = most.max(usize::from(issued.service.0)),
            _ => {}
        }
    }
    Ok(most + 1)
}
