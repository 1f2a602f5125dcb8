//! The floor of a ticket's path: the same processes and hops as an office's, and nothing else.
//!
//! A relay starts the processes that ask and those that answer, each with its end of a socketpair
//! as standard input, and carries frames between them: all that one look at the sockets brings is
//! passed on with one write to each peer, as the issuer does. With a log it writes a record for
//! each question and each answer, once a turn, and syncs before anybody who asked is told; those
//! who answer get theirs before the sync, as an office's workers do. No ids, no tokens, no queue,
//! no statistics, no supervision.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use engine::supervisor::Pid;
use engine::supervisor::birth::{Rank, become_child};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exchange::{
    ACCEPTED, ANSWER_BYTES, ASK_BYTES, Answered, Asking, DONE, Frames, KIND_AT, PEER_AT, answer,
    ask, put_answer,
};

/// The hidden argument that makes the executable a part of a floor.
pub(crate) const ARGUMENT: &str = "bench-part";
/// Bytes of the relay's log, which is written over and over.
pub(super) const LOG_BYTES: u64 = 64 << 20;
/// Bytes that are written for a question and for an answer: what an office writes on average.
const RECORD_BYTES: usize = 100;
/// The border on which a write begins when the one before was synced.
const ALIGN: u64 = 4096;

/// What a part of a floor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Says a byte and ends.
    Hello,
    /// Asks.
    Ask(Asking),
    /// Answers.
    Answer,
    /// Stands between those who ask and those who answer.
    Relay(Relay),
}

/// A floor of the ticket path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relay {
    /// Processes that ask, each with as many slots.
    pub(super) askers: u8,
    /// Processes that answer.
    pub(super) answerers: u8,
    pub(super) asking: Asking,
    /// A file of [`LOG_BYTES`] zeros to write and sync.
    pub(super) log: Option<PathBuf>,
}

impl Part {
    /// Returns the command that is this part.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("postoffice-tui").args([ARGUMENT, &std::process::id().to_string()]);
        match self {
            Self::Hello => drop(command.arg("hello")),
            Self::Answer => drop(command.arg("answer")),
            Self::Ask(asking) => drop(command.arg("ask").args(asking.to_args())),
            Self::Relay(relay) => {
                let peers = [relay.askers.to_string(), relay.answerers.to_string()];
                command.arg("relay").args(relay.asking.to_args()).args(peers);
                command.args(&relay.log);
            }
        }
        command
    }

    /// Reads what [`Self::command`] wrote, behind the parent's id.
    fn from_args(args: &[String]) -> Option<Self> {
        match args.split_first()? {
            (name, []) if name == "hello" => Some(Self::Hello),
            (name, []) if name == "answer" => Some(Self::Answer),
            (name, rest) if name == "ask" => Asking::from_args(rest).map(Self::Ask),
            (name, rest) if name == "relay" => {
                let (asking, rest) = rest.split_at_checked(3)?;
                Some(Self::Relay(Relay {
                    asking: Asking::from_args(asking)?,
                    askers: rest.first()?.parse().ok()?,
                    answerers: rest.get(1)?.parse().ok()?,
                    log: rest.get(2).map(PathBuf::from),
                }))
            }
            _ => None,
        }
    }
}

impl Asking {
    fn to_args(self) -> [String; 3] {
        let ns = |span| engine::clock::nanos(span).to_string();
        [self.slots.to_string(), ns(self.warmup), ns(self.window)]
    }

    fn from_args(args: &[String]) -> Option<Self> {
        let [slots, warmup, window] = args else { return None };
        let span = |text: &String| text.parse().ok().map(Duration::from_nanos);
        Some(Self { slots: slots.parse().ok()?, warmup: span(warmup)?, window: span(window)? })
    }
}

/// Runs a part of a floor in this process, with the arguments behind [`ARGUMENT`].
pub(crate) fn run_part(args: &[String]) -> ExitCode {
    let parent = args.first().and_then(|parent| parent.parse().ok()).map(Pid::from_raw);
    let part = Part::from_args(args.get(1..).unwrap_or_default());
    let (Some(parent), Some(part)) = (parent, part) else {
        eprintln!("this command is started by postoffice-tui itself");
        return ExitCode::from(2);
    };
    let ended = become_child(parent, Rank::Core)
        .map_err(|error| io::Error::other(error.to_string()))
        .and_then(|()| play(&part));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("a part of the floor failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(part: &Part) -> io::Result<()> {
    match part {
        Part::Hello => io::stdout().write_all(b"h"),
        Part::Answer => answer(&mut stdin_socket()?),
        Part::Ask(asking) => {
            let answered = ask(&mut stdin_socket()?, *asking)?;
            io::stdout().write_all(&answered.to_bytes())
        }
        Part::Relay(relay) => {
            let answered = relay.run()?;
            io::stdout().write_all(&answered.to_bytes())
        }
    }
}

fn stdin_socket() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// A process at the other end of a socket.
struct Peer<const N: usize> {
    child: Child,
    stream: UnixStream,
    frames: Frames<N>,
    out: Vec<u8>,
    is_there: bool,
}

impl<const N: usize> Peer<N> {
    fn start(part: &Part, stdout: Stdio) -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        let child = part.command().stdin(OwnedFd::from(theirs)).stdout(stdout).spawn()?;
        Ok(Self { child, stream, frames: Frames::new(), out: Vec::new(), is_there: true })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

impl Relay {
    fn run(&self) -> io::Result<Answered> {
        let mut log = self.log.as_deref().map(RelayLog::open).transpose()?;
        let answerers = (0..self.answerers).map(|_| Peer::start(&Part::Answer, Stdio::null()));
        let mut answerers = answerers.collect::<io::Result<Vec<Peer<ANSWER_BYTES>>>>()?;
        let part = Part::Ask(self.asking);
        let askers = (0..self.askers).map(|_| Peer::start(&part, Stdio::piped()));
        let mut askers = askers.collect::<io::Result<Vec<Peer<ASK_BYTES>>>>()?;
        let mut next = 0;
        while askers.iter().any(|asker| asker.is_there) {
            turn(&mut askers, &mut answerers, &mut next, log.as_mut())?;
        }
        let mut all = Answered::default();
        for asker in &mut askers {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = asker.child.stdout.take() {
                pipe.read_to_end(&mut bytes)?;
            }
            let answered = Answered::from_bytes(&bytes);
            all.merge(&answered.ok_or(io::ErrorKind::InvalidData)?);
            asker.child.wait()?;
        }
        for answerer in answerers {
            let Peer { mut child, stream, .. } = answerer;
            drop(stream);
            child.wait()?;
        }
        Ok(all)
    }
}

/// Waits until something comes and passes it on.
fn turn(
    askers: &mut [Peer<ASK_BYTES>],
    answerers: &mut [Peer<ANSWER_BYTES>],
    next: &mut usize,
    mut log: Option<&mut RelayLog>,
) -> io::Result<()> {
    let (asked, answered) = wait(askers, answerers)?;
    for (peer, asker) in (0_u8..).zip(&mut *askers).filter(|(peer, _)| asked[usize::from(*peer)]) {
        let out = &mut asker.out;
        asker.is_there = asker.frames.read(&mut asker.stream, |ask| {
            let answerer = &mut answerers[*next % answerers.len()];
            *next += 1;
            let start = answerer.out.len();
            answerer.out.extend_from_slice(ask);
            answerer.out[start + PEER_AT] = peer;
            put_answer(out, ask, ACCEPTED);
            log.iter_mut().for_each(|log| log.append());
        })?;
    }
    for (answerer, _) in answerers.iter_mut().zip(answered).filter(|(_, is_ready)| *is_ready) {
        let is_there = answerer.frames.read(&mut answerer.stream, |answer| {
            let asker = &mut askers[usize::from(answer[PEER_AT])];
            asker.out.extend_from_slice(answer);
            debug_assert_eq!(answer[KIND_AT], DONE);
            log.iter_mut().for_each(|log| log.append());
        })?;
        if !is_there {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    answerers.iter_mut().try_for_each(Peer::flush)?;
    log.map_or(Ok(()), RelayLog::commit)?;
    askers.iter_mut().filter(|asker| asker.is_there).try_for_each(Peer::flush)
}

/// Returns who can be read, in order, once anybody can.
fn wait(
    askers: &[Peer<ASK_BYTES>],
    answerers: &[Peer<ANSWER_BYTES>],
) -> io::Result<(Vec<bool>, Vec<bool>)> {
    let watched = |stream, is_there: bool| {
        let flags = if is_there { PollFlags::POLLIN } else { PollFlags::empty() };
        PollFd::new(stream, flags)
    };
    let mut fds: Vec<PollFd<'_>> = askers
        .iter()
        .map(|asker| watched(asker.stream.as_fd(), asker.is_there))
        .chain(answerers.iter().map(|answerer| watched(answerer.stream.as_fd(), true)))
        .collect();
    poll(&mut fds, PollTimeout::NONE)?;
    let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
    let asked =
        askers.iter().map(|asker| ready.next().unwrap_or(false) && asker.is_there).collect();
    Ok((asked, ready.collect()))
}

/// The relay's log: a file of zeros that is written round and round.
struct RelayLog {
    file: File,
    buf: Vec<u8>,
    offset: u64,
}

impl RelayLog {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        Ok(Self { file, buf: Vec::new(), offset: 0 })
    }

    fn append(&mut self) {
        self.buf.resize(self.buf.len() + RECORD_BYTES, 0x5a);
    }

    fn commit(&mut self) -> io::Result<()> {
        if self.buf.is_empty() {
            return Ok(());
        }
        if self.offset + self.buf.len() as u64 > LOG_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(&self.buf, self.offset)?;
        self.file.sync_data()?;
        self.offset = (self.offset + self.buf.len() as u64).next_multiple_of(ALIGN);
        self.buf.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_its_command_says() {
        let asking =
            Asking { slots: 64, warmup: Duration::from_millis(3), window: Duration::from_secs(1) };
        let relay = Relay { askers: 2, answerers: 3, asking, log: Some("/x/y z".into()) };
        let unlogged = Relay { log: None, ..relay.clone() };
        for part in [
            Part::Hello,
            Part::Answer,
            Part::Ask(asking),
            Part::Relay(relay),
            Part::Relay(unlogged),
        ] {
            let command = part.command();
            let args: Vec<String> =
                command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
            assert_eq!(args[0], ARGUMENT);
            assert_eq!(Part::from_args(&args[2..]), Some(part));
        }
        assert_eq!(Part::from_args(&["ask".to_owned(), "64".to_owned()]), None);
        assert_eq!(Part::from_args(&["nobody".to_owned()]), None);
    }

    #[test]
    fn a_log_is_written_round_and_round() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        File::create(&path).unwrap();
        let mut log = RelayLog::open(&path).unwrap();
        log.commit().unwrap();
        assert_eq!(log.offset, 0, "nothing was appended");
        log.append();
        log.commit().unwrap();
        assert_eq!((log.offset, std::fs::metadata(&path).unwrap().len()), (4096, 100));
        log.offset = LOG_BYTES;
        log.append();
        log.commit().unwrap();
        assert_eq!(log.offset, 4096);
    }
}
