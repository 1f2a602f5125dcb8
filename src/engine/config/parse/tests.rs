//! Files that are right, and what is said of those that are not.

use proptest::prelude::*;

use super::super::schema::ANY;
use super::super::{list, load};
use super::*;
use crate::config::Effective;
use crate::config::scenario::{Arrival, Distribution, FsyncPolicy, LoadModel, Scenario};

fn source(text: &str) -> Source {
    Source { name: "x.ini".to_owned(), title: "x".to_owned(), text: text.to_owned() }
}

fn named(option: &str, section: &str, key: &str, value: &str) -> Override {
    let key = OverrideKey::Named(section.to_owned(), key.to_owned());
    Override { option: option.to_owned(), key, value: value.to_owned() }
}

/// Makes sure that a text has exactly these mistakes.
fn check(text: &str, errors: &[&str]) {
    let found = parse(&source(text), &[]).map_or_else(|errors| errors.0, |_| Vec::new());
    let found: Vec<String> = found.iter().map(ConfigError::to_string).collect();
    assert_eq!(found, errors, "{text}");
}

#[test]
fn the_empty_file_is_a_scenario_like_the_default_one() {
    let Effective { scenario, .. } = parse(&source(""), &[]).unwrap();
    let default = parse(&load("default").unwrap(), &[]).unwrap().scenario;
    assert_eq!(scenario.loads, default.loads);
    assert_eq!((scenario.office, scenario.storage), (default.office, default.storage));
    assert_eq!(
        (scenario.run, scenario.users, scenario.net),
        (default.run, default.users, default.net)
    );
}

#[test]
fn all_built_in_scenarios_are_right_and_described() {
    for (name, description) in list() {
        let source = load(name).unwrap();
        parse(&source, &[]).unwrap_or_else(|errors| panic!("{name}:\n{errors}"));
        assert!(description.ends_with('.') && description.len() < 90, "{name}: {description}");
    }
}

#[test]
fn the_default_file_shows_every_key() {
    let text = load("default").unwrap().text;
    for key in KEYS {
        let line = text.lines().find(|line| {
            let stated = line.trim_start_matches("; ");
            // One goal stands for all names that there might be.
            let shown = if key.name == ANY { "fast" } else { key.name };
            stated.split('=').next().is_some_and(|name| name.trim() == shown)
        });
        let line = line.unwrap_or_else(|| panic!("{}.{} is missing", key.section, key.name));
        assert!(line.trim_start_matches("; ").contains(';'), "no unit or range: {line}");
    }
}

#[test]
fn values_are_read_with_their_comments() {
    let text = "# head\n[office]\nworkers = 8   ; live\nseats=16 # two each\n\n[service.a]\n\
                time = uniform 10ms..30ms\n[load.l]\nmodel = open\nrate = poisson 160/s\n\
                [storage]\nfsync = every 8";
    let scenario = parse(&source(text), &[]).unwrap().scenario;
    assert_eq!((scenario.office.workers, scenario.office.seats), (8, 16));
    assert_eq!(scenario.services[0].time, Distribution::Uniform(0.01, 0.03));
    let LoadModel::Open { rate, .. } = scenario.loads[0].model else { panic!("it is open") };
    assert_eq!(rate, Arrival::Poisson { per_second: 160.0 });
    assert_eq!(scenario.storage.fsync, FsyncPolicy::Every(8));
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    check("[ofice]\nworkers = 3", &["x.ini:1: [ofice]: unknown section; did you mean [office]?"]);
    check(
        "[office]\nwrokers = 3",
        &["x.ini:2: office.wrokers: unknown key; did you mean office.workers?"],
    );
    check("[office]\nthink = 3s", &["x.ini:2: office.think: unknown key; it belongs to [load.*]"]);
    check(
        "[users]\nzzzzzzzzz = 3",
        &["x.ini:2: users.zzzzzzzzz: unknown key; [users] has max_processes"],
    );
}

#[test]
fn what_is_not_built_yet_is_refused_and_not_ignored() {
    check(
        "[chaos]\nkill_worker = mtbf exp 30s",
        &["x.ini:1: [chaos]: the section is not built yet"],
    );
    check("[office]\nage = 3s", &["x.ini:2: office.age: the key is not built yet"]);
    check(
        "[office]\nscheduler = power_of 2",
        &["x.ini:2: office.scheduler: power_of 2 is not central; power_of is not built yet"],
    );
}

#[test]
fn mistakes_are_all_told_at_once_with_their_lines() {
    check(
        "x = 1\n[run]\nduration = 20\nseed = 1\nseed = 2\nnonsense\n[office]\nworkers = 0",
        &[
            "x.ini:1: a key stands before the first [section]",
            "x.ini:3: run.duration: 20 is not a span such as 20ms (units ns us ms s m h), or unlimited",
            "x.ini:5: run.seed: the key is given twice; it stands at x.ini:4 too",
            "x.ini:6: nonsense is neither [section] nor key = value",
            "x.ini:8: office.workers: 0 is not a whole number from 1 to 1024",
        ],
    );
}

#[test]
fn keys_are_looked_at_together() {
    check(
        "[run]\nduration = 2s\nwarmup = 3s",
        &["x.ini:3: run.warmup: 3s is not shorter than run.duration, which is 2s; \
           set a shorter one, for example --set run.warmup=0s"],
    );
    check(
        "[office]\nworkers = 4\nseats = 2",
        &["x.ini:3: office.seats: 2 seats are too few for 4 workers; each needs at least one"],
    );
    check(
        "[service.a]\nshare = 60%\n[service.b]\nshare = 60%",
        &["x.ini:2: service.a.share: the shares of all services sum to 120%, not 100%"],
    );
    check(
        "[load.a]\nmodel = open\nthink = 3s",
        &[
            "x.ini:3: load.a.think: the key belongs to model = closed",
            "default: load.a.rate: an open load needs its arrivals, such as poisson 160/s",
        ],
    );
    check("[load.A b]", &["x.ini:1: [load.A b]: a name has 1 to 32 of a-z, 0-9, _ and -"]);
}

#[test]
fn absent_shares_take_what_is_left() {
    let text = "[service.a]\nshare = 60%\n[service.b]\n[service.c]";
    let scenario = parse(&source(text), &[]).unwrap().scenario;
    let shares: Vec<f64> = scenario.services.iter().map(|service| service.share).collect();
    assert!((shares[0] - 0.6).abs() < 1e-9 && (shares[1] - 0.2).abs() < 1e-9);
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn the_command_line_comes_before_the_file() {
    let text = "[load.rush]\nmodel = open\nrate = det 5/s\n[load.regulars]\nusers = 7";
    let overrides = [
        named("--workers 9", "office", "workers", "9"),
        Override {
            option: "--users 33".to_owned(),
            key: OverrideKey::Users,
            value: "33".to_owned(),
        },
    ];
    let effective = parse(&source(text), &overrides).unwrap();
    let Scenario { office, loads, .. } = &effective.scenario;
    assert_eq!((office.workers, office.seats, loads[0].users, loads[1].users), (9, 9, 1, 33));
    assert!(
        effective.to_ini().contains("; --users 33") && effective.to_ini().contains("; x.ini:2")
    );
}

#[test]
fn an_option_for_a_section_that_is_not_there_names_those_that_are() {
    let overrides = [named("--set load.x.users=3", "load.x", "users", "3")];
    let errors = parse(&source("[load.a]\n[load.b]"), &overrides).unwrap_err();
    let wanted =
        "--set load.x.users=3: load.x: there is no such section; there are: load.a, load.b";
    assert_eq!(errors.to_string(), wanted);
}

#[test]
fn what_is_shown_reads_back_the_same() {
    for (name, _) in list() {
        let overrides = [named("--seed 5", "run", "seed", "5")];
        let effective = parse(&load(name).unwrap(), &overrides).unwrap();
        let again = super::super::parse_effective(&effective.to_ini()).unwrap();
        assert_eq!(again, effective.scenario, "{name}\n{}", effective.to_ini());
    }
}

fn assign(text: &str) -> (Assignment, Origin) {
    (Assignment::read(text).unwrap(), Origin::Live)
}

#[test]
fn an_assignment_is_split_at_its_last_dot() {
    let read = Assignment::read("service.parcels.time=exp 10ms").unwrap();
    assert_eq!((&read.section[..], &read.key[..]), ("service.parcels", "time"));
    assert_eq!(read.value.as_deref(), Some("exp 10ms"));
    assert_eq!(Assignment::read("office.room=").unwrap().value, None);
    assert!(Assignment::read("room=5").is_err() && Assignment::read("office.room").is_err());
}

#[test]
fn a_scenario_is_changed_as_a_whole_or_not_at_all() {
    let before = parse(&source("[office]\nworkers = 4\nseats = 8\n[load.a]\n"), &[]).unwrap();
    let changed = before
        .with(&[assign("office.room=77"), assign("load.a.users=3"), assign("office.seats=")])
        .unwrap();
    assert_eq!((changed.scenario.office.room, changed.scenario.office.seats), (77, 4));
    assert_eq!(changed.scenario.loads[0].users, 3);
    assert!(changed.to_ini().contains("= 77                       ; live"), "{}", changed.to_ini());
    let again = super::super::parse_effective(&changed.to_ini()).unwrap();
    assert_eq!(again, changed.scenario);
    for (text, said) in [
        ("office.room=lots", "live: office.room: lots is not a whole number from 1 to 10000000"),
        ("office.romo=5", "live: office.romo: unknown key; did you mean office.room?"),
        ("ofice.room=5", "live: [ofice]: unknown section; did you mean [office]?"),
        ("load.b.users=5", "live: load.b: there is no such section; there are: load.a"),
        (
            "office.seats=3",
            "live: office.seats: 3 seats are too few for 4 workers; each needs at least one",
        ),
        ("slo.a b=reject = 0", "live: slo.a b: a name has 1 to 32 of a-z, 0-9, _ and -"),
    ] {
        let errors = before.with(&[assign("office.workers=3"), assign(text)]);
        let errors =
            if text.starts_with("office.seats") { before.with(&[assign(text)]) } else { errors };
        assert_eq!(errors.unwrap_err().to_string(), said);
    }
}

#[test]
fn goals_have_names_of_their_own() {
    let text =
        "[slo]\nloss = reject = 0, fail < 1%\nfast = p99(wait, a) < 5ms ; quick\n[service.a]";
    let goal = Override {
        option: "--slo throughput > 5/s".to_owned(),
        key: OverrideKey::Goal,
        value: "throughput > 5/s".to_owned(),
    };
    let effective = parse(&source(text), &[goal.clone(), goal]).unwrap();
    let slos = &effective.scenario.slos;
    let names: Vec<_> = slos.iter().map(|slo| (&slo.name[..], slo.goals.len())).collect();
    assert_eq!(names, [("fast", 1), ("goal1", 1), ("goal2", 1), ("loss", 2)]);
    let again = super::super::parse_effective(&effective.to_ini()).unwrap();
    assert_eq!(again, effective.scenario, "{}", effective.to_ini());
    check(
        "[slo]\nfast = p99(wait, b) < 5ms\n[service.a]",
        &["x.ini:2: slo.fast: there is no service b; there are: a"],
    );
}

#[test]
fn many_mistakes_are_cut_short() {
    let errors = parse(&source(&"nonsense\n".repeat(500)), &[]).unwrap_err();
    assert!(errors.to_string().ends_with("\nand 480 more"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
        if let Err(errors) = parse(&source(&text), &[]) {
            prop_assert!(errors.to_string().len() < 20_000);
        }
    }

    #[test]
    fn any_value_is_read_or_refused(key in 0..KEYS.len(), value in "[ -~]{0,60}") {
        let Key { section, name, .. } = &KEYS[key];
        let name = name.replace('*', "a");
        let text = format!("[{}]\n{name} = {value}", section.replace('*', "a"));
        let _ = parse(&source(&text), &[]);
    }
}
