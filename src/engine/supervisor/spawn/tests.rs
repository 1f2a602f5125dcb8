//! Real processes, each a few lines of shell. All waiting is for an end of stream or a death.

use std::io::{Read, Write};

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpgid;

use super::*;
use crate::limits::STDERR_BYTES_PER_TURN;
use crate::supervisor::patience::wait_readable;
use crate::supervisor::stderr::Drained;

fn shell(script: &str) -> Spawned {
    Spawner::new("/bin/sh").launch(&["-c", script], Stderr::Keep).unwrap()
}

/// Reads what the process sends on the control connection until it ends.
fn read_to_end(control: &mut UnixStream) -> String {
    let mut text = String::new();
    control.set_nonblocking(false).unwrap();
    loop {
        wait_readable(control);
        let mut buf = [0; 1024];
        match control.read(&mut buf).unwrap() {
            0 => return text,
            len => text.push_str(std::str::from_utf8(&buf[..len]).unwrap()),
        }
    }
}

/// Waits for the process's end.
fn wait(spawned: &mut Spawned) -> Ending {
    read_to_end(&mut spawned.control);
    // The stream ends a moment before the process can be reaped; waiting without WNOHANG covers
    // that moment and leaves the dead for `reap`.
    waitid(Id::Pid(spawned.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    reap(spawned.pid).expect("the process is dead")
}

#[test]
fn a_child_talks_over_its_standard_input_and_ends_when_we_hang_up() {
    let mut child = shell("echo hello >&0; cat >&0; exit 3");
    child.control.set_nonblocking(false).unwrap();
    child.control.write_all(b"echo\n").unwrap();
    child.control.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut child.control), "hello\necho\n");
    assert_eq!(wait(&mut child), Ending::Code(3));
}

#[test]
fn our_end_of_the_control_connection_never_blocks() {
    let mut child = shell("exec cat");
    let error = child.control.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(reap(child.pid), None, "it lives");
    child.control.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(wait(&mut child), Ending::Code(0));
}

#[test]
fn a_death_is_the_end_of_the_stream_and_says_its_signal() {
    let mut child = shell("kill -9 $$");
    assert_eq!(wait(&mut child), Ending::Signal(9));
    assert_eq!(reap(child.pid), Some(Ending::Lost), "it is gone");
}

#[test]
fn a_child_leads_its_own_process_group() {
    let mut child = shell("exec cat");
    assert_eq!(getpgid(Some(child.pid)), Ok(child.pid));
    child.control.shutdown(std::net::Shutdown::Both).unwrap();
    wait(&mut child);
}

#[test]
fn the_command_line_tells_role_id_and_parent() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("role");
    std::fs::write(&script, "#!/bin/sh\necho \"$@\" >&0\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let spawner = Spawner::new(&script);
    let parent = std::process::id();
    for (id, expected) in [
        (Some(3), format!("worker --id 3 --parent {parent}\n")),
        (None, format!("worker --parent {parent}\n")),
    ] {
        let mut child = spawner.spawn("worker", id, Stderr::Keep).unwrap();
        assert_eq!(read_to_end(&mut child.control), expected);
        wait(&mut child);
    }
}

#[test]
fn a_child_sees_only_the_environment_that_is_on_the_list() {
    let mut child = shell("env >&0");
    let text = read_to_end(&mut child.control);
    wait(&mut child);
    for line in text.lines() {
        let (name, _) = line.split_once('=').unwrap();
        // The shell sets these itself.
        let is_the_shells = ["PWD", "SHLVL", "_", "OLDPWD"].contains(&name);
        assert!(is_the_shells || is_inherited(name.as_ref()), "{name}");
    }
    assert!(text.contains("PATH="));
}

#[test]
fn the_list_is_of_whole_names_and_of_prefixes() {
    for (name, expected) in [
        ("PATH", true),
        ("LC_ALL", true),
        ("XDG_RUNTIME_DIR", true),
        ("POSTOFFICE_FAIL", true),
        ("PATHS", false),
        ("LD_PRELOAD", false),
        ("AWS_SECRET", false),
        ("MY_LC_ALL", false),
    ] {
        assert_eq!(is_inherited(name.as_ref()), expected, "{name}");
    }
}

#[test]
fn the_last_lines_of_standard_error_survive_the_process() {
    let mut child = shell("echo one >&2; echo two >&2; exit 7");
    assert_eq!(wait(&mut child), Ending::Code(7));
    let mut stderr = child.stderr.take().unwrap();
    assert_eq!(stderr.drain(), Drained::Closed);
    let lines: Vec<&str> = stderr.tail().lines().collect();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(stderr.tail().last_line(), Some("two"));
}

#[test]
fn a_babbling_process_gets_its_share_of_a_turn_and_no_more() {
    // The pipe holds as much as one turn reads: it is full when the process has been asked.
    let script = "dd if=/dev/zero bs=65536 count=1 >&2 2>/dev/null; echo full >&0; exec cat";
    let mut child = shell(script);
    child.control.set_nonblocking(false).unwrap();
    let mut stderr = child.stderr.take().unwrap();
    wait_readable(&child.control);
    assert_eq!(STDERR_BYTES_PER_TURN, 65_536);
    assert_eq!(stderr.drain(), Drained::More);
    assert_eq!(stderr.drain(), Drained::Empty);
    child.control.shutdown(std::net::Shutdown::Both).unwrap();
    wait(&mut child);
    assert_eq!(stderr.drain(), Drained::Closed);
}

#[test]
fn a_shared_standard_error_costs_no_descriptor() {
    let mut child = Spawner::new("/bin/sh").launch(&["-c", "exit 0"], Stderr::Share).unwrap();
    assert!(child.stderr.is_none());
    wait(&mut child);
}

#[test]
fn a_program_that_is_not_there_is_named_in_the_error() {
    let error =
        Spawner::new("/nowhere/postoffice").spawn("worker", Some(2), Stderr::Keep).unwrap_err();
    assert_eq!(error.errno(), Errno::ENOENT);
    let text = error.to_string();
    assert!(text.starts_with("cannot start worker 2 from /nowhere/postoffice"), "{text}");
}

#[test]
fn refusals_are_sorted_by_what_a_person_can_do() {
    let spawner = Spawner::own_executable();
    for (errno, expected) in [
        (Errno::EMFILE, "ulimit -n"),
        (Errno::ENFILE, "ulimit -n"),
        (Errno::EAGAIN, "ulimit -u"),
        (Errno::ENOMEM, "out of memory"),
        (Errno::EACCES, "may be executed"),
    ] {
        let source = io::Error::from_raw_os_error(errno as i32);
        let error = spawner.explain(String::from("user 1"), &source);
        assert_eq!(error.errno(), errno);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn only_the_dead_among_ours_are_reaped_with_their_slots() {
    let mut first = shell("exit 5");
    let mut second = shell("exec cat");
    let mut third = shell("kill -9 $$");
    // A stranger that is dead and unreaped must neither be taken nor get in the way.
    let mut stranger = shell("exit 9");
    for child in [&mut first, &mut third, &mut stranger] {
        read_to_end(&mut child.control);
        let dead = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(child.pid), dead).unwrap();
    }
    let pids = BTreeMap::from([(first.pid, 10), (second.pid, 20), (third.pid, 30)]);
    let mut dead = reap_dead(&pids);
    dead.sort_by_key(|&(slot, ..)| slot);
    let expected = [(10, first.pid, Ending::Code(5)), (30, third.pid, Ending::Signal(9))];
    assert_eq!(dead, expected);
    assert_eq!(reap(stranger.pid), Some(Ending::Code(9)));
    kill(second.pid, Signal::SIGKILL).unwrap();
    assert_eq!(wait(&mut second), Ending::Signal(9));
}
