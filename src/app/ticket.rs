//! One ticket's life, told from the log: found without reading what stands before it, in words
//! that need no manual, or with the reason why the log has nothing of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use engine::clock::{Time, WallTime, on_other_clock};
use engine::ids::TicketId;
use engine::scheduler::record::{Completed, Issued, Outcome, Record, Start};
use engine::storage::search::{self, Searched};
use engine::storage::{LogError, RecordRef};

use super::format;
use super::state::AppState;

/// Names and values; a line without a name goes on from the one before.
pub(crate) type Story = Vec<(String, String)>;

/// What the log holds of a ticket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The start of the issuer that numbered it.
    start: Option<Start>,
    issued: Option<Asked>,
    completed: Option<Completed>,
    /// The lowest and the highest id that the search has met.
    ids: Option<(TicketId, TicketId)>,
    searched: Searched,
}

/// What was asked for, without the payload.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The payload is left out.
    issued: Issued<'static>,
    payload_bytes: usize,
}

/// Looks for a ticket and shows its records, in the order of the log.
///
/// # Errors
/// If the log can't be read.
pub(crate) fn find(
    data_dir: &Path,
    wanted: TicketId,
    show: &mut dyn FnMut(&RecordRef<'_>),
) -> Result<Found, LogError> {
    let mut found = Found::default();
    let decode =
        |record: &RecordRef<'_>| match Record::decode(record.kind, record.key, record.value) {
            Ok(Record::Issued(issued)) => Some(issued.id <= wanted),
            _ => None,
        };
    found.searched = search::search(data_dir, &decode, &mut |record| {
        match Record::decode(record.kind, record.key, record.value) {
            Ok(Record::Start(start)) if found.issued.is_none() => found.start = Some(start),
            Ok(Record::Issued(issued)) => {
                let (low, high) = found.ids.unwrap_or((issued.id, issued.id));
                found.ids = Some((low.min(issued.id), high.max(issued.id)));
                if issued.id == wanted {
                    show(record);
                    let payload_bytes = issued.payload.len();
                    let issued = Issued { payload: &[], ..issued };
                    found.issued = Some(Asked { issued, payload_bytes });
                } else if issued.id > wanted && found.issued.is_none() {
                    // Ids only rise: it will not come any more.
                    return ControlFlow::Break(());
                }
            }
            Ok(Record::Completed(end)) if end.id == wanted => {
                show(record);
                found.completed = Some(end);
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Names that the log does not hold, and the clocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// The run to which the names belong.
    run: u64,
    services: Vec<String>,
    loads: Vec<String>,
    /// A moment of that run on both clocks.
    of_run: (Time, WallTime),
    /// The present moment on both clocks, and the boot in which that holds.
    clocks: (Time, WallTime),
    boot: [u8; 16],
}

impl Names {
    /// Returns the names of a running office.
    pub(crate) fn of(app: &AppState, clocks: (Time, WallTime), boot: [u8; 16]) -> Self {
        let mut loads: Vec<String> = Vec::new();
        for row in app.conf.iter() {
            if let Some(name) = row.section.strip_prefix("load.")
                && loads.last().is_none_or(|last| last != name)
            {
                loads.push(name.to_owned());
            }
        }
        let services = app.services.iter().map(|service| service.name.clone()).collect();
        let of_run = (app.at, app.wall);
        Self { run: app.run.id.0, services, loads, of_run, clocks, boot }
    }
}

/// Tells a ticket's life.
///
/// # Errors
/// Why the log has nothing of it.
pub(crate) fn story(wanted: TicketId, found: &Found, names: &Names) -> Result<Story, String> {
    let Some(asked) = &found.issued else { return Err(missing(wanted, found)) };
    let own = found.start.is_some_and(|start| start.run.0 == names.run);
    let is_own_boot = found.start.is_some_and(|start| start.boot == names.boot);
    let clocks = own.then_some(names.of_run).or(is_own_boot.then_some(names.clocks));
    let mut lines = head(asked, found.completed.as_ref(), names, own);
    lines.extend(moments(asked, found.completed.as_ref(), clocks));
    match &found.completed {
        Some(end) => lines.extend(spans(&asked.issued, end)),
        None => lines.push(line("now", "it waits or is in service: the log has no end of it yet")),
    }
    if let Some(start) = found.start {
        let run = format!("{:016x}, start {} of the issuer", start.run.0, start.epoch.0);
        lines.push(line("run", run));
    }
    let Searched { segments, read, .. } = found.searched;
    lines.push(line("read", format!("{read} of {}", format::counted(segments as u64, "segment"))));
    Ok(lines)
}

fn line(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// Says why the log has nothing of a ticket.
pub(crate) fn missing(wanted: TicketId, found: &Found) -> String {
    let id = |id: TicketId| format::count(id.0);
    let Some((low, high)) = found.ids else {
        return format!("no ticket {}: the log has no tickets", id(wanted));
    };
    if found.completed.is_some() {
        return format!(
            "of ticket {} only its end is kept; its beginning was let go of",
            id(wanted)
        );
    }
    if wanted < low && found.searched.first.0 > 0 {
        return format!("ticket {} was let go of: the oldest kept is {}", id(wanted), id(low));
    }
    if wanted < low {
        return format!("there never was a ticket {}: the first is {}", id(wanted), id(low));
    }
    if wanted > high {
        return format!("ticket {} was not issued yet: the last is {}", id(wanted), id(high));
    }
    format!("there never was a ticket {}: a start of the issuer skipped that number", id(wanted))
}

fn head(asked: &Asked, end: Option<&Completed>, names: &Names, own: bool) -> Story {
    let issued = &asked.issued;
    let named = |list: &[String], at: usize, what: &str| {
        let name = list.get(at).filter(|_| own).cloned();
        name.unwrap_or_else(|| format!("{what} {at}"))
    };
    let fate = match end.map(|end| end.outcome) {
        Some(Outcome::Served) => "served",
        Some(Outcome::Failed) => "given up",
        None => "open",
    };
    let service = named(&names.services, usize::from(issued.service.0), "service");
    let work = format::duration(Duration::from_nanos(issued.demand_ns));
    let payload = format::bytes(asked.payload_bytes as u64);
    let (user, load) = (issued.token.user.index(), usize::from(issued.token.user.load().0));
    let load = named(&names.loads, load, "load");
    vec![
        line("ticket", format!("{}, {fate}", format::count(issued.id.0))),
        line("for", format!("{service}, {work} of work, {payload} of payload")),
        line("asked by", format!("user {user} of {load}, its request {}", issued.token.seq)),
    ]
}

/// Returns what happened when: the first moment by the clock, the others since then.
fn moments(asked: &Asked, end: Option<&Completed>, clocks: Option<(Time, WallTime)>) -> Story {
    let issued = &asked.issued;
    let first = issued.scheduled;
    let wall = |(at, wall): (Time, WallTime)| {
        let wall = WallTime(on_other_clock(first.0, (at.0, wall.0)));
        format!("{wall}.{:03}", wall.0 / 1_000_000 % 1_000)
    };
    let waiting = match issued.waiting_seen {
        0 => "nobody waited".to_owned(),
        waiting => format!("{} waited", format::counted(u64::from(waiting), "ticket")),
    };
    let seat = if issued.is_delayed { "no seat was free" } else { "a seat was free" };
    let mut moments = vec![
        (first, "the user meant to ask".to_owned()),
        (issued.submitted, "the user asked".to_owned()),
        (issued.arrived, format!("the issuer numbered it; {waiting}, {seat}")),
    ];
    moments.extend(end.into_iter().flat_map(after_issue));
    // Safe and taken may come in either order.
    moments.sort_by_key(|(at, _)| *at);
    let name = |at: Time| match at == first {
        true => clocks.map_or_else(|| "begin".to_owned(), wall),
        false => format!("+{}", format::duration(at.since(first))),
    };
    moments.into_iter().map(|(at, text)| (name(at), text)).collect()
}

/// Returns what happened to a ticket behind its issue.
fn after_issue(end: &Completed) -> Vec<(Time, String)> {
    let worker = end.worker.0;
    let mut moments =
        vec![(end.durable, "its issue was as safe as the policy promises".to_owned())];
    if end.attempts > 1 {
        moments.push((end.started, "a worker took it the first time, and died".to_owned()));
        let again = format!("worker {worker} took it, attempt {}", end.attempts);
        moments.push((end.last_started, again));
    } else if end.attempts == 1 {
        moments.push((end.started, format!("worker {worker} took it")));
    }
    moments.push(match end.outcome {
        Outcome::Served => (end.ended, format!("worker {worker} had served it")),
        Outcome::Failed => (end.ended, "given up: its workers died too often".to_owned()),
    });
    moments
}

/// Returns how long each part of its life took.
fn spans(issued: &Issued<'_>, end: &Completed) -> Story {
    let span = |from: Time, to: Time| format::duration(to.since(from));
    let service = end.ended.since(end.last_started);
    let over = service.saturating_sub(Duration::from_nanos(issued.demand_ns));
    vec![
        line("lag", format!("{} from due to asked", span(issued.scheduled, issued.submitted))),
        line("wait", format!("{} from numbered to taken", span(issued.arrived, end.started))),
        line(
            "service",
            format!("{}, of which {} overhead", format::duration(service), format::duration(over)),
        ),
        line("sojourn", format!("{} in the office", span(issued.arrived, end.ended))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing;
    use engine::ids::{Epoch, LoadId, Lsn, RunId, ServiceId, Token, UserId, WorkerId};

    fn found() -> Found {
        let ms = |ms: u64| Time(5_000_000_000 + ms * 1_000_000);
        let issued = Issued {
            id: TicketId(4711),
            token: Token { user: UserId::new(LoadId(1), 17), seq: 5 },
            service: ServiceId(1),
            demand_ns: 8_000_000,
            scheduled: ms(0),
            submitted: ms(1),
            arrived: ms(2),
            waiting_seen: 12,
            is_delayed: true,
            payload: &[],
        };
        Found {
            start: Some(Start { epoch: Epoch(3), run: RunId(7), wall: WallTime(0), boot: [9; 16] }),
            issued: Some(Asked { issued, payload_bytes: 64 }),
            completed: Some(Completed {
                id: TicketId(4711),
                outcome: Outcome::Served,
                worker: WorkerId(3),
                attempts: 2,
                durable: ms(4),
                started: ms(10),
                last_started: ms(20),
                ended: ms(29),
            }),
            ids: Some((TicketId(4000), TicketId(4711))),
            searched: Searched { segments: 142, read: 1, first: Lsn(64 << 20) },
        }
    }

    fn names() -> Names {
        Names {
            run: 7,
            services: vec!["letters".to_owned(), "parcels".to_owned()],
            loads: vec!["regulars".to_owned(), "walk-ins".to_owned()],
            of_run: (Time(4_000_000_000), WallTime(43_489_000_000_000)),
            clocks: (Time(6_000_000_000), WallTime(43_491_000_000_000)),
            boot: [9; 16],
        }
    }

    fn text(story: &Story) -> String {
        story.iter().map(|(name, value)| format!("{name:<13}{value}\n")).collect()
    }

    #[test]
    fn a_ticket_has_a_story() {
        let story = story(TicketId(4711), &found(), &names()).unwrap();
        insta::assert_snapshot!(text(&story));
    }

    #[test]
    fn an_open_ticket_of_another_run_and_boot_is_told_without_names_and_clocks() {
        let mut found = found();
        found.completed = None;
        let other = Names { run: 8, boot: [0; 16], ..names() };
        insta::assert_snapshot!(text(&story(TicketId(4711), &found, &other).unwrap()));
    }

    #[test]
    fn what_is_missing_is_missing_for_a_reason() {
        let why = |wanted: u64, ids: Option<(u64, u64)>, first: u64| {
            let mut found =
                Found { ids: ids.map(|(a, b)| (TicketId(a), TicketId(b))), ..Found::default() };
            found.searched.first = Lsn(first);
            story(TicketId(wanted), &found, &Names::default()).unwrap_err()
        };
        let oldest = "ticket 7 was let go of: the oldest kept is 5 000";
        assert_eq!(why(7, Some((5_000, 9_000)), 4096), oldest);
        assert_eq!(why(0, Some((1, 9)), 0), "there never was a ticket 0: the first is 1");
        assert_eq!(why(10, Some((1, 9)), 0), "ticket 10 was not issued yet: the last is 9");
        let skipped = "there never was a ticket 5: a start of the issuer skipped that number";
        assert_eq!(why(5, Some((1, 9)), 0), skipped);
        assert_eq!(why(5, None, 0), "no ticket 5: the log has no tickets");
    }

    #[test]
    fn names_come_from_the_scenario() {
        let mut app = testing::app();
        app.run.id = RunId(7);
        let names = Names::of(&app, (Time(0), WallTime(0)), [0; 16]);
        assert_eq!(names.services, ["letters", "parcels", "passports"]);
    }
}
