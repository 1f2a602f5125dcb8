//! The storm: processes of a real office are killed at random, over and over on one data
//! directory, and after each round the log is sound and holds whatever was acknowledged.
//!
//! `STORM_ROUNDS=1000 STORM_SEED=7 cargo test storm` takes more, or the same again.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use engine::scheduler::record::Record;
use engine::storage::reader;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::support::{Office, PROGRAM, arguments, descendants, is_alive, wait_for};

const BUSY: &str = "[run]\nwarmup = 0s\n[office]\nworkers = 2\nseats = 16\n\
    [service.a]\ntime = exp 2ms\n[load.l]\nusers = 40\nthink = exp 2ms\n\
    [load.street]\nmodel = open\nusers = 4\nrate = poisson 300/s\n\
    [users]\nmax_processes = 4\n[storage]\nsegment = 1MiB\nretain = unlimited";

const POLICIES: [&str; 4] = ["none", "each_batch", "every 8", "interval 5ms"];
const ROLES: [&str; 4] = ["issuer", "worker", "user", "users-manager"];

/// A director, in a terminal or without.
enum Director {
    Headless(std::process::Child),
    Terminal(Box<dyn portable_pty::Child + Send + Sync>),
}

impl Director {
    fn start(args: &[String], in_terminal: bool) -> Self {
        if !in_terminal {
            let mut command = Command::new(PROGRAM);
            command.args(["--headless", "-q", "--json"]).args(args);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            return Self::Headless(command.spawn().unwrap());
        }
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(args);
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut output = pair.master.try_clone_reader().unwrap();
        // The terminal reads until the last process has let go of it.
        std::thread::spawn(move || {
            let _master = pair.master;
            let mut buf = [0; 8192];
            while let Ok(1..) = output.read(&mut buf) {}
        });
        Self::Terminal(child)
    }

    fn pid(&self) -> Pid {
        let pid = match self {
            Self::Headless(child) => child.id(),
            Self::Terminal(child) => child.process_id().unwrap(),
        };
        Pid::from_raw(i32::try_from(pid).unwrap())
    }

    /// Ends it with a signal and waits until nobody of its office is left.
    fn end(&mut self, signal: Signal) {
        let all = descendants(self.pid());
        kill(self.pid(), signal).unwrap();
        match self {
            Self::Headless(child) => drop(child.wait().unwrap()),
            Self::Terminal(child) => drop(child.wait().unwrap()),
        }
        wait_for("the end of all", || all.iter().all(|&pid| !is_alive(pid)).then_some(()));
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind: all end with their director.
        let _ = match self {
            Self::Headless(child) => child.kill().and_then(|()| child.wait().map(drop)),
            Self::Terminal(child) => child.kill().and_then(|()| child.wait().map(drop)),
        };
    }
}

struct Storm {
    rng: ChaCha8Rng,
    office: Office,
    acks: PathBuf,
    kills: u32,
}

impl Storm {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % bound as u64).unwrap()
    }

    /// Bytes of the file to which users write what was acknowledged.
    fn acked_bytes(&self) -> u64 {
        std::fs::metadata(&self.acks).map_or(0, |metadata| metadata.len())
    }

    /// Waits until users were told of some more tickets.
    fn wait_for_acks(&mut self, most: usize) {
        let wanted = self.acked_bytes() + 8 * (1 + self.below(most)) as u64;
        wait_for("acknowledged tickets", || (self.acked_bytes() >= wanted).then_some(()));
    }

    fn kill_one(&mut self, director: &Director) {
        let role = ROLES[self.below(ROLES.len())];
        let of_role =
            |pid: &Pid| arguments(*pid).is_some_and(|args| args.get(1) == Some(&role.to_owned()));
        let victims: Vec<Pid> = descendants(director.pid()).into_iter().filter(of_role).collect();
        if !victims.is_empty() {
            let victim = victims[self.below(victims.len())];
            // It may have ended by itself meanwhile.
            let _ = kill(victim, Signal::SIGKILL);
            self.kills += 1;
        }
    }

    fn round(&mut self, scenario: &str) {
        let policy = POLICIES[self.below(POLICIES.len())];
        let data_dir = self.office.data_dir().display().to_string();
        let acks = self.acks.display().to_string();
        let fsync = format!("storage.fsync={policy}");
        let args = ["-s", scenario, "--data-dir", &data_dir, "--ack-log", &acks, "--set", &fsync];
        let in_terminal = self.below(3) == 0;
        let mut director = Director::start(&args.map(str::to_owned), in_terminal);
        self.wait_for_acks(300);
        for _ in 0..self.below(4) {
            self.kill_one(&director);
            if self.below(2) == 0 {
                self.wait_for_acks(100);
            }
        }
        self.kills += 1;
        let is_orderly = self.below(5) == 0;
        director.end(if is_orderly { Signal::SIGTERM } else { Signal::SIGKILL });
    }

    /// Makes sure that the log is sound and holds all that was acknowledged; returns how much.
    fn check(&self) -> usize {
        let verdict = self.office.verify();
        assert_eq!(verdict["ok"], true, "{verdict}");
        let mut in_log = BTreeSet::new();
        let found = reader::scan(&self.office.data_dir(), &mut |record| {
            let read = Record::decode(record.kind, record.key, record.value);
            if let Ok(Record::Issued(issued)) = read {
                in_log.insert(issued.id.0);
            }
        });
        found.unwrap();
        let acked = std::fs::read_to_string(&self.acks).unwrap();
        let acked: BTreeSet<u64> = acked.lines().map(|line| line.parse().unwrap()).collect();
        let lost: Vec<&u64> = acked.difference(&in_log).collect();
        assert!(lost.is_empty(), "acknowledged and not in the log: {lost:?}");
        acked.len()
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn whatever_is_killed_nothing_acknowledged_is_lost() {
    let (rounds, seed) = (number("STORM_ROUNDS", 50), number("STORM_SEED", 1));
    println!("STORM_SEED={seed}");
    let office = Office::new();
    let scenario = office.scenario(BUSY);
    let acks = office.path("acks");
    let mut storm = Storm { rng: ChaCha8Rng::seed_from_u64(seed), office, acks, kills: 0 };
    let mut acked = 0;
    for round in 0..rounds {
        println!("round {round}");
        storm.round(&scenario);
        acked = storm.check();
    }
    println!("{} kills, {acked} acknowledged tickets", storm.kills);
    // What is open is served by the next run, which then has an empty office.
    let (code, summary) = storm.office.run(&["-s", &scenario, "-d", "300ms"]);
    assert_eq!(code, 0, "{summary}");
    assert_eq!(storm.office.verify()["open"], 0);
}
