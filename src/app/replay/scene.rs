//! A moment of a film as a snapshot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::ids::{RunId, WorkerId};
use engine::storage;

use super::Wish;
use super::film::{Film, StartSeen};
use crate::app::action::ProcessId;
use crate::app::events::{EVENTS_MAX, Happening, LABEL_CHARS_MAX, Source};
use crate::app::exit::Exit;
use crate::app::heat::Heat;
use crate::app::history::History;
use crate::app::staffing::Seating;
use crate::app::state::{
    AppState, Ending, IndexRow, Level, Phase, ProcessRow, ProcessState, Rates, Reading, Replay,
    RunFacts, Seats, Settings, Severity, StoreRow, Totals, Trend, View,
};
use crate::app::tally::totals;

/// How time moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Playing {
    /// By itself.
    pub(super) is_playing: bool,
    /// With the end of a log that is written.
    pub(super) is_following: bool,
    /// Somebody writes the log.
    pub(super) is_written: bool,
    /// How fast, in thousandths.
    pub(super) speed_milli: u32,
}

/// Returns what is shown while a log is read.
pub(super) fn reading(wish: &Wish, reading: Option<Reading>) -> AppState {
    blank(facts(&wish.dir, RunId(0)), Phase::Recovering(reading))
}

/// Returns what is shown of a log that can't be read.
pub(super) fn failed(wish: &Wish, exit: Exit, reason: String) -> AppState {
    let phase = Phase::Stopped(Ending::Failed { exit, reason: reason.clone() });
    AppState { failure: Some(reason), ..blank(facts(&wish.dir, RunId(0)), phase) }
}

/// What is known of a run of which only the log is there.
fn facts(dir: &Path, id: RunId) -> RunFacts {
    RunFacts {
        id,
        seed: 0,
        scenario: "unknown".to_owned(),
        scenario_text: "".into(),
        started: WallTime::default(),
        host: String::new(),
        cpus: 0,
        duration: None,
        drain: Duration::ZERO,
        fsync: String::new(),
        power_loss_takes: engine::config::scenario::FsyncPolicy::None.power_loss_takes(),
        data_dir: dir.display().to_string(),
    }
}

fn blank(run: RunFacts, phase: Phase) -> AppState {
    let view = View::Replay(Replay {
        number: 0,
        runs: 0,
        from: Time::ZERO,
        until: Time::ZERO,
        at: Time::ZERO,
        is_playing: false,
        speed_milli: super::SPEED,
        is_following: false,
        gaps: Vec::new(),
    });
    AppState {
        view,
        number: 0,
        at: Time::ZERO,
        wall: WallTime::now(),
        phase,
        run,
        opened_at: None,
        pauses: Vec::new(),
        elapsed: Duration::ZERO,
        workers: Level::default(),
        users: Level::default(),
        seats: Seats::default(),
        totals: Totals::default(),
        rates: Rates::default(),
        series: Arc::default(),
        history: History::default(),
        heat: Heat::default(),
        figures: Arc::default(),
        latencies: Vec::new(),
        services: Vec::new(),
        processes: Vec::new(),
        store: StoreRow::default(),
        metrics: Arc::default(),
        metrics_dropped: 0,
        net: Arc::default(),
        slos: Vec::new(),
        conf: Arc::default(),
        conf_text: "".into(),
        reload: None,
        answers: Arc::default(),
        failure: None,
        notices: Vec::new(),
        events: Arc::default(),
        events_dropped: 0,
        settings: Settings::default(),
        sys: None,
    }
}

impl Film {
    /// Returns the moment at which the run has gone on for so long.
    pub(super) fn moment(&self, office: Duration) -> Time {
        self.scene.core.timeline().moment(office)
    }

    /// Returns the office at the moment that the scene shows.
    pub(super) fn state(&mut self, number: u64, playing: &Playing) -> AppState {
        self.sum_up();
        let (at, line) = (self.at, self.scene.core.timeline().clone());
        let facts = self.facts();
        let phase = self.phase(playing);
        let events: Vec<Happening> =
            self.events().into_iter().take_while(|event| event.at <= at).collect();
        let dropped = events.len().saturating_sub(EVENTS_MAX);
        let results = &self.scene.results;
        let (_, in_service) = results.present();
        let workers = u32::try_from(self.scene.core.served_by().len()).unwrap_or(u32::MAX);
        let tally = &self.scene.tally;
        AppState {
            view: View::Replay(self.view(playing)),
            number,
            at,
            wall: self.wall(at),
            opened_at: Some(line.opened_at).filter(|&opened| opened <= at),
            pauses: line.pauses.iter().copied().filter(|&(from, _)| from <= at).collect(),
            elapsed: line.office_time(at),
            workers: Level { actual: workers, target: u32::from(self.scenario.office.workers) },
            users: Level {
                actual: self.scene.core.users(),
                target: self.scenario.loads.iter().map(|load| load.users).sum(),
            },
            seats: Seats { busy: u32::try_from(in_service).unwrap_or(u32::MAX), staffed: 0 },
            totals: totals(results),
            rates: tally.rates(),
            series: Arc::clone(&tally.series),
            history: tally.history.clone(),
            heat: tally.heat.clone(),
            figures: Arc::clone(&tally.figures),
            latencies: tally.latencies.clone(),
            services: tally.service_rows(results),
            processes: self.processes(&phase),
            store: self.store(),
            failure: match &phase {
                Phase::Stopped(Ending::Failed { reason, .. }) => Some(reason.clone()),
                _ => None,
            },
            events: Arc::new(events.into_iter().skip(dropped).collect()),
            events_dropped: dropped as u64,
            ..blank(facts, phase)
        }
    }

    fn facts(&self) -> RunFacts {
        let id = self.scene.core.run().unwrap_or(RunId(0));
        let started = self.starts.first().map(|seen| seen.start.wall);
        match &self.file {
            // A copy of a data directory is where it is, not where it was.
            Some(file) => {
                let data_dir = self.data_dir().display().to_string();
                RunFacts { data_dir, ..file.facts.clone() }
            }
            None => RunFacts {
                started: started.unwrap_or_default(),
                fsync: self.scenario.storage.fsync.to_string(),
                ..facts(self.data_dir(), id)
            },
        }
    }

    fn view(&self, playing: &Playing) -> Replay {
        Replay {
            number: self.number(),
            runs: self.runs.len(),
            from: self.from,
            until: self.until,
            at: self.at,
            is_playing: playing.is_playing,
            speed_milli: playing.speed_milli,
            is_following: playing.is_following,
            gaps: self.gaps(playing),
        }
    }

    /// Says what the log does not hold.
    fn gaps(&self, playing: &Playing) -> Vec<String> {
        let mut gaps = vec![
            "the log holds tickets: what is told of users and workers is only which of them had \
             tickets that ended; rejected requests, seats, syncs, CPU and memory are not in it"
                .to_owned(),
        ];
        if self.file.is_none() {
            gaps.push(
                "the run has no file in runs/: names, warm-up and pauses are not known, so all of \
                 it is measured"
                    .to_owned(),
            );
        }
        if self.scene.results.issuer.redelivered > 0 {
            gaps.push(
                "what happened to tickets whose worker died, between their first seat and their \
                 last, counts as service"
                    .to_owned(),
            );
        }
        if self.torn_bytes > 0 {
            let bytes = self.torn_bytes;
            gaps.push(format!("the log ends in {bytes} bytes that were being written"));
        }
        if playing.is_following {
            gaps.push("which of the newest tickets have a seat is not in the log yet".to_owned());
        }
        gaps
    }

    fn phase(&self, playing: &Playing) -> Phase {
        let (at, line) = (self.at, self.scene.core.timeline());
        let ended = self.file.as_ref().and_then(|file| file.ended.as_ref());
        let open = self.scene.core.open() as u64;
        match ended {
            Some((moment, ending)) if *moment <= at => return Phase::Stopped(ending.clone()),
            None if at >= self.until && !playing.is_written => {
                let torn = match self.torn_bytes {
                    0 => String::new(),
                    bytes => format!(" in {bytes} bytes of a torn record"),
                };
                let reason = format!(
                    "the log ends here{torn}, without a word of the director: it was killed, or \
                     the machine stopped; {open} tickets are open, the next start on this \
                     directory queues them again"
                );
                return Phase::Stopped(Ending::Failed { exit: Exit::Failed, reason });
            }
            _ => {}
        }
        if at < line.opened_at {
            Phase::Starting
        } else if at >= line.window_until() {
            Phase::Draining { open }
        } else if line.pauses.iter().any(|&(from, to)| from <= at && at < to) {
            Phase::Paused
        } else {
            Phase::Running
        }
    }

    fn processes(&self, phase: &Phase) -> Vec<ProcessRow> {
        let state = match phase {
            Phase::Stopped(_) => ProcessState::Stopped,
            _ => ProcessState::Ready,
        };
        let row = |id, restarts, tickets, hosts| ProcessRow {
            id,
            pid: None,
            state,
            cpu: None,
            rss_bytes: None,
            restarts,
            tickets,
            hosts,
            trend: Trend::default(),
            note: "as the log names it".to_owned(),
            last_words: Vec::new(),
        };
        let (core, seating) = (&self.scene.core, Seating::of(&self.scenario.office));
        let issued = self.scene.results.totals().issued;
        let issuer = row(ProcessId::Issuer, core.starts().saturating_sub(1), issued, 0);
        let workers = core.served_by().iter().map(|(&number, &served)| {
            let hosts = if self.file.is_some() { seating.at(number) } else { 0 };
            row(ProcessId::Worker(WorkerId(number)), 0, served, hosts)
        });
        std::iter::once(issuer).chain(workers).collect()
    }

    fn store(&self) -> StoreRow {
        let store = &self.scene.results.issuer.store;
        StoreRow {
            segments: self.segments,
            log_bytes: self.log_bytes,
            file_bytes: storage::file_bytes(self.data_dir()).ok(),
            issuer_starts: self.scene.core.starts(),
            records: store.records,
            bytes: store.bytes,
            batches: store.batches,
            index: IndexRow::default(),
            ..StoreRow::default()
        }
    }

    /// Returns what happened in the run as far as its log and its file tell, in order.
    pub(super) fn events(&self) -> Vec<Happening> {
        let line = self.scene.core.timeline();
        let mut found: Vec<(Time, Severity, Source, String, String)> = Vec::new();
        let told = |at, severity, who, label: &str, text: String| {
            (at, severity, who, label.to_owned(), text)
        };
        for StartSeen { at, start, requeued } in &self.starts {
            let (severity, text) = match requeued {
                0 => (Severity::Info, format!("the issuer was started ({})", start.epoch)),
                tickets => {
                    let text = format!(
                        "the issuer was started ({}): {tickets} unfinished tickets queued again",
                        start.epoch
                    );
                    (Severity::Warning, text)
                }
            };
            found.push(told((*at).max(self.from), severity, Source::Office, "issuer start", text));
        }
        if self.file.is_some() {
            let text = "arrivals began".to_owned();
            found.push(told(line.opened_at, Severity::Info, Source::Office, "open", text));
        }
        for &(from, to) in &line.pauses {
            let (who, info) = (Source::Office, Severity::Info);
            found.push(told(from, info, who, "pause", "the run was paused".to_owned()));
            if to != Time::NEVER {
                found.push(told(to, info, who, "resume", "the run went on".to_owned()));
            }
        }
        if line.window_until() <= self.until {
            let text = "arrivals ended".to_owned();
            found.push(told(line.window_until(), Severity::Info, Source::Office, "drain", text));
        }
        if let Some((at, ending)) = self.file.as_ref().and_then(|file| file.ended.as_ref()) {
            let (severity, text) = match ending {
                Ending::Completed => (Severity::Info, "the run was completed".to_owned()),
                Ending::Interrupted { signal } => {
                    (Severity::Info, format!("signal {signal} ended the run"))
                }
                Ending::Overloaded { waiting } => {
                    (Severity::Error, format!("the run ended as overloaded: {waiting} waited"))
                }
                Ending::Failed { reason, .. } => (Severity::Error, reason.clone()),
            };
            found.push(told(*at, severity, Source::Office, "end", text));
        }
        found.sort_by_key(|(at, ..)| *at);
        let happening =
            |(number, (at, severity, who, label, text)): (u64, (Time, _, _, String, _))| {
                debug_assert!(label.len() <= LABEL_CHARS_MAX, "a label fits its mark");
                Happening { number, at, wall: self.wall(at), severity, who, label, text }
            };
        (1..).zip(found).map(happening).collect()
    }

    /// Returns the first event behind a moment.
    pub(super) fn event_after(&self, at: Time) -> Option<Time> {
        self.events().iter().map(|event| event.at).find(|&moment| moment > at)
    }

    /// Returns the last event before a moment.
    pub(super) fn event_before(&self, at: Time) -> Option<Time> {
        self.events().iter().rev().map(|event| event.at).find(|&moment| moment < at)
    }
}
