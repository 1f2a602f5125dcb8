//! What is in effect, and what a change of it asks the director to do.
//!
//! Pure: nothing here reads a file or speaks to a process. A change is applied as a whole or not at
//! all. Three scenarios are kept: what is in effect, what the file and the command line said when
//! they were last read, and what children are started with. The last one keeps the numbers of users
//! and workers and the rates of the start, because the schedules of open loads and the workload's
//! digest rest on them; how many there are now, and how fast they live, is told beside it.

use std::sync::Arc;

use engine::config::diff::Difference;
use engine::config::scenario::Scenario;
use engine::config::schema::{Change, Role};
use engine::config::{Assignment, ConfigErrors, Effective, Origin, diff};
use engine::ids::LoadId;
use engine::limits;

use super::{ChangeRow, ConfRow, Fate, Giver, Refusal};
use crate::app::staffing::{Seating, spread_users};
use crate::app::tempo::Pulse;

/// The configuration of a running office.
#[derive(Clone, Debug)]
pub(crate) struct Conf {
    /// All that is in effect.
    shown: Effective,
    /// What the file and the command line said when they were last read.
    read: Effective,
    /// What children are started with.
    staff: Effective,
    /// How fast users live.
    tempo: Pulse,
    /// How seats are spread over worker slots.
    seating: Seating,
    /// In which proportion closed loads share users.
    weights: Vec<u32>,
}

/// What a change asks the director to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Todo {
    /// There should be another number of users.
    pub(crate) users: bool,
    /// There should be another number of workers.
    pub(crate) workers: bool,
    /// Users should live faster or slower.
    pub(crate) tempo: bool,
    /// The run's duration, or what ends it, is another.
    pub(crate) rules: bool,
    /// The issuer should sync or keep its log in another way.
    pub(crate) store: bool,
    /// There are other goals.
    pub(crate) goals: bool,
    /// The issuer must be started again.
    pub(crate) restart_issuer: bool,
    /// Workers must be started again.
    pub(crate) restart_workers: bool,
}

type Pairs = Vec<(Assignment, Origin)>;

impl Conf {
    /// Returns what is in effect at the start.
    pub(crate) fn new(effective: &Effective) -> Self {
        let scenario = &effective.scenario;
        Self {
            shown: effective.clone(),
            read: effective.clone(),
            staff: effective.clone(),
            tempo: Pulse::of(scenario),
            seating: Seating::of(&scenario.office),
            weights: scenario.loads.iter().map(|load| load.users).collect(),
        }
    }

    /// Returns all that is in effect.
    pub(crate) fn shown(&self) -> &Effective {
        &self.shown
    }

    /// Returns the typed values that are in effect.
    pub(crate) fn scenario(&self) -> &Scenario {
        &self.shown.scenario
    }

    /// Returns the scenario that children are started with.
    pub(crate) fn staff(&self) -> &Effective {
        &self.staff
    }

    /// Returns how seats are spread over worker slots.
    pub(crate) fn seating(&self) -> Seating {
        self.seating
    }

    /// Returns how fast users should live.
    pub(crate) fn tempo(&self) -> &Pulse {
        &self.tempo
    }

    /// Returns how many users each load should have.
    pub(crate) fn users(&self) -> Vec<u32> {
        self.scenario().loads.iter().map(|load| load.users).collect()
    }

    /// Returns how many workers there should be.
    pub(crate) fn workers(&self) -> u16 {
        self.scenario().office.workers
    }

    /// Returns a row for each key.
    pub(crate) fn rows(&self) -> Arc<Vec<ConfRow>> {
        let row = |row: engine::config::Row<'_>| ConfRow {
            section: row.section.to_owned(),
            key: if row.name == row.key.name { row.key.shown_name() } else { row.name }.to_owned(),
            value: row.value.map(str::to_owned),
            default: row.key.default.to_owned(),
            giver: match row.origin {
                Origin::Default => Giver::Default,
                Origin::Line { .. } => Giver::Scenario,
                Origin::Option(_) => Giver::CommandLine,
                Origin::Live => Giver::Live,
            },
            origin: row.origin.to_string(),
            change: row.key.change,
            range: row.key.range.to_owned(),
            meaning: row.key.meaning.to_owned(),
        };
        Arc::new(self.shown.rows().map(row).collect())
    }

    /// Spreads a population over the loads that people think of as users.
    ///
    /// # Errors
    /// [`Refusal`] if the numbers are out of range.
    pub(crate) fn set_users(&mut self, users: u32) -> Result<Todo, Refusal> {
        let now = self.users();
        let wanted =
            spread_users(self.scenario(), &self.weights, &now, users.min(limits::USERS_MAX));
        let pairs = self.scenario().loads.iter().zip(now.iter().zip(&wanted));
        let pairs = pairs.filter(|(_, (now, wanted))| now != wanted).map(|(load, (_, wanted))| {
            let value = wanted.to_string();
            self.placed(assignment(&format!("load.{}", load.name), "users", Some(value)))
        });
        let pairs = pairs.collect();
        let weights = self.weights.clone();
        let todo = self.apply(pairs)?;
        // A proportion is not forgotten when there is nobody for a while.
        self.weights = weights;
        Ok(todo)
    }

    /// Changes how fast all users live.
    ///
    /// # Errors
    /// [`Refusal`] if they can't live that fast.
    pub(crate) fn set_speed(&mut self, speed: f64) -> Result<Todo, Refusal> {
        let tempo = self.tempo.with_speed(speed).map_err(unfit)?;
        let is_new = tempo != self.tempo;
        self.tempo = tempo;
        Ok(Todo { tempo: is_new, ..Todo::default() })
    }

    /// Changes the rate of an open load.
    ///
    /// # Errors
    /// [`Refusal`] if the load is closed or can't have the rate.
    pub(crate) fn set_rate(&mut self, load: LoadId, per_second: f64) -> Result<Todo, Refusal> {
        let rate = self.tempo.rate(load).ok_or_else(|| {
            unfit("that load is closed: its users ask when they have thought".to_owned())
        })?;
        let (section, value) =
            (format!("load.{}", rate.name), format!("{} {per_second}/s", rate.model));
        self.apply(vec![self.placed(assignment(&section, "rate", Some(value)))])
    }

    /// Changes how many workers there are; each keeps its seats.
    ///
    /// # Errors
    /// [`Refusal`] if there would be too many seats.
    pub(crate) fn set_workers(&mut self, workers: u16) -> Result<Todo, Refusal> {
        let workers = workers.clamp(1, limits::WORKERS_MAX);
        self.apply(self.with_seats(vec![assignment(
            "office",
            "workers",
            Some(workers.to_string()),
        )]))
    }

    /// Changes keys, all of them or none, and returns what differs.
    ///
    /// # Errors
    /// [`Refusal`] with every mistake, or with the keys that need a new run.
    pub(crate) fn set(
        &mut self,
        changes: &[Assignment],
    ) -> Result<(Vec<ChangeRow>, Todo), Refusal> {
        let pairs = self.with_seats(changes.to_vec());
        let wanted = self.shown.with(&pairs).map_err(|errors| refused(&errors))?;
        let plan = diff(&self.shown, &wanted);
        let stuck: Vec<String> = (plan.changes.iter())
            .filter(|change| needs(change) == Change::Restart)
            .map(|change| {
                let old = spelled(change.old.as_ref(), change.default);
                let what = if is_rate(change) { "kind of arrivals" } else { "value" };
                format!("{}: it stays {old}; another {what} needs a new run", change.name())
            })
            .collect();
        if !stuck.is_empty() {
            return Err(Refusal { text: stuck.join("\n"), is_usage: true });
        }
        let rows = plan.changes.iter().map(|change| row(change, Fate::Applied)).collect();
        let todo = self.apply(pairs)?;
        Ok((rows, todo))
    }

    /// Returns what becomes of each difference between what is in effect and a scenario that was
    /// read again.
    pub(crate) fn propose(&self, read: &Effective) -> Vec<ChangeRow> {
        self.weigh(read).iter().map(|(change, fate)| row(change, *fate)).collect()
    }

    /// Takes over what has changed in a scenario that was read again.
    ///
    /// # Errors
    /// [`Refusal`] if what needs no new run does not go together without the rest.
    pub(crate) fn take(&mut self, read: Effective) -> Result<(Vec<ChangeRow>, Todo), Refusal> {
        let weighed = self.weigh(&read);
        let pairs = weighed.iter().filter(|(_, fate)| *fate == Fate::Proposed);
        let pairs = pairs.filter_map(|(change, _)| change.assignment()).collect();
        let todo = self.apply(pairs).map_err(|refusal| Refusal {
            text: format!(
                "what can change while the office runs does not go together without what can't: {}",
                refusal.text
            ),
            ..refusal
        })?;
        self.read = read;
        let done = |fate: &Fate| if *fate == Fate::Proposed { Fate::Applied } else { *fate };
        Ok((weighed.iter().map(|(change, fate)| row(change, done(fate))).collect(), todo))
    }

    /// Decides what becomes of each difference.
    fn weigh(&self, read: &Effective) -> Vec<(Difference, Fate)> {
        let new = Seating::of(&read.scenario.office);
        let plan = diff(&self.shown, read);
        let weigh = |mut change: Difference| {
            change.needs = needs(&change);
            if change.section == "office"
                && change.key.as_deref() == Some("workers")
                && self.reseats(new, read.scenario.office.workers)
            {
                change.needs = Change::Role(Role::Workers);
            }
            let fate = match change.needs {
                _ if self.is_kept(&change, read) => Fate::KeptLive,
                Change::Restart => Fate::NeedsNewRun,
                Change::Live | Change::Role(_) => Fate::Proposed,
            };
            (change, fate)
        };
        plan.changes.into_iter().map(weigh).collect()
    }

    /// Returns whether a key was changed live and the file says what it said before.
    fn is_kept(&self, change: &Difference, read: &Effective) -> bool {
        let Some(key) = &change.key else { return false };
        let said = |side: &Effective| {
            let row = side.row(&change.section, key);
            row.and_then(|row| row.value).map(str::to_owned)
        };
        change.old_origin == Origin::Live && said(&self.read) == said(read)
    }

    /// Returns whether a worker that is there would have another number of seats.
    fn reseats(&self, new: Seating, workers: u16) -> bool {
        let stay = self.workers().min(workers);
        (0..stay).any(|slot| self.seating.at(slot) != new.at(slot))
    }

    /// Adds the seats that workers keep when somebody changes how many workers there are.
    fn with_seats(&self, mut changes: Vec<Assignment>) -> Pairs {
        let is = |change: &Assignment, key| change.section == "office" && change.key == key;
        let workers = changes.iter().rev().find(|change| is(change, "workers"));
        let usual = self.shown.row("office", "workers").map_or("", |row| row.key.default);
        let workers = workers.map(|change| change.value.as_deref().unwrap_or(usual).parse::<u16>());
        let has_seats = self.shown.row("office", "seats").is_some_and(|row| row.value.is_some());
        if let Some(Ok(workers)) = workers
            && has_seats
            && !changes.iter().any(|change| is(change, "seats"))
        {
            let seats = self.seating.total(workers).to_string();
            changes.push(assignment("office", "seats", Some(seats)));
        }
        changes.into_iter().map(|change| self.placed(change)).collect()
    }

    /// Says who wants a change: whoever wants what was read does not deviate from it.
    fn placed(&self, change: Assignment) -> (Assignment, Origin) {
        let read = self.read.row(&change.section, &change.key);
        let origin = match read {
            Some(row) if row.value.map(str::to_owned) == change.value => row.origin.clone(),
            _ => Origin::Live,
        };
        (change, origin)
    }

    fn apply(&mut self, mut pairs: Pairs) -> Result<Todo, Refusal> {
        let before = &self.shown.scenario;
        let mut after = self.shown.with(&pairs).map_err(|errors| refused(&errors))?;
        if after.scenario.run.warmup != before.run.warmup {
            // Its default follows the duration, but this run's warm-up is what it was.
            let warmup = format!("{:?}", before.run.warmup);
            pairs.push((assignment("run", "warmup", Some(warmup)), Origin::Default));
            after = self.shown.with(&pairs).map_err(|errors| refused(&errors))?;
        }
        let for_staff: Pairs =
            pairs.iter().filter(|(change, _)| !is_level(change)).cloned().collect();
        let staff = self.staff.with(&for_staff).map_err(|errors| refused(&errors))?;
        let (before, scenario) = (&self.shown.scenario, &after.scenario);
        let seating = match self.seating.total(scenario.office.workers) == scenario.office.seats {
            true => self.seating,
            false => Seating::of(&scenario.office),
        };
        let works = |scenario: &Scenario| -> Vec<_> {
            scenario.services.iter().map(|service| service.work).collect()
        };
        let users = |scenario: &Scenario| -> Vec<u32> {
            scenario.loads.iter().map(|load| load.users).collect()
        };
        let tempo = self.tempo.with_rates_of(scenario).map_err(unfit)?;
        let (was, is) = (before.storage, scenario.storage);
        let todo = Todo {
            users: users(before) != users(scenario),
            workers: before.office.workers != scenario.office.workers,
            tempo: tempo != self.tempo,
            rules: before.run != scenario.run,
            store: (was.fsync, was.retain_bytes) != (is.fsync, is.retain_bytes),
            goals: before.slos != scenario.slos,
            restart_issuer: (before.office.room, before.office.retry)
                != (scenario.office.room, scenario.office.retry)
                || (was.compression, was.index_bytes) != (is.compression, is.index_bytes),
            restart_workers: works(before) != works(scenario)
                || self.reseats(seating, scenario.office.workers),
        };
        for (weight, (was, is)) in
            self.weights.iter_mut().zip(users(before).into_iter().zip(users(scenario)))
        {
            // Whoever names a number for one load wants another proportion.
            *weight = if was == is { *weight } else { is };
        }
        self.seating = seating;
        (self.shown, self.staff, self.tempo) = (after, staff, tempo);
        Ok(todo)
    }
}

/// Returns whether a key is told to roles beside the scenario.
fn is_level(change: &Assignment) -> bool {
    match (&change.section[..], &change.key[..]) {
        ("office", "workers" | "seats") => true,
        (section, "users" | "rate") => section.starts_with("load."),
        _ => false,
    }
}

/// Returns whether a difference is about the rate of an open load.
fn is_rate(change: &Difference) -> bool {
    change.section.starts_with("load.") && change.key.as_deref() == Some("rate")
}

/// Returns what it takes to apply a difference. Requests may come faster or slower while the office
/// runs, but not spread in another way: that is another schedule.
fn needs(change: &Difference) -> Change {
    let kind = |value: &Option<String>| {
        value.as_ref().and_then(|value| value.split_whitespace().next()).map(str::to_owned)
    };
    if is_rate(change) && kind(&change.old) != kind(&change.new) {
        return Change::Restart;
    }
    change.needs
}

fn unfit(text: String) -> Refusal {
    Refusal { text, is_usage: true }
}

fn assignment(section: &str, key: &str, value: Option<String>) -> Assignment {
    Assignment { section: section.to_owned(), key: key.to_owned(), value }
}

/// Says what is wrong with a wish; a wish has no place, other values have.
fn refused(errors: &ConfigErrors) -> Refusal {
    let lines = errors.0.iter().map(|error| match error.origin {
        Origin::Live | Origin::Default => error.problem.clone(),
        _ => error.to_string(),
    });
    Refusal { text: lines.collect::<Vec<_>>().join("\n"), is_usage: true }
}

fn spelled(value: Option<&String>, default: &str) -> String {
    match value {
        Some(value) => value.clone(),
        None if default.is_empty() => "not there".to_owned(),
        None => format!("{default} (default)"),
    }
}

fn row(change: &Difference, fate: Fate) -> ChangeRow {
    ChangeRow {
        key: change.name(),
        old: spelled(change.old.as_ref(), change.default),
        new: spelled(change.new.as_ref(), change.default),
        needs: change.needs,
        fate,
    }
}

#[cfg(test)]
mod tests;
