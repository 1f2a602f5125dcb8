//! Changes of what is in effect: all or nothing, and what they ask the director to do.

use engine::config::{Source, parse};

use super::*;

fn effective(text: &str) -> Effective {
    let source = Source { name: "x.ini".to_owned(), title: "x".to_owned(), text: text.to_owned() };
    parse(&source, &[]).unwrap_or_else(|errors| panic!("{text}: {errors}"))
}

fn conf(text: &str) -> Conf {
    Conf::new(&effective(text))
}

fn set(conf: &mut Conf, texts: &[&str]) -> Result<(Vec<String>, Todo), String> {
    let changes: Vec<Assignment> =
        texts.iter().map(|text| Assignment::read(text).unwrap()).collect();
    let (rows, todo) = conf.set(&changes).map_err(|refusal| refusal.text)?;
    Ok((rows.iter().map(ChangeRow::text).collect(), todo))
}

fn take(conf: &mut Conf, text: &str) -> (Vec<String>, Todo) {
    let read = effective(text);
    let proposed = conf.propose(&read).len();
    let (rows, todo) = conf.take(read).unwrap();
    assert_eq!(proposed, rows.len(), "what is proposed is what is done");
    (rows.iter().map(ChangeRow::text).collect(), todo)
}

fn origin(conf: &Conf, section: &str, key: &str) -> String {
    conf.shown().row(section, key).unwrap().origin.to_string()
}

#[test]
fn what_can_not_stand_in_a_file_is_refused() {
    for (key, value) in [
        ("fast", "reject = 0,\nfail = 0"),
        ("fast", "reject = 0 ; really"),
        ("fast\n[run]\nseed", "1"),
        ("a;b", "reject = 0"),
    ] {
        let mut conf = conf("[service.a]\n[load.a]");
        let change = assignment("slo", key, Some(value.to_owned()));
        let refusal = conf.set(&[change]).unwrap_err();
        assert!(refusal.is_usage, "{refusal:?}");
        assert_eq!(conf.scenario().slos, [], "{key} = {value}");
    }
}

#[test]
fn a_change_says_what_is_to_be_done() {
    for (text, line, wanted) in [
        (
            "storage.fsync=each_batch",
            "storage.fsync: interval 50ms (default) -> each_batch (live)",
            Todo { store: true, ..Todo::default() },
        ),
        (
            "run.drain=3s",
            "run.drain: 10s (default) -> 3s (live)",
            Todo { rules: true, ..Todo::default() },
        ),
        (
            "office.room=9",
            "office.room: 10000 (default) -> 9 (restarts the issuer)",
            Todo { restart_issuer: true, ..Todo::default() },
        ),
        (
            "service.a.work=spin",
            "service.a.work: sleep (default) -> spin (restarts the workers, one after another)",
            Todo { restart_workers: true, ..Todo::default() },
        ),
        (
            "office.seats=9",
            "office.seats: one for each worker (default) -> 9 (restarts the workers, one after another)",
            Todo { restart_workers: true, ..Todo::default() },
        ),
        (
            "load.a.users=9",
            "load.a.users: 1 (default) -> 9 (live)",
            Todo { users: true, ..Todo::default() },
        ),
        (
            "slo.fast=reject = 0",
            "slo.fast: none (default) -> reject = 0 (live)",
            Todo { goals: true, ..Todo::default() },
        ),
    ] {
        let mut conf = conf("[service.a]\n[load.a]");
        assert_eq!(set(&mut conf, &[text]), Ok((vec![line.to_owned()], wanted)));
        let again = engine::config::parse_effective(&conf.shown().to_ini()).unwrap();
        assert_eq!(again, *conf.scenario(), "{text}");
    }
}

#[test]
fn all_changes_are_made_or_none() {
    let mut conf = conf("[run]\nseed = 7\n[office]\nroom = 50");
    let before = conf.shown().clone();
    for (texts, said) in [
        (
            ["office.room=60", "office.rooom=1"],
            "office.rooom: unknown key; did you mean office.room?",
        ),
        (
            ["office.room=60", "office.workers=0"],
            "office.workers: 0 is not a whole number from 1 to 1024",
        ),
        (["office.room=60", "run.seed=8"], "run.seed: it stays 7; another value needs a new run"),
        (
            ["office.room=60", "office.seats=1"],
            "office.seats: 1 seats are too few for 4 workers; each needs at least one",
        ),
    ] {
        assert_eq!(set(&mut conf, &texts), Err(said.to_owned()));
        assert_eq!(*conf.shown(), before, "{texts:?}");
    }
}

#[test]
fn workers_keep_their_seats_and_a_new_run_would_have_as_many() {
    let mut conf = conf("[office]\nworkers = 3\nseats = 8");
    let (lines, todo) = set(&mut conf, &["office.workers=5"]).unwrap();
    assert_eq!(
        lines,
        [
            "office.workers: 3 -> 5 (live)",
            "office.seats: 8 -> 12 (restarts the workers, one after another)"
        ]
    );
    assert_eq!(todo, Todo { workers: true, ..Todo::default() }, "nobody is reseated");
    assert_eq!((conf.workers(), conf.scenario().office.seats), (5, 12));
    let seats: Vec<u32> = (0..5).map(|slot| conf.seating().at(slot)).collect();
    assert_eq!(seats, [3, 3, 2, 2, 2]);
    conf.set_workers(1).unwrap();
    conf.set_workers(3).unwrap();
    assert_eq!((conf.seating().at(2), conf.scenario().office.seats), (2, 8));
    assert_eq!(origin(&conf, "office", "workers"), "x.ini:2", "back to what the file says");
    assert_eq!(conf.staff().scenario.office.workers, 3);
}

#[test]
fn children_keep_the_users_of_the_start() {
    let mut conf = conf("[load.a]\nusers = 30\n[load.b]\nusers = 10");
    assert_eq!(conf.set_users(80).unwrap(), Todo { users: true, ..Todo::default() });
    assert_eq!(conf.users(), [60, 20]);
    assert_eq!(origin(&conf, "load.a", "users"), "live");
    conf.set_users(0).unwrap();
    set(&mut conf, &["office.room=9"]).unwrap();
    conf.set_users(40).unwrap();
    assert_eq!(conf.users(), [30, 10]);
    assert_eq!(origin(&conf, "load.a", "users"), "x.ini:2");
    let staff: Vec<u32> = conf.staff().scenario.loads.iter().map(|load| load.users).collect();
    assert_eq!(staff, [30, 10]);
    set(&mut conf, &["load.a.users=10"]).unwrap();
    conf.set_users(40).unwrap();
    assert_eq!(conf.users(), [20, 20], "a number for one load is another proportion");
}

#[test]
fn a_reload_brings_what_changed_in_the_file_and_keeps_what_was_changed_live() {
    let mut conf = conf("[office]\nroom = 50\nworkers = 3\n[run]\nseed = 1");
    conf.set_workers(5).unwrap();
    set(&mut conf, &["office.room=60"]).unwrap();
    let (lines, todo) =
        take(&mut conf, "[office]\nroom = 70\nworkers = 3\n[run]\nseed = 2\ndrain = 4s");
    assert_eq!(
        lines,
        [
            "run.seed: 1 -> 2 (needs a new run; the office goes on as it is)",
            "run.drain: 10s (default) -> 4s (live)",
            "office.workers: 5 stays: it was changed live, and the file, which says 3, was not",
            "office.room: 60 -> 70 (restarts the issuer)",
        ]
    );
    assert_eq!(todo, Todo { rules: true, restart_issuer: true, ..Todo::default() });
    assert_eq!((conf.workers(), conf.scenario().office.room), (5, 70));
    assert_eq!(conf.scenario().run.seed, Some(1));
    assert_eq!(origin(&conf, "office", "room"), "x.ini:2");
    let (lines, todo) =
        take(&mut conf, "[office]\nroom = 70\nworkers = 2\n[run]\nseed = 2\ndrain = 4s");
    assert_eq!(
        lines,
        [
            "run.seed: 1 -> 2 (needs a new run; the office goes on as it is)",
            "office.workers: 5 -> 2 (live)",
        ]
    );
    assert_eq!(todo, Todo { workers: true, ..Todo::default() });
}

#[test]
fn a_file_that_moves_seats_restarts_the_workers() {
    let mut conf = conf("[office]\nworkers = 2\nseats = 8");
    let (lines, todo) = take(&mut conf, "[office]\nworkers = 4\nseats = 8");
    assert_eq!(lines, ["office.workers: 2 -> 4 (restarts the workers, one after another)"]);
    assert_eq!(todo, Todo { workers: true, restart_workers: true, ..Todo::default() });
    assert_eq!((conf.seating().at(0), conf.seating().at(3)), (2, 2));
}

#[test]
fn a_reload_that_does_not_go_together_changes_nothing() {
    let mut conf = conf("[service.a]\n");
    let before = conf.shown().clone();
    let read = effective("[service.a]\n[service.b]\n[slo]\nfast = p99(wait, b) < 5ms");
    let refusal = conf.take(read).unwrap_err();
    assert!(refusal.text.contains("there is no service b; there are: a"), "{}", refusal.text);
    assert_eq!(*conf.shown(), before);
}

#[test]
fn the_warm_up_of_a_run_does_not_follow_its_duration() {
    let mut conf = conf("[run]\nduration = 20s");
    let (_, todo) = set(&mut conf, &["run.duration=10s"]).unwrap();
    assert_eq!(todo, Todo { rules: true, ..Todo::default() });
    assert_eq!(conf.scenario().run.warmup, std::time::Duration::from_secs(2));
    assert!(conf.shown().to_ini().contains("warmup        = 2s"), "{}", conf.shown().to_ini());
    let error = set(&mut conf, &["run.duration=1s"]).unwrap_err();
    assert!(error.contains("is not shorter than run.duration"), "{error}");
}

#[test]
fn rows_tell_who_gave_each_value() {
    let mut conf = conf("[office]\nroom = 50");
    set(&mut conf, &["run.drain=3s"]).unwrap();
    let rows = conf.rows();
    let row = |key: &str| rows.iter().find(|row| row.key == key).unwrap();
    assert_eq!((row("room").giver, &row("room").origin[..]), (Giver::Scenario, "x.ini:2"));
    assert_eq!((row("drain").giver, row("drain").value.as_deref()), (Giver::Live, Some("3s")));
    assert_eq!((row("retain").giver, &row("retain").default[..]), (Giver::Default, "1GiB"));
    assert_eq!(row("NAME").section, "slo");
}

const OPEN: &str = "[load.rush]\nmodel = open\nrate = poisson 160/s\n[load.calm]";

#[test]
fn rates_change_live_and_children_keep_those_of_the_start() {
    let mut conf = conf(OPEN);
    let (lines, todo) = set(&mut conf, &["load.rush.rate=poisson 300/s"]).unwrap();
    assert_eq!(lines, ["load.rush.rate: poisson 160/s -> poisson 300/s (live)"]);
    assert_eq!(todo, Todo { tempo: true, ..Todo::default() });
    assert_eq!((conf.tempo().rates[0].wanted, conf.tempo().rates[0].base), (300.0, 160.0));
    assert_eq!(conf.staff().row("load.rush", "rate").unwrap().value, Some("poisson 160/s"));
    assert_eq!(conf.set_rate(LoadId(0), 300.0).unwrap(), Todo::default(), "it has it");
    assert_eq!(conf.set_rate(LoadId(0), 80.0).unwrap(), Todo { tempo: true, ..Todo::default() });
    assert_eq!(conf.shown().row("load.rush", "rate").unwrap().value, Some("poisson 80/s"));
    assert_eq!(origin(&conf, "load.rush", "rate"), "live");
    assert!(conf.set_rate(LoadId(1), 5.0).is_err_and(|why| why.text.contains("closed")));
    conf.set_rate(LoadId(0), 160.0).unwrap();
    assert_eq!(origin(&conf, "load.rush", "rate"), "x.ini:3", "back to what the file says");
}

#[test]
fn arrivals_of_another_kind_need_a_new_run() {
    let mut conf = conf(OPEN);
    let refused = set(&mut conf, &["load.rush.rate=det 160/s"]).unwrap_err();
    let wanted = "it stays poisson 160/s; another kind of arrivals needs a new run";
    assert_eq!(refused, format!("load.rush.rate: {wanted}"));
    let read = |rate: &str| effective(&OPEN.replace("poisson 160/s", rate));
    let fates: Vec<Fate> = conf.propose(&read("det 160/s")).iter().map(|row| row.fate).collect();
    assert_eq!(fates, [Fate::NeedsNewRun]);
    let (rows, todo) = conf.take(read("poisson 200/s")).unwrap();
    assert_eq!((rows[0].fate, todo.tempo), (Fate::Applied, true));
    assert_eq!(conf.tempo().rates[0].wanted, 200.0);
}

#[test]
fn a_rate_that_speed_makes_too_high_is_refused_as_a_whole() {
    let mut conf = conf(OPEN);
    assert_eq!(conf.set_speed(100.0).unwrap(), Todo { tempo: true, ..Todo::default() });
    assert_eq!(conf.set_speed(100.0).unwrap(), Todo::default());
    let before = conf.shown().clone();
    let refused = set(&mut conf, &["load.rush.rate=poisson 200000/s", "office.room=9"]);
    assert!(refused.is_err_and(|why| why.contains("load rush: 20000000/s is not")));
    assert_eq!((conf.tempo().rates[0].wanted, conf.shown()), (160.0, &before));
}
