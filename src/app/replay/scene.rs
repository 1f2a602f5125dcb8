//! A moment of a film as a snapshot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Time, WallTime};
use engine::ids::{RunId, WorkerId};

use super::Wish;
use super::film::{Film, StartSeen};
use crate::app::action::ProcessId;
use crate::app::diary::Present;
use crate::app::events::{EVENTS_MAX, Happening, LABEL_CHARS_MAX, Source};
use crate::app::exit::Exit;
use crate::app::format;
use crate::app::state::{
    AppState, Ending, Level, Phase, ProcessRow, ProcessState, Reading, Replay, RunFacts, Seats,
    Severity, StoreRow, Trend, View,
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
        seed: None,
        scenario: "unknown".to_owned(),
        scenario_text: "".into(),
        started: WallTime::default(),
        host: String::new(),
        cpus: 0,
        duration: None,
        drain: Duration::ZERO,
        fsync: format::ABSENT.to_owned(),
        power_loss_takes: "a part that nobody knows",
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
    AppState { view, ..AppState::blank(run, phase) }
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
        let until = self.happenings.partition_point(|event| event.at <= at);
        let dropped = until.saturating_sub(EVENTS_MAX);
        let results = &self.scene.results;
        let (_, in_service) = results.present();
        let present = self.story.present(at);
        let level = |of: fn(&Present) -> (u32, u32)| {
            let (actual, target) = present.map(of).unzip();
            Level { actual, target }
        };
        let tally = &self.scene.tally;
        let is_over = matches!(phase, Phase::Stopped(_));
        AppState {
            view: View::Replay(self.view(playing)),
            number,
            at,
            wall: self.wall(at),
            opened_at: Some(line.opened_at).filter(|&opened| opened <= at),
            pauses: line.pauses.iter().copied().filter(|&(from, _)| from <= at).collect(),
            elapsed: line.office_time(at),
            workers: level(|present| present.workers),
            users: level(|present| present.users),
            seats: Seats {
                busy: u32::try_from(in_service).unwrap_or(u32::MAX),
                staffed: present.map(|now| u32::try_from(now.staffed).unwrap_or(u32::MAX)),
            },
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
            slos: self.watch.rows(&tally.figures, is_over),
            conf: Arc::clone(&self.conf),
            conf_text: Arc::clone(&facts.scenario_text),
            failure: match &phase {
                Phase::Stopped(Ending::Failed { reason, .. }) => Some(reason.clone()),
                _ => None,
            },
            events: Arc::new(self.happenings[dropped..until].to_vec()),
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
            None => RunFacts { started: started.unwrap_or_default(), ..facts(self.data_dir(), id) },
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
            gaps: self.gaps(),
        }
    }

    /// Says what the log does not hold.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = vec![
            "no log holds what users saw, syncs, CPU, memory and sockets; of processes it names who \
             served tickets"
                .to_owned(),
        ];
        match self.story.full_at {
            _ if self.story.present(self.at).is_some() => {}
            Some(full) if full <= self.at => gaps.push(format!(
                "the run's diary in runs/ was full at {}: how many workers, users and seats there \
                 were since, and rejected requests, is not known",
                self.wall(full)
            )),
            _ => gaps.push(
                "the run's diary in runs/ says nothing of this moment: how many workers, users and \
                 seats there were, and rejected requests, is not known"
                    .to_owned(),
            ),
        }
        if self.story.missed > 0 {
            let missed = format::counted(self.story.missed, "event");
            gaps.push(format!("{missed} came too fast for the run's diary"));
        }
        if self.is_beginning_lost {
            gaps.push(
                "the log has let go of the run's beginning: counts and figures are of what is left"
                    .to_owned(),
            );
        }
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
        let unsure = self.unsure() as u64;
        if unsure > 0 {
            let tickets = format::counted(unsure, "ticket");
            gaps.push(format!(
                "whether {tickets} had a seat is not known, as the log has no end of them yet or the \
                 issuer died before: all of them count as waiting"
            ));
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
                let open = format::counted(open, "open ticket");
                let reason = format!(
                    "the log ends here{torn}, without a word of the director: it was killed, or \
                     the machine stopped; the next start on this directory queues {open} again"
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
            _ => ProcessState::Unknown,
        };
        let row = |id, restarts, tickets| ProcessRow {
            id,
            pid: None,
            state,
            cpu: None,
            rss_bytes: None,
            restarts,
            tickets,
            hosts: None,
            trend: Trend::default(),
            note: "as the log names it".to_owned(),
            last_words: Vec::new(),
        };
        let core = &self.scene.core;
        let issued = self.scene.results.totals().issued;
        // Starts before what is left of the log are in none.
        let restarts = (!self.is_beginning_lost).then(|| core.starts().saturating_sub(1));
        let issuer = row(ProcessId::Issuer, restarts, issued);
        let workers = core.served_by().iter();
        let workers = workers
            .map(|(&number, &served)| row(ProcessId::Worker(WorkerId(number)), None, served));
        std::iter::once(issuer).chain(workers).collect()
    }

    fn store(&self) -> StoreRow {
        let store = &self.scene.results.issuer.store;
        StoreRow {
            segments: self.segments,
            log_bytes: self.log_bytes,
            file_bytes: Some(self.files.bytes),
            files: Arc::clone(&self.files.rows),
            issuer_starts: self.scene.core.starts(),
            records: store.records,
            bytes: store.bytes,
            batches: store.batches,
            ..StoreRow::default()
        }
    }

    /// Puts together what happened in the run, as far as its log, its file and its diary tell. The
    /// diary tells of its own when doors opened and the run stood still.
    pub(super) fn retell(&mut self) {
        let line = self.scene.core.timeline();
        let is_told = |at: Time| !self.story.events.is_empty() && self.story.covers(at);
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
            // It started behind what was written before, at the moment that it tells.
            let at = self.moment_of(start.wall).max(*at).max(self.from).min(self.until);
            found.push(told(at, severity, Source::Office, "issuer start", text));
        }
        if self.file.is_some() && !is_told(line.opened_at) {
            let text = "arrivals began".to_owned();
            found.push(told(line.opened_at, Severity::Info, Source::Office, "open", text));
        }
        for &(from, to) in line.pauses.iter().filter(|&&(from, _)| !is_told(from)) {
            let (who, info) = (Source::Office, Severity::Info);
            found.push(told(from, info, who, "pause", "the run was paused".to_owned()));
            if to != Time::NEVER {
                found.push(told(to, info, who, "resume", "the run went on".to_owned()));
            }
        }
        if line.window_until() <= self.until && !is_told(line.window_until()) {
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
        let happening = |(at, severity, who, label, text): (Time, _, _, String, _)| {
            debug_assert!(label.len() <= LABEL_CHARS_MAX, "a label fits its mark");
            Happening { number: 0, at, wall: self.wall(at), severity, who, label, text }
        };
        let mut all: Vec<Happening> = found.into_iter().map(happening).collect();
        all.extend(self.story.events.iter().cloned());
        all.sort_by_key(|event| event.at);
        for (number, event) in (1..).zip(&mut all) {
            event.number = number;
        }
        self.happenings = all;
    }

    /// Returns the first event behind a moment.
    pub(super) fn event_after(&self, at: Time) -> Option<Time> {
        self.happenings.iter().map(|event| event.at).find(|&moment| moment > at)
    }

    /// Returns the last event before a moment.
    pub(super) fn event_before(&self, at: Time) -> Option<Time> {
        self.happenings.iter().rev().map(|event| event.at).find(|&moment| moment < at)
    }
}
