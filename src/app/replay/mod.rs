//! The dashboard over what a log holds: a run that has ended, crashed, or still goes on.
//!
//! [`reel`] reads records, [`film`] makes the office of any moment from them, [`scene`] shows it as
//! a snapshot. This file is the projector: a thread that holds the desk like a director, publishes
//! the moment that is looked at, and obeys what concerns time. Nothing is written to the data
//! directory, and no lock is taken, so a log can be replayed beside its writer; then its end is
//! followed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use color_eyre::eyre::{Report, Result, WrapErr};
use engine::clock::{Clock, SystemClock, WallTime};
use engine::storage::{self, LogError};
use serde_json::Value;

mod film;
mod reel;
mod scene;

use film::Film;

use super::action::{Action, SPEED_MAX, Travel};
use super::handle::{Access, Desk};
use super::state::{AppState, Reading};
use super::summary::Summary;
use super::viewer::{self, Bell, Viewer};

/// How often a moment is published while time moves on.
const FRAME: Duration = Duration::from_millis(100);
/// How often the end of a log that somebody writes is looked at.
const FOLLOW: Duration = Duration::from_millis(500);
/// The usual pace.
const SPEED: u32 = 1000;

/// What to replay, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// The data directory.
    pub(crate) dir: PathBuf,
    /// Which run, from one; `None` is the last.
    pub(crate) run: Option<u64>,
    /// The moment to begin at, as time since arrivals began; `None` is the end.
    pub(crate) at: Option<Duration>,
}

/// Which run of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Last,
    /// From one.
    Number(usize),
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("there is no log in {}; name the data directory of a run", .0.display())]
    NoLog(PathBuf),
    #[error("the log in {} holds no run: its issuer was never started", .0.display())]
    Empty(PathBuf),
    #[error("there is no run {wanted}: the log holds {has}, from 1 on")]
    NoRun { wanted: usize, has: usize },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("reading was given up")]
    GivenUp,
}

impl ReplayError {
    /// Returns whether another command line would help.
    fn is_usage(&self) -> bool {
        matches!(self, Self::NoLog(_) | Self::Empty(_) | Self::NoRun { .. })
    }
}

impl Wish {
    fn choice(&self) -> Choice {
        let number = self.run.map(|run| usize::try_from(run).unwrap_or(usize::MAX));
        number.map_or(Choice::Last, Choice::Number)
    }
}

/// Makes sure that there is a log.
///
/// # Errors
/// [`ReplayError::NoLog`] if there is none.
pub(crate) fn check(wish: &Wish) -> Result<(), ReplayError> {
    let is_there = wish.dir.join("log").is_dir();
    if is_there { Ok(()) } else { Err(ReplayError::NoLog(wish.dir.clone())) }
}

/// Returns the figures of the wished moment, as a headless run prints them; or what is wrong with
/// the wish.
///
/// # Errors
/// If the log can't be read or is damaged.
pub(crate) fn print(wish: &Wish) -> Result<Result<Value, ReplayError>> {
    let opened = check(wish).and_then(|()| Film::open(&wish.dir, wish.choice(), &mut |_| true));
    let mut film = match opened {
        Err(error) if error.is_usage() => return Ok(Err(error)),
        other => other.map_err(report)?,
    };
    let at = wish.at.map_or(film.until, |office| film.moment(office));
    film.seek(at).map_err(report)?;
    let state = film.state(1, &scene::Playing::default());
    Ok(Ok(Summary::new(Arc::new(state)).to_json()))
}

/// An error of the log keeps its exit code.
fn report(error: ReplayError) -> Report {
    match error {
        ReplayError::Log(error) => error.into(),
        other => other.into(),
    }
}

/// Shows a log.
///
/// # Errors
/// If the system has no threads left.
pub(crate) fn replay(wish: Wish) -> Result<Viewer> {
    let first = scene::reading(&wish, None);
    let tell = move |desk: Desk, bell: Bell| project(&wish, &desk, &bell);
    viewer::start("replay", first, Access::Replay, tell).wrap_err("cannot start a thread")
}

/// Shows a log until the viewer has seen enough.
fn project(wish: &Wish, desk: &Desk, bell: &Bell) -> Result<()> {
    let mut projector = Projector { desk, bell, wish, number: 1 };
    let mut choice = wish.choice();
    let mut at = wish.at;
    loop {
        let shown = projector.load(choice).and_then(|film| projector.show(film, at));
        match shown {
            Ok(Some(next)) => (choice, at) = (Choice::Number(next), None),
            Ok(None) | Err(ReplayError::GivenUp) => return Ok(()),
            Err(error) => {
                let error = report(error);
                log::error!(target: "replay", "{error:#}");
                let exit = super::exit_of_error(&error);
                desk.publish(scene::failed(wish, exit, format!("{error:#}")));
                while !bell.is_over() {
                    // Nothing can be done but to look at it.
                    while desk.next_action().is_some() {}
                    bell.wait(None);
                }
                return Err(error);
            }
        }
    }
}

struct Projector<'a> {
    desk: &'a Desk,
    bell: &'a Bell,
    wish: &'a Wish,
    number: u64,
}

impl Projector<'_> {
    fn load(&mut self, choice: Choice) -> Result<Film, ReplayError> {
        check(self.wish)?;
        let (desk, bell, wish) = (self.desk, self.bell, self.wish);
        Film::open(&wish.dir, choice, &mut |reading: Reading| {
            desk.publish(scene::reading(wish, Some(reading)));
            !bell.is_over()
        })
    }

    /// Shows a run; returns the number of the one to show next, if any.
    fn show(&mut self, mut film: Film, at: Option<Duration>) -> Result<Option<usize>, ReplayError> {
        let is_written =
            |film: &Film| storage::writer_of(film.data_dir()).is_ok_and(|pid| pid.is_some());
        let mut playing = scene::Playing { speed_milli: SPEED, ..scene::Playing::default() };
        playing.is_written = is_written(&film);
        playing.is_following = playing.is_written && at.is_none();
        let begin = at.map_or(film.edge(playing.is_written), |office| film.moment(office));
        film.seek(begin)?;
        let mut last = SystemClock.now();
        let mut looked = last;
        loop {
            self.publish(&mut film, &playing);
            let span = match (playing.is_playing, playing.is_written) {
                (true, _) => Some(FRAME),
                (false, true) => Some(FOLLOW),
                (false, false) => None,
            };
            self.bell.wait(span);
            if self.bell.is_over() {
                return Ok(None);
            }
            let now = SystemClock.now();
            let passed = now.since(std::mem::replace(&mut last, now));
            while let Some((_, action)) = self.desk.next_action() {
                if let Some(run) = obey(&action, &mut film, &mut playing)? {
                    return Ok(Some(run));
                }
            }
            if playing.is_written && now.since(looked) >= FOLLOW {
                looked = now;
                playing.is_written = is_written(&film);
                film.follow()?;
            }
            let edge = film.edge(playing.is_written);
            if playing.is_following {
                film.seek(edge)?;
                playing.is_following = playing.is_written;
            } else if playing.is_playing {
                let span = passed.mul_f64(f64::from(playing.speed_milli) / f64::from(SPEED));
                film.seek((film.at + span).min(edge))?;
                playing.is_following = film.at >= edge && playing.is_written;
                playing.is_playing = film.at < edge;
            }
        }
    }

    fn publish(&mut self, film: &mut Film, playing: &scene::Playing) {
        self.number += 1;
        self.desk.publish(AppState { wall: self.wall(film), ..film.state(self.number, playing) });
    }

    fn wall(&self, film: &Film) -> WallTime {
        film.wall(film.at)
    }
}

/// Does what was asked for; returns the number of another run if that is wanted.
fn obey(
    action: &Action,
    film: &mut Film,
    playing: &mut scene::Playing,
) -> Result<Option<usize>, ReplayError> {
    let travel = match action {
        Action::Pause => {
            (playing.is_playing, playing.is_following) = (false, false);
            return Ok(None);
        }
        Action::Resume => {
            if film.at >= film.until && !playing.is_written {
                film.seek(film.from)?;
            }
            playing.is_playing = true;
            return Ok(None);
        }
        Action::Step(span) => Travel::Forward(*span),
        Action::Travel(travel) => *travel,
        // Others are refused before they come here.
        _ => return Ok(None),
    };
    let edge = film.edge(playing.is_written);
    let to = match travel {
        Travel::To(moment) => moment,
        Travel::Forward(span) => film.at + span,
        Travel::Back(span) => film.at - span,
        Travel::NextEvent => film.event_after(film.at).unwrap_or(edge),
        Travel::PreviousEvent => film.event_before(film.at).unwrap_or(film.from),
        Travel::Live => edge,
        Travel::Speed(milli) => {
            playing.speed_milli = milli.clamp(1, SPEED_MAX);
            return Ok(None);
        }
        Travel::NextRun => {
            return Ok(Some(film.number() + 1).filter(|&run| run <= film.runs.len()));
        }
        Travel::PreviousRun => return Ok(Some(film.number() - 1).filter(|&run| run > 0)),
    };
    let is_time_moving = matches!(travel, Travel::To(_)) && playing.is_playing;
    (playing.is_playing, playing.is_following) = (is_time_moving, false);
    film.seek(to.min(edge))?;
    playing.is_following = playing.is_written && film.at >= edge;
    Ok(None)
}

#[cfg(test)]
mod tests;
