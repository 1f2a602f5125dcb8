//! Becoming a child changes the whole process, so each test starts this test program again, with
//! a variable that makes [`the_child_of_the_other_tests`] do something, and looks at it.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use nix::unistd::getpid;

use super::*;
use crate::supervisor::patience::wait_readable;

const ROLE: &str = "POSTOFFICE_TEST_BIRTH";
const PARENT: &str = "POSTOFFICE_TEST_PARENT";

/// Not a test of its own: what the processes run that the other tests start.
#[test]
fn the_child_of_the_other_tests() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let parent = std::env::var(PARENT).unwrap().parse().unwrap();
    if let Err(error) = become_child(Pid::from_raw(parent), Rank::Expendable) {
        say(&mut std::io::stderr(), &error.to_string());
        std::process::exit(1);
    }
    match role.as_str() {
        "panic" => panic!("two\nlines"),
        "panic in a thread" => drop(std::thread::spawn(|| panic!("no more")).join()),
        "status" => say(&mut std::io::stdout(), &status()),
        _ => {
            say(&mut std::io::stdout(), "alive");
            // Ends when standard input does, which the test never lets happen.
            let _ = std::io::stdin().read(&mut [0]);
        }
    }
}

/// Writes without the capturing of the test harness.
fn say(to: &mut impl Write, text: &str) {
    to.write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// What the kernel knows about this process.
fn status() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let (core, _) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    let oom = read("/proc/self/oom_score_adj");
    let all_files = soft == hard;
    format!("{}AllFiles: {all_files}\nCore: {core}\nOom: {oom}", read("/proc/thread-self/status"))
}

fn start(role: &str, parent: Pid) -> Child {
    Command::new("/proc/self/exe")
        .args(["--exact", "--nocapture"])
        .arg("supervisor::birth::tests::the_child_of_the_other_tests")
        .env(ROLE, role)
        .env(PARENT, parent.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child run to its end; returns how it ended and what it said.
fn run(role: &str, parent: Pid) -> (ExitStatus, String, String) {
    let output = start(role, parent).wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status, text(output.stdout), text(output.stderr))
}

/// Reads until `stop` says that it is enough; returns whether the stream has ended.
fn read_until(stdout: &mut ChildStdout, stop: impl Fn(&[u8]) -> bool) -> bool {
    let mut seen = Vec::new();
    while !stop(&seen) {
        wait_readable(stdout);
        let mut buf = [0; 512];
        match stdout.read(&mut buf).unwrap() {
            0 => return true,
            len => seen.extend(&buf[..len]),
        }
    }
    false
}

#[test]
fn a_child_of_another_parent_refuses_to_live() {
    let (status, _, stderr) = run("status", Pid::from_raw(1));
    assert_eq!(status.code(), Some(1));
    let expected = format!("the parent is process {}, not 1; ", getpid());
    assert!(stderr.contains(&expected), "{stderr}");
}

#[test]
fn a_panic_in_any_thread_is_one_line_and_exit_code_70() {
    for (role, message) in [("panic", "two lines"), ("panic in a thread", "no more")] {
        let (status, _, stderr) = run(role, getpid());
        assert_eq!(status.code(), Some(EXIT_PANIC), "{role}: {stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(
            matches!(lines[..], [line] if line.starts_with("panic at src/")
                && line.ends_with(message)),
            "{stderr}"
        );
    }
}

#[test]
fn a_child_has_the_dispositions_and_limits_of_a_role() {
    let (status, stdout, stderr) = run("status", getpid());
    assert!(status.success(), "{stderr}");
    let field = |name: &str| {
        let line = stdout.lines().find(|line| line.starts_with(name));
        let (_, value) = line.and_then(|line| line.split_once(':')).expect(name);
        value.trim().to_owned()
    };
    let ignored = u64::from_str_radix(&field("SigIgn"), 16).unwrap();
    for signal in IGNORED {
        let bit = 1 << (signal as i32 - 1);
        assert!(ignored & bit != 0, "{signal} is not ignored");
    }
    let term = 1 << (Signal::SIGTERM as i32 - 1);
    assert_eq!(ignored & term, 0, "SIGTERM must end a role");
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("AllFiles"), "true");
    assert_eq!(field("Core"), "0");
    assert_eq!(field("Oom"), OOM_SCORE_OF_USERS.to_string());
    assert_eq!(field("Name"), "postoffice-tui");
}

#[test]
fn a_child_dies_with_the_thread_that_spawned_it_even_when_it_is_stopped() {
    let spawning = || {
        let mut child = start("wait", getpid());
        let mut stdout = child.stdout.take().unwrap();
        let is_alive = |seen: &[u8]| seen.windows(5).any(|text| text == b"alive");
        assert!(!read_until(&mut stdout, is_alive), "it died too early");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, Signal::SIGSTOP).unwrap();
        (child, stdout)
    };
    // Its standard input stays open in `child`: only the end of the thread can end it.
    let (mut child, mut stdout) = std::thread::spawn(spawning).join().unwrap();
    let stdin = child.stdin.take();
    assert!(read_until(&mut stdout, |_| false));
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    drop(stdin);
}
