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

use engine::clock::{Time, WallTime, nanos, on_other_clock};
use engine::config::scenario::Service;
use engine::config::{self, Effective, Scenario, Source};
use engine::ids::{Lsn, RunId, ServiceId};
use engine::net::message::{LatencyScope, ServiceLatencies};
use engine::perf::Histogram;
use engine::roles::replay::Replay;
use engine::scheduler::record::{Record, Start};
use engine::storage::{self, LogError};
use engine::timeline::Timeline;

use super::reel::{Entry, Mark, Reel};
use super::{Choice, ReplayError};
use crate::app::conf::{Conf, ConfRow};
use crate::app::diary::Story;
use crate::app::events::Happening;
use crate::app::looks::Files;
use crate::app::results::{Latencies, Origin, Results};
use crate::app::runfile::RunFile;
use crate::app::slo::Watch;
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
/// How far behind its end a log is followed.
const FOLLOW_LAG: Duration = Duration::from_secs(1);
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
    read_at: Time,
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
    /// What the director said of the run, and wrote down while it went on.
    pub(super) file: Option<RunFile>,
    pub(super) story: Story,
    /// What happened, in order.
    pub(super) happenings: Vec<Happening>,
    pub(super) scenario: Scenario,
    /// Its goals.
    pub(super) watch: Watch,
    /// A row per key of it, if it is known.
    pub(super) conf: Arc<Vec<ConfRow>>,
    /// The moment of the last record that was taken, and said one.
    read_at: Time,
    /// The first byte that the log still has.
    first: Lsn,
    /// The log has let go of the run's first records.
    pub(super) is_beginning_lost: bool,
    /// The run's first moment, its last, and the one that the scene shows.
    pub(super) from: Time,
    pub(super) until: Time,
    pub(super) at: Time,
    /// Bytes of a torn tail.
    pub(super) torn_bytes: u64,
    pub(super) segments: u64,
    pub(super) log_bytes: u64,
    /// The log's files.
    pub(super) files: Files,
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
            story: Story::default(),
            happenings: Vec::new(),
            scenario,
            watch: Watch::new(&[], &[]),
            conf: Arc::default(),
            read_at: Time::ZERO,
            first: Lsn(0),
            is_beginning_lost: false,
            from: Time::ZERO,
            until: Time::ZERO,
            at: Time::ZERO,
            torn_bytes: 0,
            segments: 0,
            log_bytes: 0,
            files: Files::of(&[], 0),
        };
        let files = storage::segment_files(data_dir)?;
        film.first = files.first().map_or(Lsn(0), |file| file.first);
        film.read_all(tell)?;
        film.retell();
        let found = film.reel.judge()?;
        film.torn_bytes = found.torn.as_ref().map_or(0, |torn| torn.bytes);
        film.segments = found.segments.len() as u64;
        film.log_bytes = found.bytes();
        film.files = Files::of(&files, film.log_bytes);
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
        while let Some(&entry) = self.reel.peek()? {
            let (at, lsn) = (self.due(&entry), entry.lsn);
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
        if self.from.is_set() {
            return;
        }
        let mut line = self.scene.core.timeline().clone();
        if !line.opened_at.is_set() || line.opened_at == Time::NEVER {
            line.opened_at = at;
        }
        self.from = if self.is_beginning_lost { at } else { line.opened_at.min(at) };
        (self.at, self.until) = (self.from, self.from);
        self.set_timeline(line);
        self.scene.begin(self.from, &self.reel, &self.story);
        self.keep();
    }

    /// Sets the run's timeline. Figures of a run whose beginning is lost are of what is left.
    fn set_timeline(&mut self, mut line: Timeline) {
        if self.is_beginning_lost {
            line.warmup = line.warmup.max(line.office_time(self.from));
        }
        self.scene.core.set_timeline(line);
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
                self.note_start(start);
            }
        }
        let Some(entry) = self.reel.next()? else { return Ok(()) };
        if !self.scene.is_over {
            self.take(&entry);
        }
        Ok(())
    }

    /// Takes note of a start of the issuer, unless it is the one that is known: each segment repeats
    /// which one holds in it.
    fn note_start(&mut self, start: Start) {
        if self.starts.iter().all(|seen| seen.start.epoch != start.epoch) {
            let requeued = self.scene.core.open() as u64;
            self.starts.push(StartSeen { at: self.read_at, start, requeued });
        }
    }

    /// Begins the run that is shown; all before is forgotten.
    fn begin(&mut self, start: &Start) -> Result<(), ReplayError> {
        self.is_beginning_lost = self.runs.len() == 1 && self.first > Lsn(0);
        self.file = RunFile::read(&self.data_dir, start.run);
        self.story = Story::read(&self.data_dir, start.run);
        let known = self.file.as_ref().and_then(effective);
        self.conf = known.as_ref().map(|known| Conf::new(known).rows()).unwrap_or_default();
        self.scenario = match known {
            Some(known) => known.scenario,
            None => unnamed(services_of(&self.data_dir, start.run)?),
        };
        let services = self.scenario.services.iter().map(|service| service.name.clone());
        self.watch = Watch::new(&self.scenario.slos, &services.collect::<Vec<_>>());
        let line = self.file.as_ref().map(RunFile::timeline).unwrap_or_default();
        let mut core = std::mem::take(&mut self.scene.core);
        core.begin(start.run, self.scenario.services.len(), line);
        self.scene = Scene { core, ..Scene::new(&self.scenario) };
        self.kept.clear();
        self.starts.clear();
        self.keep_ticks = KEEP_TICKS;
        (self.from, self.until, self.at, self.read_at) = Default::default();
        Ok(())
    }

    /// Returns the moment that is followed while the log is written: a little behind its end, as
    /// the records of tickets' ends say when they got their seats.
    pub(super) fn edge(&self, is_written: bool) -> Time {
        if is_written { (self.until - FOLLOW_LAG).max(self.from) } else { self.until }
    }

    /// Returns how many open tickets may have a seat or not.
    pub(super) fn unsure(&self) -> usize {
        let starts = self.starts.iter().map(|seen| seen.at);
        let next = starts.filter(|&start| start >= self.at).min().unwrap_or(self.until);
        self.scene.core.unsure(next, |id| self.reel.begun(id))
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
            (self.at, self.read_at) = (kept.at, kept.read_at);
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
            self.scene.tick(due, self.wall(due), &self.reel, &self.story);
            if keeps && self.scene.ticks.is_multiple_of(self.keep_ticks) {
                self.keep();
            }
        }
    }

    /// Takes all records up to a moment.
    fn feed(&mut self, until: Time) -> Result<(), LogError> {
        while !self.scene.is_over
            && let Some(&entry) = self.reel.peek()?
            && self.due(&entry).is_none_or(|at| at <= until)
        {
            if let Some(Record::Start(start)) = entry.record {
                if Some(start.run) != self.scene.core.run() {
                    self.scene.is_over = true;
                    return Ok(());
                }
                self.note_start(start);
            }
            let Some(entry) = self.reel.next()? else { break };
            self.take(&entry);
        }
        Ok(())
    }

    fn take(&mut self, entry: &Entry) {
        self.read_at = entry.at().map_or(self.read_at, |at| at.max(self.read_at));
        self.scene.take(entry);
    }

    /// Returns when a record is to be taken. A start of the issuer tells only the wall's clock, which
    /// may have been set; it lies between the records around it.
    fn due(&self, entry: &Entry) -> Option<Time> {
        match entry.record {
            Some(Record::Start(start))
                if self.from.is_set() && Some(start.run) == self.scene.core.run() =>
            {
                let told = self.moment_of(start.wall).max(self.read_at);
                Some(told.min(self.reel.next_at().unwrap_or(told)))
            }
            _ => entry.at(),
        }
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
        let (at, read_at) = (self.at, self.read_at);
        self.kept.push(Kept { at, read_at, mark: self.reel.mark(), scene, latencies });
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
            self.set_timeline(file.timeline());
            if let Some((at, _)) = &file.ended {
                self.until = self.until.max(*at);
            }
            self.file = Some(file);
            self.retell();
        }
        if self.story.read_on() {
            self.retell();
        }
        if !self.scene.is_over {
            self.until = self.until.max(self.reel.newest().unwrap_or(Time::ZERO));
        }
        if self.until > before {
            let files = storage::segment_files(&self.data_dir)?;
            self.segments = files.len() as u64;
            let end = self.reel.position().0;
            self.log_bytes = files.first().map_or(0, |file| end.saturating_sub(file.first.0));
            self.files = Files::of(&files, self.log_bytes);
        }
        Ok(self.until > before)
    }

    /// Returns the moment on the wall's clock.
    pub(super) fn wall(&self, at: Time) -> WallTime {
        let (known, wall) = self.clock();
        WallTime(on_other_clock(at.0, (known.0, wall.0)))
    }

    /// Returns the moment of a time of the wall's clock.
    pub(super) fn moment_of(&self, at: WallTime) -> Time {
        let (known, wall) = self.clock();
        Time(on_other_clock(at.0, (wall.0, known.0)))
    }

    /// Returns one moment on both clocks.
    fn clock(&self) -> (Time, WallTime) {
        let first = || self.starts.first().map(|seen| (self.from, seen.start.wall));
        self.file.as_ref().map(|file| file.clock).or_else(first).unwrap_or_default()
    }

    /// Tells the figures of the moment that the scene shows.
    pub(super) fn sum_up(&mut self) {
        self.scene.tell_totals(self.at, &self.reel, &self.story);
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

    fn take(&mut self, entry: &Entry) {
        let Some(record) = &entry.record else { return };
        self.core.take(record);
        let store = &mut self.results.issuer.store;
        if self.results.issuer_starts != self.core.starts() {
            self.results.issuer_starts = self.core.starts();
            // What an issuer wrote is counted from its start.
            (store.records, store.batches, store.bytes) = (0, 0, 0);
        }
        store.records += 1;
        store.batches += u64::from(entry.begins_batch);
        store.bytes += entry.bytes;
    }

    /// Begins at a moment of which nothing is known before.
    fn begin(&mut self, at: Time, reel: &Reel, story: &Story) {
        let since = nanos(at.since(self.core.timeline().opened_at));
        self.ticks = since / nanos(TICK);
        self.tell_totals(at, reel, story);
        self.tally.begin(&self.results);
    }

    fn tell_totals(&mut self, at: Time, reel: &Reel, story: &Story) {
        let store = std::mem::take(&mut self.results.issuer.store);
        self.results.issuer = self.core.totals(at, |id| reel.begun(id));
        self.results.issuer.store = store;
        self.tell_present(at, story);
    }

    /// Adds what the office knew and no log holds.
    fn tell_present(&mut self, at: Time, story: &Story) {
        let Some(present) = story.present(at) else {
            self.results.origin = Origin::Log;
            return;
        };
        self.results.origin = Origin::Diary;
        self.results.population.users = present.users.0;
        let issuer = &mut self.results.issuer;
        (issuer.staffed, issuer.bad_peers) = (present.staffed, present.bad_peers);
        // Seats have been the same since.
        let since = u128::from(self.core.measured_ns(present.at, at));
        issuer.staffed_ns = u128::from(present.staffed_ns) + u128::from(present.staffed) * since;
        for (service, &(all, measured)) in issuer.services.iter_mut().zip(&present.rejected) {
            (service.totals.rejected, service.measured.rejected) = (all, measured);
        }
        for (service, &lost_ns) in issuer.services.iter_mut().zip(&present.lost_ns) {
            service.lost_ns = lost_ns;
        }
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

    fn tick(&mut self, at: Time, wall: WallTime, reel: &Reel, story: &Story) {
        self.ticks += 1;
        self.tell_totals(at, reel, story);
        self.tally.count(&self.results);
        if self.ticks.is_multiple_of(TICKS) {
            self.tell_latencies();
            let line = self.core.timeline().clone();
            let workers = story.present(at).map_or(0, |present| present.workers.0);
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

/// Returns the scenario that a run began with, if this version understands it.
fn effective(file: &RunFile) -> Option<Effective> {
    let (name, title) = ("the run's scenario".to_owned(), file.facts.scenario.clone());
    let text = file.facts.scenario_text.to_string();
    config::parse(&Source { name, title, text }, &[]).ok()
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
