//! Questions to which a person types the answer, each with its validation: the same for a prompt
//! and for what follows a command's name in the palette.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use engine::config::schema::Change;
use engine::config::{self, Assignment, Override, OverrideKey, Source};
use engine::limits;

use super::layout::Panel;
use super::model::{Effect, Undo};
use super::registry::Command;
use super::time;
use crate::app::action::{self, Action, ProcessId, SPEED_MAX, Travel};
use crate::app::conf::ConfRow;
use crate::app::conf::Overwrite;
use crate::app::format;
use crate::app::state::AppState;

/// The section whose keys have names that people choose.
const SLO: &str = "slo";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// How many users there should be.
    Users,
    /// How many workers there should be.
    Workers,
    /// Which ticket to look for.
    Ticket,
    /// Where an export should go.
    ExportTo,
    /// Which rows of a panel are shown.
    Filter(Panel),
    /// How long a paused office goes on.
    Step,
    /// How long processes stand still.
    Halt(Vec<ProcessId>),
    /// How late each round of handing out tickets comes.
    SlowIssuer,
    /// How many times as fast users live.
    Speed,
    /// How many requests per second a load sends, by its place among those that have a rate.
    Rate(usize),
    /// The value of a key of the scenario: its section and its name.
    Value(String, String),
    /// The file that the scenario in effect is written to.
    SaveTo,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Do this; the second is how to take it back.
    Do(Vec<Effect>, Option<Undo>),
    /// Change this key, which has this value now.
    Change(Assignment, Option<String>),
    /// Show only rows with this text.
    Filter(Panel, String),
}

impl Ask {
    /// Returns what a command asks if nothing follows its name.
    pub(crate) fn of(command: Command, focus: Panel) -> Option<Self> {
        Some(match command {
            Command::Users => Self::Users,
            Command::Workers => Self::Workers,
            Command::FindTicket => Self::Ticket,
            Command::Export => Self::ExportTo,
            Command::Filter => Self::Filter(focus),
            Command::Step => Self::Step,
            Command::SlowIssuer => Self::SlowIssuer,
            Command::SaveConf => Self::SaveTo,
            Command::Speed => Self::Speed,
            _ => return None,
        })
    }

    /// Returns the head of the prompt.
    pub(crate) fn title(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Users => "How many users?",
            Self::Workers => "How many workers?",
            Self::Ticket => "Which ticket?",
            Self::ExportTo => "Export to which directory?",
            Self::Filter(Panel::Logs) => "Find which text?",
            Self::Filter(_) => "Show rows with which text?",
            Self::Step => "Go on for how long?",
            Self::Halt(processes) => {
                return match processes.as_slice() {
                    [one] => format!("How long should {one} stand still?").into(),
                    more => format!("How long should {} processes stand still?", more.len()).into(),
                };
            }
            Self::SlowIssuer => "How late should tickets be handed out?",
            Self::Speed => "How many times as fast should users live?",
            Self::Rate(_) => "How many requests per second?",
            Self::Value(section, key) => return format!("{section}.{key} =").into(),
            Self::SaveTo => "Write the scenario to which file?",
        })
    }

    /// Returns what holds now and what may be typed.
    pub(crate) fn hint(&self, app: &AppState) -> (String, String) {
        let count = |number: u32| format::count(u64::from(number));
        match self {
            Self::Users | Self::Workers => {
                let (now, (low, high)) = (self.target(app), self.bounds());
                let range = format!("{low} to {}; +, - step at once", count(high));
                (format!("wanted now {}", count(now)), range)
            }
            Self::Ticket => {
                let text = "an id, as the log and the exports show it";
                (String::new(), text.to_owned())
            }
            Self::ExportTo => {
                (String::new(), "a new folder is made in it; empty is the usual place".to_owned())
            }
            Self::Filter(Panel::Logs) => {
                (String::new(), "n and N go to the next one and the one before".to_owned())
            }
            Self::Filter(_) => (String::new(), "upper and lower case are the same".to_owned()),
            Self::Step => {
                (String::new(), format!("nothing is 1s; at most {}", span(limits::STEP_MAX)))
            }
            Self::Halt(_) => {
                let silent = span(limits::HUNG_AFTER);
                let text = format!("who is silent for {silent} is replaced");
                (text, format!("nothing is 1s; at most {}", span(limits::FREEZE_MAX)))
            }
            Self::SlowIssuer => {
                let now = match app.settings.issuer_delay {
                    Duration::ZERO => "not late now".to_owned(),
                    delay => format!("{} late now", span(delay)),
                };
                (now, format!("a span up to {}, or off", span(limits::ISSUER_DELAY_MAX)))
            }
            Self::Speed if time::replay(app).is_some() => {
                (String::new(), "0.001 to 1000 times as fast as the run was".to_owned())
            }
            Self::Speed => {
                let now =
                    format!("{} times as fast as in the scenario now", app.settings.tempo.speed);
                let (least, most) = (limits::SPEED_MIN, limits::SPEED_MAX);
                (now, format!("{least} to {most}; service keeps its time"))
            }
            Self::Rate(at) => match app.settings.tempo.rates.get(*at) {
                Some(rate) => {
                    let now = format!(
                        "{}: {}/s wanted, {}/s at the start",
                        rate.name, rate.wanted, rate.base
                    );
                    (now, format!("above 0, at most {}", limits::RATE_MAX))
                }
                None => (String::new(), "there is no such load".to_owned()),
            },
            Self::Value(section, _) if section == SLO => {
                let what = "a goal of the run, such as p99(wait) < 50ms";
                (what.to_owned(), "empty: no such goal".to_owned())
            }
            Self::Value(section, key) => match row_of(app, section, key) {
                Some(row) => {
                    (row.meaning.clone(), format!("{}; empty: {}", row.range, row.default))
                }
                None => (String::new(), "there is no such key".to_owned()),
            },
            Self::SaveTo => {
                (String::new(), "a new file; what is there is overwritten only if asked".to_owned())
            }
        }
    }

    /// Returns why a key can't be changed while the office runs, if it can't.
    pub(crate) fn refusal(&self, app: &AppState) -> Option<String> {
        let Self::Value(section, key) = self else { return None };
        if (section.as_str(), key.as_str()) == (SLO, "NAME") {
            return Some("give the goal a name: set slo.tail=p99(wait) < 50ms".to_owned());
        }
        match row_of(app, section, key) {
            None if section == SLO => None,
            None => Some(format!("there is no key {section}.{key}; screen 8 lists them")),
            Some(row) if row.change == Change::Restart => {
                Some(format!("{section}.{key} needs a new run: --set {section}.{key}=VALUE"))
            }
            Some(_) => None,
        }
    }

    /// Returns the text that stands in the prompt at first.
    pub(crate) fn first_text(&self, filter: &str, app: &AppState) -> String {
        match self {
            Self::Filter(_) => filter.to_owned(),
            Self::Value(section, key) => {
                row_of(app, section, key).and_then(|row| row.value.clone()).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// Returns whether an empty answer is none.
    pub(crate) fn needs_text(&self) -> bool {
        !matches!(
            self,
            Self::ExportTo | Self::Filter(_) | Self::Value(..) | Self::Step | Self::Halt(_)
        )
    }

    /// Returns whether what is typed acts at once.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Filter(_))
    }

    fn target(&self, app: &AppState) -> u32 {
        let level = if *self == Self::Users { app.users } else { app.workers };
        // What can be asked for here is steered, and what is steered is known.
        level.target.unwrap_or_default()
    }

    fn bounds(&self) -> (u32, u32) {
        match self {
            Self::Users => (0, limits::USERS_MAX),
            _ => (1, u32::from(limits::WORKERS_MAX)),
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn read(&self, text: &str, app: &AppState) -> Result<Answer, String> {
        let text = text.trim();
        match self {
            Self::Users | Self::Workers => self.number(text, app),
            Self::Ticket => {
                let id = digits(text).parse().map_err(|_| {
                    format!("{text:?} is no ticket id; expected a whole number such as 4711")
                })?;
                Ok(just(Effect::FindTicket(id)))
            }
            Self::ExportTo => {
                let dir = (!text.is_empty()).then(|| PathBuf::from(text));
                Ok(just(Effect::Export(dir)))
            }
            Self::Filter(panel) => Ok(Answer::Filter(*panel, text.to_owned())),
            Self::Step => {
                let span = read_span(text, limits::STEP_MAX)?;
                Ok(just(Effect::Submit(Action::Step(span))))
            }
            Self::Halt(processes) => {
                let span = read_span(text, limits::FREEZE_MAX)?;
                let halt = |id: &ProcessId| Effect::Submit(Action::Freeze(*id, span));
                Ok(Answer::Do(processes.iter().map(halt).collect(), None))
            }
            Self::SlowIssuer => read_delay(text, app),
            Self::Speed => read_speed(text, app),
            Self::Rate(at) => read_rate(*at, text, app),
            Self::Value(section, key) => self.value(section, key, text, app),
            Self::SaveTo => {
                Ok(just(Effect::Save { path: PathBuf::from(text), overwrite: Overwrite::No }))
            }
        }
    }

    /// Reads the value of a key, as the schema has it and as the whole scenario allows it.
    fn value(
        &self,
        section: &str,
        key: &str,
        text: &str,
        app: &AppState,
    ) -> Result<Answer, String> {
        if let Some(reason) = self.refusal(app) {
            return Err(reason);
        }
        let value = Some(text.to_owned()).filter(|text| !text.is_empty());
        if let Some(value) = &value {
            let title = app.run.scenario.clone();
            let text = app.conf_text.to_string();
            let changed = Override {
                option: format!("{section}.{key}"),
                key: OverrideKey::Named(section.to_owned(), key.to_owned()),
                value: value.clone(),
            };
            config::parse(&Source { name: title.clone(), title, text }, &[changed])
                .map_err(|errors| errors.to_string().replace(&format!("{section}.{key}: "), ""))?;
        }
        let old = row_of(app, section, key).and_then(|row| row.value.clone());
        let (section, key) = (section.to_owned(), key.to_owned());
        Ok(Answer::Change(Assignment { section, key, value }, old))
    }

    /// Reads `500`, `+50` or `-50`.
    fn number(&self, text: &str, app: &AppState) -> Result<Answer, String> {
        let (low, high) = self.bounds();
        let what = if *self == Self::Users { "users" } else { "workers" };
        let expected = || format!("{what} must be {low} to {high}");
        let plain = digits(text);
        let (sign, number) = match plain.strip_prefix(['+', '-']) {
            Some(rest) => (plain.chars().next(), rest),
            None => (None, plain.as_str()),
        };
        let number: u32 = number.parse().map_err(|_| expected())?;
        let now = self.target(app);
        let wanted = match sign {
            Some('+') => now.saturating_add(number),
            Some(_) => now.saturating_sub(number).max(low),
            None => number,
        };
        if (low..=high).contains(&wanted) { Ok(self.set(wanted, app)) } else { Err(expected()) }
    }

    /// Returns whether the answer is a number that can be stepped up and down.
    pub(crate) fn is_stepped(&self) -> bool {
        matches!(self, Self::Users | Self::Workers)
    }

    /// Returns the answer that steps the number up or down, if it is one.
    pub(crate) fn step(&self, is_up: bool, app: &AppState) -> Option<Answer> {
        let (now, (low, high)) = (self.target(app), self.bounds());
        let step = match self {
            Self::Users => (now / 10).max(1),
            Self::Workers => 1,
            _ => return None,
        };
        let wanted = if is_up { now.saturating_add(step) } else { now.saturating_sub(step) };
        Some(self.set(wanted.clamp(low, high), app))
    }

    fn set(&self, wanted: u32, app: &AppState) -> Answer {
        let action = |number: u32| match self {
            Self::Users => Action::SetUsers(number),
            _ => Action::SetWorkers(u16::try_from(number).unwrap_or(u16::MAX)),
        };
        let undo = Undo::Do(Effect::Submit(action(self.target(app))));
        Answer::Do(vec![Effect::Submit(action(wanted))], Some(undo))
    }
}

fn just(effect: Effect) -> Answer {
    Answer::Do(vec![effect], None)
}

/// Returns the wish that a key has a value.
pub(crate) fn set(change: Assignment, ask: action::Ask) -> Effect {
    Effect::Submit(Action::Set { changes: vec![change], ask })
}

fn row_of<'a>(app: &'a AppState, section: &str, key: &str) -> Option<&'a ConfRow> {
    app.conf.iter().find(|row| row.section == section && row.key == key)
}

fn span(span: Duration) -> String {
    format::window(span)
}

/// Reads a span above zero; nothing is a second.
fn read_span(text: &str, most: Duration) -> Result<Duration, String> {
    let text = if text.is_empty() { "1s" } else { text };
    let expected = || format!("expected a span such as 500ms, at most {}", span(most));
    let found = config::span(text).map_err(|_| expected())?;
    if found.is_zero() || found > most { Err(expected()) } else { Ok(found) }
}

/// Reads how late each round of handing out comes.
fn read_delay(text: &str, app: &AppState) -> Result<Answer, String> {
    let span = match text {
        "off" | "0" => Duration::ZERO,
        text => {
            read_span(text, limits::ISSUER_DELAY_MAX).map_err(|error| format!("{error}, or off"))?
        }
    };
    let submit = |span| Effect::Submit(Action::SlowIssuer(span));
    Ok(Answer::Do(vec![submit(span)], Some(Undo::Do(submit(app.settings.issuer_delay)))))
}

/// Reads how many times as fast users live, or a replay plays.
fn read_speed(text: &str, app: &AppState) -> Result<Answer, String> {
    let speed: f64 = text
        .trim_start_matches('x')
        .parse()
        .map_err(|_| format!("expected a number such as 2.5, not {text:?}"))?;
    if let Some(replay) = time::replay(app) {
        return replay_speed(speed, replay.speed_milli);
    }
    app.settings.tempo.with_speed(speed)?;
    let submit = |speed| Effect::Submit(Action::SetSpeed(speed));
    Ok(Answer::Do(vec![submit(speed)], Some(Undo::Do(submit(app.settings.tempo.speed)))))
}

/// Reads how many requests per second a load sends.
fn read_rate(at: usize, text: &str, app: &AppState) -> Result<Answer, String> {
    let rate = app.settings.tempo.rates.get(at).ok_or("there is no such load")?;
    let wanted = digits(text.trim_end_matches("/s")).parse().ok();
    let wanted = wanted.filter(|wanted| *wanted > 0.0 && *wanted <= limits::RATE_MAX);
    let per_second: f64 = wanted.ok_or_else(|| {
        format!("requests per second must be above 0 and at most {}", limits::RATE_MAX)
    })?;
    let submit = |per_second| Effect::Submit(Action::SetRate { load: rate.load, per_second });
    Ok(Answer::Do(vec![submit(per_second)], Some(Undo::Do(submit(rate.wanted)))))
}

/// Returns how a replay is made as fast as that, in times of the run's own pace.
fn replay_speed(speed: f64, now_milli: u32) -> Result<Answer, String> {
    let most = f64::from(SPEED_MAX) / 1e3;
    if !(0.001..=most).contains(&speed) {
        return Err(format!("a replay goes 0.001 to {most} times as fast as the run"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in that range")]
    let milli = (speed * 1e3).round() as u32;
    let submit = |milli| Effect::Submit(Action::Travel(Travel::Speed(milli)));
    Ok(Answer::Do(vec![submit(milli)], Some(Undo::Do(submit(now_milli)))))
}

/// Leaves out the gaps between thousands, as figures on the screen have them.
fn digits(text: &str) -> String {
    text.chars().filter(|char| !matches!(char, ' ' | '_' | '\u{a0}')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::testing;

    fn check(ask: &Ask, text: &str, effect: Effect) {
        match ask.read(text, &testing::app()) {
            Ok(Answer::Do(found, _)) => assert_eq!(found, [effect], "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_replay_has_a_speed_of_its_own() {
        let effect = |milli| Effect::Submit(Action::Travel(Travel::Speed(milli)));
        let Ok(Answer::Do(effects, Some(undo))) = replay_speed(2.5, 1_000) else { panic!() };
        assert_eq!((effects, undo), (vec![effect(2_500)], Undo::Do(effect(1_000))));
        let most = "a replay goes 0.001 to 1000 times as fast as the run";
        for speed in [0.0, -1.0, 1_001.0, f64::NAN] {
            assert_eq!(replay_speed(speed, 1_000).unwrap_err(), most, "{speed}");
        }
    }

    #[test]
    fn numbers_are_set_or_stepped() {
        let users = |number| Effect::Submit(Action::SetUsers(number));
        for (text, number) in
            [("2000", 2_000), (" 2 000 ", 2_000), ("+50", 178), ("-50", 78), ("-500", 0), ("0", 0)]
        {
            check(&Ask::Users, text, users(number));
        }
        check(&Ask::Workers, "-9", Effect::Submit(Action::SetWorkers(1)));
        let up = Ask::Users.step(true, &testing::app());
        assert!(matches!(up, Some(Answer::Do(effects, Some(_))) if effects == [users(140)]));
        assert_eq!(Ask::Ticket.step(true, &testing::app()), None);
    }

    #[test]
    fn what_is_out_of_range_is_told_with_the_range() {
        let app = testing::app();
        let error = |ask: &Ask, text: &str| ask.read(text, &app).unwrap_err();
        assert_eq!(error(&Ask::Workers, "0"), "workers must be 1 to 1024");
        assert_eq!(error(&Ask::Users, "99999999999"), "users must be 0 to 1000000");
        assert_eq!(error(&Ask::Users, "x"), "users must be 0 to 1000000");
        assert!(error(&Ask::Ticket, "-3").contains("no ticket id"));
    }

    #[test]
    fn a_setting_can_be_taken_back() {
        let Ok(Answer::Do(_, Some(undo))) = Ask::Users.read("7", &testing::app()) else {
            panic!("a setting has an undo")
        };
        assert_eq!(undo, Undo::Do(Effect::Submit(Action::SetUsers(128))));
    }
}
