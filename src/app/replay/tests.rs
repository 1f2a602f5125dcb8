//! Replays of logs that were written here.

use engine::clock::{Time, WallTime};
use engine::config::scenario::{Compression, FsyncPolicy};
use engine::ids::{Epoch, RunId, ServiceId, TicketId, Token, UserId, WorkerId};
use engine::scheduler::record::{Completed, Issued, Outcome, Record, Start};
use engine::storage::dir::RealDir;
use engine::storage::reader::log_dir;
use engine::storage::{Hands, LogOptions, LogPlace, Opening};

use super::*;
use crate::app::diary::{Diary, Present};
use crate::app::events::Happening;
use crate::app::runfile::RunFile;
use crate::app::state::{Ending, Level, Phase, View};
use crate::app::testing;

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1 << 16,
    policy: FsyncPolicy::None,
    retain_bytes: None,
    index_bytes: 1 << 20,
    compression: Compression::None,
    checkpoint_bytes: engine::limits::CHECKPOINT_BYTES_MIN,
};

/// A log that is written record by record, in batches of a few.
struct Writer {
    dir: tempfile::TempDir,
    records: Vec<(u8, [u8; 16], Vec<u8>)>,
    next_id: u64,
    leased: u64,
}

fn at(ms: u64) -> Time {
    Time(1_000_000_000_000 + ms * 1_000_000)
}

impl Writer {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), records: Vec::new(), next_id: 1, leased: 1 }
    }

    fn put(&mut self, record: &Record<'_>) {
        let mut value = Vec::new();
        record.put_value(&mut value);
        self.records.push((record.kind(), record.key(), value));
    }

    fn start(&mut self, run: u64, epoch: u32) {
        let (run, epoch) = (RunId(run), Epoch(epoch));
        self.put(&Record::Start(Start {
            epoch,
            run,
            wall: WallTime(5_000_000_000),
            boot: [7; 16],
        }));
        // Ids go on behind the last lease.
        self.next_id = self.leased;
        self.leased += 100_000;
        self.put(&Record::Lease(TicketId(self.leased)));
    }

    /// What begins a segment: which start holds in it.
    fn repeat(&mut self, run: u64, epoch: u32) {
        let (run, epoch, wall) = (RunId(run), Epoch(epoch), WallTime(5_000_000_000));
        self.put(&Record::Start(Start { epoch, run, wall, boot: [7; 16] }));
        self.put(&Record::Lease(TicketId(self.leased)));
    }

    /// A ticket that arrived at a moment, in milliseconds.
    fn issue(&mut self, arrived: u64, service: u8, waiting_seen: u32) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.put(&Record::Issued(Issued {
            id: TicketId(id),
            token: Token { user: UserId(3), seq: id },
            service: ServiceId(service),
            demand_ns: 1_000_000,
            scheduled: at(arrived),
            submitted: at(arrived),
            arrived: at(arrived),
            waiting_seen,
            is_delayed: waiting_seen > 0,
            payload: b"letter",
        }));
        id
    }

    fn end(&mut self, id: u64, started: u64, ended: u64) {
        self.put(&Record::Completed(Completed {
            id: TicketId(id),
            outcome: Outcome::Served,
            worker: WorkerId(u16::try_from(id % 2).unwrap()),
            attempts: 1,
            durable: at(started),
            started: at(started),
            last_started: at(started),
            ended: at(ended),
        }));
    }

    /// A run of so many seconds: ten tickets a second, each waits 20 ms and is served in 50 ms.
    fn run(&mut self, run: u64, epoch: u32, from_ms: u64, seconds: u64) {
        self.start(run, epoch);
        for tenth in 0..seconds * 10 {
            let arrived = from_ms + tenth * 100;
            let id = self.issue(arrived, u8::try_from(tenth % 2).unwrap(), 0);
            self.end(id, arrived + 20, arrived + 70);
        }
    }

    /// Writes what the director would have said of a run.
    fn note(&self, run: u64, ended_ms: Option<u64>) {
        let text = "[service.letters]\nshare = 50%\ntime = det 50ms\n[service.parcels]\nshare = 50%\ntime = det 50ms\n";
        let facts = crate::app::state::RunFacts {
            id: RunId(run),
            scenario_text: text.into(),
            ..testing::app().run
        };
        let line = engine::timeline::Timeline {
            opened_at: at(0),
            warmup: Duration::from_secs(1),
            arrivals: Some(Duration::from_secs(9)),
            pauses: Vec::new(),
        };
        let ended = ended_ms.map(|ms| (at(ms), Ending::Completed));
        let clock = (at(0), WallTime(9_000_000_000));
        RunFile::new(facts, &line, clock, ended).write(self.dir.path()).unwrap();
    }

    fn write(&mut self) -> PathBuf {
        let dir = self.dir.path().to_owned();
        let place = LogPlace { log: Arc::new(RealDir::new(log_dir(&dir))), index: None };
        let hands = Hands::Threads(Arc::new(|| {}));
        let opening = Opening::begin(&place, OPTIONS, hands).unwrap();
        let (mut log, _) = opening.replay(&mut |_| {}).unwrap();
        // As many as a turn of an issuer brings, and enough for several segments.
        for records in self.records.chunks(7) {
            for (kind, key, value) in records {
                log.append_with(*kind, *key, |out| out.extend_from_slice(value));
            }
            log.commit(Time(1)).unwrap();
            while log.is_blocked() {
                log.wait_for_room(Time(1)).unwrap();
                log.commit(Time(1)).unwrap();
            }
        }
        self.records.clear();
        dir
    }
}

fn open(dir: &std::path::Path, choice: Choice) -> Film {
    Film::open(dir, choice, &mut |_| true).unwrap()
}

fn state(film: &mut Film) -> AppState {
    film.state(1, &scene::Playing::default())
}

#[test]
fn a_run_is_seen_at_any_moment() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 10);
    writer.note(7, Some(10_500));
    let mut film = open(&writer.write(), Choice::Last);
    let end = state(&mut film);
    assert_eq!(end.phase, Phase::Stopped(Ending::Completed));
    assert_eq!((end.totals.issued, end.totals.served, end.totals.waiting), (100, 100, 0));
    let measured = &end.figures.all.counts;
    assert_eq!((measured.issued, measured.served), (80, 80), "between warm-up and the end");
    assert_eq!(end.figures.window, Duration::from_secs(8));
    assert_eq!(
        end.services.iter().map(|s| (&*s.name, s.served)).collect::<Vec<_>>(),
        [("letters", 50), ("parcels", 50)]
    );
    assert!((end.figures.all.waiting_mean.unwrap() - 0.2).abs() < 1e-9, "10/s x 20 ms");
    assert!((end.figures.all.in_system_mean.unwrap() - 0.7).abs() < 1e-9, "10/s x 70 ms");
    let wait = end.figures.all.wait.unwrap();
    assert_eq!(wait.mean, Duration::from_millis(20));
    assert_eq!(end.history.iter().map(|second| second.served).sum::<u64>(), 100);

    film.seek(at(5_010)).unwrap();
    let middle = state(&mut film);
    assert_eq!(middle.phase, Phase::Running);
    assert_eq!((middle.totals.issued, middle.totals.served), (51, 50));
    assert_eq!((middle.totals.waiting, middle.totals.in_service), (1, 0));
    assert_eq!(middle.elapsed, Duration::from_millis(5_010));
    assert_eq!(middle.wall, WallTime(9_000_000_000 + 5_010_000_000));
    assert_eq!(middle.history.iter().count(), 5);
    assert!((middle.rates.served.unwrap() - 10.0).abs() < 1e-6, "{:?}", middle.rates);
    film.seek(at(5_030)).unwrap();
    let served = state(&mut film).totals;
    assert_eq!((served.waiting, served.in_service), (0, 1), "what comes later tells it");
    film.seek(at(500)).unwrap();
    assert_eq!(state(&mut film).figures.window, Duration::ZERO, "nothing is measured yet");
}

/// What is compared of two snapshots of one moment.
fn gist(state: &AppState) -> impl PartialEq + std::fmt::Debug + use<> {
    let AppState { totals, figures, series, history, latencies, services, rates, .. } =
        state.clone();
    (totals, figures, series, history, latencies, services, rates)
}

#[test]
fn going_back_shows_what_was_there() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 90);
    writer.note(7, Some(90_000));
    let dir = writer.write();
    let mut film = open(&dir, Choice::Last);
    let moments = [3_333, 27_010, 50_030, 60_777, 89_999];
    let mut shown: Vec<AppState> = Vec::new();
    for ms in moments {
        film.seek(at(ms)).unwrap();
        shown.push(state(&mut film));
    }
    for (ms, before) in moments.into_iter().zip(&shown).rev() {
        film.seek(at(ms)).unwrap();
        assert!(gist(&state(&mut film)) == gist(before), "{ms}");
    }
}

#[test]
fn several_runs_are_told_apart() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 2);
    let left = writer.issue(2_000, 0, 0);
    writer.start(8, 2);
    writer.end(left, 60_010, 60_020);
    writer.run(9, 3, 70_000, 3);
    let dir = writer.write();
    let mut last = open(&dir, Choice::Last);
    assert_eq!((last.number(), last.runs.len()), (3, 3));
    assert_eq!(state(&mut last).totals.served, 30);
    let mut first = open(&dir, Choice::Number(1));
    let totals = state(&mut first).totals;
    assert_eq!((first.number(), first.runs.len()), (1, 3));
    assert_eq!((totals.issued, totals.served, totals.waiting), (21, 20, 1));
    let mut second = open(&dir, Choice::Number(2));
    let totals = state(&mut second).totals;
    assert_eq!((totals.issued, totals.recovered, totals.waiting), (0, 1, 0));
    let missing = Film::open(&dir, Choice::Number(4), &mut |_| true).unwrap_err();
    assert_eq!(missing.to_string(), "there is no run 4: the log holds 3, from 1 on");
}

#[test]
fn a_run_of_which_only_the_log_is_left_says_what_is_not_known() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 3);
    writer.issue(3_000, 1, 4);
    let mut film = open(&writer.write(), Choice::Last);
    let end = state(&mut film);
    let Phase::Stopped(Ending::Failed { reason, .. }) = &end.phase else {
        panic!("{:?}", end.phase)
    };
    assert!(reason.contains("queues 1 open ticket again"), "{reason}");
    let View::Replay(view) = &end.view else { panic!("{:?}", end.view) };
    assert!(view.gaps.iter().any(|gap| gap.contains("warm-up and pauses are not known")));
    assert_eq!(end.services[1].name, "service 1");
    assert_eq!(end.figures.all.counts.issued, 31, "all of it is measured");
    assert_eq!(end.figures.all.waiting_max.unwrap().count, 5);
    assert_eq!(end.figures.all.utilization, None, "nobody knows the seats");
    assert_eq!((&*end.run.fsync, end.run.seed), ("–", None));
}

#[test]
fn a_restart_of_the_issuer_is_an_event() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 2);
    let left = writer.issue(2_000, 0, 0);
    writer.start(7, 2);
    writer.end(left, 3_000, 3_050);
    writer.note(7, Some(4_000));
    let mut film = open(&writer.write(), Choice::Last);
    let events = state(&mut film).events;
    let texts: Vec<&str> = events.iter().map(|Happening { text, .. }| &**text).collect();
    assert_eq!(
        texts,
        [
            "the issuer was started (epoch 1)",
            "arrivals began",
            "the issuer was started (epoch 2): 1 unfinished tickets queued again",
            "the run was completed",
        ]
    );
    let restart = film.event_after(at(1_000)).unwrap();
    assert_eq!(film.event_before(at(3_000)), Some(restart));
    let is_unsure = |film: &mut Film| match state(film).view {
        View::Replay(view) => view.gaps.iter().any(|gap| gap.contains("1 ticket had a seat")),
        view => panic!("{view:?}"),
    };
    film.seek(at(2_000)).unwrap();
    assert!(is_unsure(&mut film), "it may have had a seat when its issuer died");
    film.seek(at(3_000)).unwrap();
    assert!(!is_unsure(&mut film), "the next one tells");
    film.seek(at(1_000)).unwrap();
    assert_eq!(state(&mut film).events.len(), 2, "the future is not told");
}

#[test]
fn a_segment_that_repeats_which_start_holds_is_no_restart() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 3);
    let left = writer.issue(3_000, 0, 0);
    writer.repeat(7, 1);
    writer.end(left, 3_050, 3_100);
    writer.note(7, Some(4_000));
    let mut film = open(&writer.write(), Choice::Last);
    let end = state(&mut film);
    assert_eq!((end.store.issuer_starts, end.processes[0].restarts), (1, Some(0)));
    assert_eq!(end.totals.recovered, 0);
    let texts: Vec<&str> = end.events.iter().map(|event| &*event.text).collect();
    assert_eq!(texts.iter().filter(|text| text.contains("was started")).count(), 1, "{texts:?}");
    let most = end.history.iter().map(|second| second.records).max();
    assert!(most <= Some(24), "no second has all that was written before: {most:?}");
}

#[test]
fn what_an_issuer_wrote_is_counted_from_its_start() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 5);
    writer.start(7, 2);
    let id = writer.issue(5_500, 0, 0);
    writer.end(id, 5_510, 5_600);
    writer.note(7, Some(7_000));
    let mut film = open(&writer.write(), Choice::Last);
    let end = state(&mut film);
    assert_eq!(
        (end.store.issuer_starts, end.store.records),
        (2, 4),
        "a start, a lease and a ticket"
    );
    let most = end.history.iter().map(|second| second.records).max();
    assert!(most <= Some(24), "{most:?}");
}

#[test]
fn what_no_log_holds_is_not_known() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 5);
    writer.note(7, Some(5_500));
    let mut film = open(&writer.write(), Choice::Last);
    let end = state(&mut film);
    assert_eq!((end.workers, end.users, end.seats.staffed), Default::default());
    let totals = end.totals;
    let unknown = [totals.offered, totals.rejected, totals.dropped, totals.bad_peers];
    assert_eq!((unknown, totals.served), ([None; 4], 50));
    assert_eq!((end.rates.offered, end.rates.rejected), (None, None));
    assert_eq!((end.store.syncs, end.store.unsynced_bytes, end.store.index), Default::default());
    assert!(end.services.iter().all(|row| row.rejected.is_none()));
    assert!(end.processes.iter().all(|row| row.hosts.is_none()));
    let figures = &end.figures;
    assert_eq!((figures.all.rejected_share, figures.users.intended), (None, None));
    assert_eq!((figures.all.offered_rate, figures.all.lost_work), (None, None));
    assert!(end.history.iter().all(|second| second.rejected.is_none() && second.users.is_none()));
    let View::Replay(view) = &end.view else { panic!("{:?}", end.view) };
    assert!(view.gaps.iter().any(|gap| gap.contains("diary in runs/ says nothing")));
    assert!(end.conf.iter().any(|row| row.section == "service.parcels"), "names are known");
}

#[test]
fn a_rate_is_known_when_a_whole_second_was_seen() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 5);
    writer.note(7, Some(5_000));
    let mut film = open(&writer.write(), Choice::Last);
    film.seek(film.from).unwrap();
    assert_eq!(state(&mut film).rates.served, None);
    film.seek(at(900)).unwrap();
    assert_eq!(state(&mut film).services[0].served_rate, None);
    film.seek(at(4_000)).unwrap();
    assert_eq!(state(&mut film).rates.served.map(f64::round), Some(10.0));
}

#[test]
fn a_diary_tells_who_was_there_and_what_people_did() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 5);
    writer.note(7, Some(5_500));
    let dir = writer.write();
    let mut diary = Diary::new(&dir, RunId(7));
    let present = |ms, users, rejected| Present {
        at: at(ms),
        workers: (3, 4),
        users: (users, 50),
        staffed: 2,
        // From the end of the warm-up on.
        staffed_ns: 2 * 1_000_000 * ms.max(1_000) - 2_000_000_000,
        rejected: vec![(rejected, rejected)],
        lost_ns: vec![7],
        bad_peers: 1,
    };
    diary.note_present(present(500, 40, 0));
    diary.note_present(present(3_000, 50, 30));
    diary.tell(Happening {
        number: 9,
        at: at(3_500),
        wall: WallTime(3),
        severity: crate::app::state::Severity::Info,
        who: crate::app::events::Source::Key,
        label: "strike".to_owned(),
        text: "workers called to strike".to_owned(),
    });
    drop(diary);
    let mut film = open(&dir, Choice::Last);
    let end = state(&mut film);
    assert_eq!((end.workers, end.users), (Level::of(3, 4), Level::of(50, 50)));
    assert_eq!((end.seats.staffed, end.totals.rejected), (Some(2), Some(30)));
    assert_eq!((end.totals.offered, end.totals.dropped), (Some(80), None));
    assert_eq!(end.figures.all.lost_work, Some(Duration::from_nanos(7)));
    // Forty tickets of 50 ms each, on two seats, in four and a half measured seconds.
    let busy = end.figures.all.utilization.unwrap();
    assert!((busy - 2.0 / 9.0).abs() < 1e-6, "{busy}");
    assert!(end.events.iter().any(|event| event.label == "strike"));
    let strike = end.events.iter().find(|event| event.label == "strike").unwrap().at;
    assert_eq!(film.event_before(at(4_000)), Some(strike));
    film.seek(at(2_000)).unwrap();
    let before = state(&mut film);
    assert_eq!((before.users, before.totals.rejected), (Level::of(40, 50), Some(0)));
    film.seek(at(250)).unwrap();
    assert_eq!(state(&mut film).users, Level::default(), "nobody had told yet");
}

#[test]
fn of_a_run_whose_beginning_is_gone_what_is_left_is_shown() {
    let mut writer = Writer::new();
    writer.start(7, 1);
    for second in 0..90 {
        for tenth in 0..10 {
            let arrived = second * 1_000 + tenth * 100;
            let id = writer.issue(arrived, 0, 0);
            writer.end(id, arrived + 20, arrived + 70);
        }
        writer.repeat(7, 1);
    }
    writer.note(7, Some(90_000));
    let dir = writer.write();
    let mut segments: Vec<_> =
        log_dir(&dir).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|ending| ending == "seg"));
    segments.sort();
    assert!(segments.len() > 2, "{segments:?}");
    std::fs::remove_file(&segments[0]).unwrap();
    let mut film = open(&dir, Choice::Last);
    assert!(film.from > at(1_000), "{:?}", film.from);
    let end = state(&mut film);
    let span = film.until.since(film.from).as_secs_f64();
    let served = f64::from(u32::try_from(end.totals.served).unwrap());
    assert!((served / span - 10.0).abs() < 1.0, "{served} in {span} s");
    let first = end.history.iter().next().unwrap();
    assert!(first.span <= Duration::from_secs(1) && first.end > film.from);
    assert_eq!(end.processes[0].restarts, None);
    let View::Replay(view) = &end.view else { panic!("{:?}", end.view) };
    assert!(view.gaps.iter().any(|gap| gap.contains("let go of the run's beginning")));
}

#[test]
fn what_a_writer_adds_is_followed() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 2);
    let dir = writer.write();
    let mut film = open(&dir, Choice::Last);
    assert!(!film.follow().unwrap());
    let id = writer.issue(2_500, 0, 0);
    writer.end(id, 2_510, 2_600);
    writer.write();
    assert!(film.follow().unwrap());
    film.seek(film.until).unwrap();
    assert_eq!((film.at, state(&mut film).totals.served), (at(2_600), 21));
}

#[test]
fn time_is_steered() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 10);
    writer.note(7, Some(10_000));
    let mut film = open(&writer.write(), Choice::Last);
    let mut playing = scene::Playing { speed_milli: SPEED, ..scene::Playing::default() };
    let mut obeyed = |action: Action| {
        let run = obey(&action, &mut film, &mut playing).unwrap();
        (film.at, playing.is_playing, playing.speed_milli, run)
    };
    let second = Duration::from_secs(1);
    assert_eq!(obeyed(Action::Travel(Travel::Back(second))), (at(9_000), false, SPEED, None));
    assert_eq!(obeyed(Action::Step(second / 4)), (at(9_250), false, SPEED, None));
    assert_eq!(obeyed(Action::Resume), (at(9_250), true, SPEED, None));
    assert_eq!(obeyed(Action::Travel(Travel::Speed(0))), (at(9_250), true, 1, None));
    assert_eq!(obeyed(Action::Pause), (at(9_250), false, 1, None));
    assert_eq!(obeyed(Action::Travel(Travel::To(Time(0)))), (at(0), false, 1, None));
    assert_eq!(obeyed(Action::Travel(Travel::Live)), (at(10_000), false, 1, None));
    assert_eq!(obeyed(Action::Resume), (at(0), true, 1, None), "it begins again");
    assert_eq!(obeyed(Action::Travel(Travel::NextRun)).3, None, "there is no other");
    assert_eq!(obeyed(Action::Travel(Travel::PreviousRun)).3, None);
}

#[test]
fn the_end_of_a_log_that_is_written_is_followed_a_little_behind() {
    let mut writer = Writer::new();
    writer.run(7, 1, 0, 10);
    writer.issue(10_000, 0, 0);
    let mut film = open(&writer.write(), Choice::Last);
    let mut playing = scene::Playing { is_written: true, ..scene::Playing::default() };
    let gaps = |film: &mut Film| match state(film).view {
        View::Replay(view) => view.gaps.join("\n"),
        view => panic!("{view:?}"),
    };
    assert!(
        gaps(&mut film).contains("whether 1 ticket had a seat is not known"),
        "{}",
        gaps(&mut film)
    );
    for travel in [Travel::Live, Travel::To(film.until), Travel::NextEvent] {
        obey(&Action::Travel(travel), &mut film, &mut playing).unwrap();
        assert_eq!((film.at, playing.is_following), (at(9_000), true), "{travel:?}");
        assert!(!gaps(&mut film).contains("had a seat"), "who has a seat is known");
    }
    obey(&Action::Travel(Travel::Back(Duration::from_secs(1))), &mut film, &mut playing).unwrap();
    assert_eq!((film.at, playing.is_following), (at(8_000), false));
}

#[test]
fn a_directory_without_a_log_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let wish = Wish { dir: dir.path().to_owned(), run: None, at: None };
    assert!(matches!(print(&wish).unwrap(), Err(ReplayError::NoLog(_))));
    std::fs::create_dir(dir.path().join("log")).unwrap();
    assert!(matches!(print(&wish).unwrap(), Err(ReplayError::Empty(_))));
}
