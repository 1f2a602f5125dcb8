//! What people are told of interventions and of supervision: pure, from what happened to words.
//!
//! Labels are marks in charts: a verb and a process in at most twelve characters.

use std::time::Duration;

use engine::supervisor::report::{Cause, Phase, Transition};

use crate::app::action::{Action, ProcessId};
use crate::app::events::{self, News, Source};
use crate::app::format;
use crate::app::state::Severity;

/// More user processes than this in one report are told as a number.
const USERS_NAMED_MAX: usize = 4;

/// Returns a process's name for marks.
fn short(process: ProcessId) -> String {
    match process {
        ProcessId::Director => "director".to_owned(),
        ProcessId::Issuer => "issuer".to_owned(),
        ProcessId::Worker(id) => format!("w{}", id.0),
        ProcessId::UsersManager => "mgr".to_owned(),
        ProcessId::User(id) => format!("u{}", id.0),
    }
}

/// Returns a number for marks: at most five characters up to a million.
fn brief(number: u32) -> String {
    if number < 100_000 { number.to_string() } else { format!("{}k", number / 1000) }
}

/// Returns what to tell of an action that was carried out; `None` if others tell it.
/// `name` is that of the service or load that it is about.
pub(super) fn of_action(action: &Action, who: Source, name: &str) -> Option<News> {
    let usual = Duration::ZERO;
    let (label, text) = match action {
        Action::Pause => ("pause".to_owned(), "the office was paused".to_owned()),
        Action::Resume => ("resume".to_owned(), "the office was resumed".to_owned()),
        Action::SetUsers(users) => {
            (format!("users {}", brief(*users)), format!("{} asked for", counted(*users, "user")))
        }
        Action::SetWorkers(workers) => (
            format!("workers {workers}"),
            format!("{} asked for", counted(u32::from(*workers), "worker")),
        ),
        Action::SetSpeed(speed) => (
            format!("speed x{speed}"),
            format!("users made to live {speed} times as fast, service as ever,"),
        ),
        Action::SetRate { per_second, .. } => {
            let rate = format::rate(*per_second);
            (format!("{rate}/s"), format!("load {name} set to {rate}/s"))
        }
        Action::Kill(process) => (format!("kill {}", short(*process)), format!("{process} killed")),
        Action::Strike => ("strike".to_owned(), "workers called to strike".to_owned()),
        Action::EndStrike => ("strike over".to_owned(), "the strike ended".to_owned()),
        Action::Block(_) => (format!("no {name}"), format!("service {name} blocked")),
        Action::Unblock(_) => (format!("ok {name}"), format!("service {name} unblocked")),
        Action::SlowIssuer(delay) if *delay == usual => {
            ("issuer quick".to_owned(), "the issuer made quick again".to_owned())
        }
        Action::SlowIssuer(delay) => {
            let span = format::duration(*delay);
            ("issuer slow".to_owned(), format!("the issuer slowed, {span} a round,"))
        }
        Action::Freeze(process, span) => (
            format!("froze {}", short(*process)),
            format!("{process} frozen for {}", format::duration(*span)),
        ),
        Action::Continue(process) => {
            (format!("thaw {}", short(*process)), format!("{process} continued"))
        }
        Action::Restart(process) => {
            (format!("renew {}", short(*process)), format!("{process} restarted"))
        }
        Action::Step(span) => {
            ("step".to_owned(), format!("a step of {} taken", format::duration(*span)))
        }
        Action::Drain => ("drain".to_owned(), "the end of the run asked for".to_owned()),
        Action::StopNow => ("stop".to_owned(), "the run stopped at once".to_owned()),
        Action::Set { .. }
        | Action::Reload { .. }
        | Action::ApplyReload { .. }
        | Action::DropReload
        | Action::LogLevel(_)
        | Action::Travel(_) => return None,
    };
    Some(News { severity: Severity::Info, who, label, text })
}

fn counted(number: u32, what: &str) -> String {
    format::counted(u64::from(number), what)
}

/// Returns what to tell of an action that was refused.
pub(super) fn of_refusal(action: &Action, who: Source, why: &str) -> News {
    let text = events::refusal(action, why);
    News { severity: Severity::Warning, who, label: "not done".to_owned(), text }
}

/// Returns what to tell of a change in a process's life, if people should know; a process that
/// was started before (`is_again`) is worth a word when it serves.
pub(super) fn of_transition(
    process: ProcessId,
    transition: &Transition,
    is_again: bool,
) -> Option<News> {
    let Transition { from, to, cause } = transition;
    let (severity, verb, text) = match (from, to, cause) {
        (_, Phase::Suspect, _) => (Severity::Warning, "quiet", format!("{process} is {cause}")),
        (Phase::Suspect, Phase::Ready, _) => {
            (Severity::Info, "heard", format!("{process} is {cause}"))
        }
        (_, Phase::Ready, _) if is_again => {
            (Severity::Info, "back", format!("{process} serves again"))
        }
        // Whoever has killed it knows.
        (_, Phase::Killed, Cause::KilledByPerson | Cause::Unwanted) => return None,
        (_, Phase::Killed, _) => {
            (Severity::Warning, "hung", format!("{process} is killed: {cause}"))
        }
        // It was asked to end and is started again.
        (Phase::Draining | Phase::Terminating, Phase::Backoff, _) => {
            (Severity::Info, "ended", format!("{process} ended: {cause}"))
        }
        (_, Phase::Backoff, _) => (Severity::Warning, "died", format!("{process} died: {cause}")),
        _ => return None,
    };
    let label = format!("{} {verb}", short(process));
    Some(News { severity, who: Source::Supervisor, label, text })
}

/// What is known of a user process from one report to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserLife {
    /// Which.
    pub(super) process: ProcessId,
    /// Times that it was started again.
    pub(super) restarts: u32,
    /// The process, while it lives.
    pub(super) pid: Option<u32>,
    /// It stands still because a person wants that.
    pub(super) is_frozen: bool,
    /// It serves, but has been silent.
    pub(super) is_suspect: bool,
    /// Why it ended last, if that is still known.
    pub(super) note: String,
}

/// Returns what to tell of user processes: their manager reports how they are, not what happened.
/// Both are sorted by process.
pub(super) fn of_users(before: &[UserLife], after: &[UserLife]) -> Vec<News> {
    let known = |process: ProcessId| {
        let index = before.binary_search_by_key(&process, |life| life.process).ok()?;
        before.get(index)
    };
    let mut reborn = Vec::new();
    let mut quiet = Vec::new();
    for life in after {
        let Some(known) = known(life.process) else { continue };
        if life.restarts > known.restarts {
            reborn.push(life);
        } else if life.is_suspect && !known.is_suspect {
            quiet.push(life);
        }
    }
    let again = |life: &UserLife| match life.note.as_str() {
        "" => format!("{} ended and was started again", life.process),
        note => format!("{} ended and was started again: {note}", life.process),
    };
    let mut news = told(&reborn, "died", "ended and were started again", again);
    let silent = |life: &UserLife| format!("{} has fallen silent", life.process);
    news.extend(told(&quiet, "quiet", "have fallen silent", silent));
    news
}

fn told(
    lives: &[&UserLife],
    verb: &str,
    all: &str,
    one: impl Fn(&UserLife) -> String,
) -> Vec<News> {
    let (severity, who) = (Severity::Warning, Source::Supervisor);
    if lives.len() > USERS_NAMED_MAX {
        let count = lives.len();
        let label = format!("{} {verb}", brief(u32::try_from(count).unwrap_or(u32::MAX)));
        let text = format!("{} {all}", format::counted(count as u64, "user process"));
        return vec![News { severity, who, label, text }];
    }
    let news = lives.iter().map(|life| {
        let label = format!("{} {verb}", short(life.process));
        News { severity, who, label, text: one(life) }
    });
    news.collect()
}

#[cfg(test)]
mod tests {
    use engine::ids::{ServiceId, UserProcessId, WorkerId};

    use super::*;
    use crate::app::events::LABEL_CHARS_MAX;

    const SPAN: Duration = Duration::from_secs(2);

    fn worker(number: u16) -> ProcessId {
        ProcessId::Worker(WorkerId(number))
    }

    fn user(number: u16) -> ProcessId {
        ProcessId::User(UserProcessId(number))
    }

    #[test]
    fn every_intervention_has_words_and_a_mark() {
        let processes = [ProcessId::Issuer, worker(1023), ProcessId::UsersManager, user(9_999)];
        let mut actions = vec![
            Action::Pause,
            Action::Resume,
            Action::SetUsers(1),
            Action::SetUsers(1_000_000),
            Action::SetWorkers(1024),
            Action::SetSpeed(0.1),
            Action::SetRate { load: engine::ids::LoadId(1), per_second: 300.0 },
            Action::Strike,
            Action::EndStrike,
            Action::Block(ServiceId(0)),
            Action::Unblock(ServiceId(0)),
            Action::SlowIssuer(Duration::from_millis(200)),
            Action::SlowIssuer(Duration::ZERO),
            Action::Step(Duration::from_secs(1)),
            Action::Drain,
            Action::StopNow,
        ];
        for process in processes {
            actions.extend([
                Action::Kill(process),
                Action::Freeze(process, SPAN),
                Action::Continue(process),
                Action::Restart(process),
            ]);
        }
        let mut lines = String::new();
        for action in &actions {
            let news = of_action(action, Source::Key, "parcels").unwrap();
            assert!(news.label.chars().count() <= LABEL_CHARS_MAX, "{}", news.label);
            lines += &format!("{:<12} {} by {}\n", news.label, news.text, news.who);
        }
        insta::assert_snapshot!(lines);
    }

    fn check(from: Phase, to: Phase, cause: Cause, wanted: Option<(Severity, &str, &str)>) {
        let transition = Transition { from, to, cause };
        let news = of_transition(worker(3), &transition, true);
        let found = news.as_ref().map(|news| (news.severity, &*news.label, &*news.text));
        assert_eq!(found, wanted, "{transition}");
    }

    #[test]
    fn what_a_supervisor_does_is_told_once() {
        use engine::supervisor::exit::{Ending, ExitCause};
        let died = Cause::Exited(ExitCause::new(Ending::Code(1), None));
        let silent = |seconds| Cause::Silent(Duration::from_secs(seconds));
        let (info, warning) = (Severity::Info, Severity::Warning);
        check(
            Phase::Ready,
            Phase::Suspect,
            silent(1),
            Some((warning, "w3 quiet", "worker 3 is silent for 1.0 s")),
        );
        check(
            Phase::Suspect,
            Phase::Ready,
            Cause::Heard(SPAN),
            Some((info, "w3 heard", "worker 3 is heard again after 2.0 s")),
        );
        check(
            Phase::Suspect,
            Phase::Killed,
            silent(3),
            Some((warning, "w3 hung", "worker 3 is killed: silent for 3.0 s")),
        );
        check(Phase::Ready, Phase::Killed, Cause::KilledByPerson, None);
        check(
            Phase::Ready,
            Phase::Backoff,
            died,
            Some((warning, "w3 died", "worker 3 died: exit code 1 (failed)")),
        );
        check(
            Phase::Draining,
            Phase::Backoff,
            died,
            Some((info, "w3 ended", "worker 3 ended: exit code 1 (failed)")),
        );
        check(
            Phase::Starting,
            Phase::Ready,
            Cause::Ready,
            Some((info, "w3 back", "worker 3 serves again")),
        );
        check(Phase::Ready, Phase::Draining, Cause::Unwanted, None);
    }

    #[test]
    fn a_first_start_is_no_news() {
        let ready = Transition { from: Phase::Starting, to: Phase::Ready, cause: Cause::Ready };
        assert_eq!(of_transition(worker(3), &ready, false), None);
    }

    fn life(number: u16, restarts: u32, is_suspect: bool) -> UserLife {
        let (pid, is_frozen, note) = (Some(100 + restarts), false, String::new());
        UserLife { process: user(number), restarts, pid, is_frozen, is_suspect, note }
    }

    #[test]
    fn user_processes_that_were_started_again_are_told_and_many_as_a_number() {
        let before: Vec<UserLife> = (0..6).map(|number| life(number, 0, false)).collect();
        assert_eq!(of_users(&before, &before), []);
        let mut after = before.clone();
        after[2] = UserLife { note: "killed by hand".to_owned(), ..life(2, 1, false) };
        after[4].is_suspect = true;
        after.push(life(7, 3, false));
        let texts: Vec<String> = of_users(&before, &after)
            .into_iter()
            .map(|news| news.label + ": " + &news.text)
            .collect();
        let wanted = [
            "u2 died: user 2 ended and was started again: killed by hand",
            "u4 quiet: user 4 has fallen silent",
        ];
        assert_eq!(texts, wanted);
        let all: Vec<UserLife> = (0..6).map(|number| life(number, 1, false)).collect();
        let news = of_users(&before, &all);
        assert_eq!((news.len(), &*news[0].label), (1, "6 died"));
    }
}
