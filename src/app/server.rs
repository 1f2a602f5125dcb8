//! A small bounded server: one thread accepts, one more serves each connection, few at a time.
//!
//! Whoever connects can't harm the run: connections beyond the bound are turned away at once,
//! every connection reads and writes by a deadline, and nothing here is on the director's thread.
//! When a [`Server`] is dropped nobody is accepted any more and open connections are cut.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use engine::clock::{Clock, SystemClock, Time};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What both kinds of connections can do.
pub(crate) trait Stream: Read + Write + Send + Sized + 'static {
    fn duplicate(&self) -> io::Result<Self>;
    fn set_timeout(&self, span: Duration) -> io::Result<()>;
    fn cut(&self, how: Shutdown) -> io::Result<()>;
}

/// What both kinds of listeners can do.
pub(crate) trait Listener: AsFd + Send + 'static {
    type Stream: Stream;
    fn take(&self) -> io::Result<Self::Stream>;
    fn unblock(&self) -> io::Result<()>;
}

macro_rules! sockets {
    ($($listener:ty, $stream:ty;)+) => {$(
        impl Stream for $stream {
            fn duplicate(&self) -> io::Result<Self> {
                self.try_clone()
            }

            fn set_timeout(&self, span: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(span))?;
                self.set_write_timeout(Some(span))
            }

            fn cut(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }
        }

        impl Listener for $listener {
            type Stream = $stream;

            fn take(&self) -> io::Result<Self::Stream> {
                Ok(self.accept()?.0)
            }

            fn unblock(&self) -> io::Result<()> {
                self.set_nonblocking(true)
            }
        }
    )+};
}

sockets! {
    TcpListener, TcpStream;
    UnixListener, UnixStream;
}

/// A connection whose reads and writes fail with `TimedOut` from a moment on.
#[derive(Debug)]
pub(crate) struct Timed<'a, S> {
    stream: &'a mut S,
    /// That moment.
    pub(crate) until: Time,
}

impl<'a, S: Stream> Timed<'a, S> {
    /// Returns a connection that can be used until then.
    pub(crate) fn new(stream: &'a mut S, until: Time) -> Self {
        Self { stream, until }
    }

    /// Runs a call again as long as signals interrupt it and there is time.
    fn call<T>(&mut self, mut call: impl FnMut(&mut S) -> io::Result<T>) -> io::Result<T> {
        loop {
            let left = self.until.since(SystemClock.now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // The kernel takes less than a microsecond for "without end".
            self.stream.set_timeout(left.max(Duration::from_micros(1)))?;
            match call(self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}

impl<S: Stream> Read for Timed<'_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.call(|stream| stream.read(buf))
    }
}

impl<S: Stream> Write for Timed<'_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.call(|stream| stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a server does with connections.
pub(crate) trait Serve<S>: Send + Sync + 'static {
    /// Serves one connection to its end, on a thread of its own.
    fn serve(&self, stream: &mut S);

    /// Tells one too many to come later; must not block.
    fn turn_away(&self, stream: &mut S);
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server<S: Stream> {
    /// Its other end sees when this one is dropped.
    stop: Option<UnixStream>,
    acceptor: Option<JoinHandle<()>>,
    open: Arc<Open<S>>,
}

/// The connections that are being served.
#[derive(Debug)]
struct Open<S>(Mutex<BTreeMap<u64, S>>);

/// Starts to accept connections, serving at most `most` at a time.
///
/// # Errors
/// If the system has no descriptors or threads left.
pub(crate) fn start<L: Listener>(
    name: &'static str,
    listener: L,
    most: usize,
    serve: impl Serve<L::Stream>,
) -> io::Result<Server<L::Stream>> {
    listener.unblock()?;
    let (stop, stopped) = UnixStream::pair()?;
    let open = Arc::new(Open(Mutex::default()));
    let acceptor = Acceptor { name, listener, stopped, most, serve: Arc::new(serve) };
    let own = Arc::clone(&open);
    let acceptor = Builder::new().name(name.to_owned()).spawn(move || acceptor.run(&own))?;
    Ok(Server { stop: Some(stop), acceptor: Some(acceptor), open })
}

impl<S: Stream> Drop for Server<S> {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(acceptor) = self.acceptor.take() {
            // One that panicked accepts nobody either.
            let _ = acceptor.join();
        }
        for stream in self.open.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // One that its peer has closed needs no end.
            let _ = stream.cut(Shutdown::Both);
        }
    }
}

struct Acceptor<L, H> {
    name: &'static str,
    listener: L,
    stopped: UnixStream,
    most: usize,
    serve: Arc<H>,
}

impl<L: Listener, H: Serve<L::Stream>> Acceptor<L, H> {
    fn run(&self, open: &Arc<Open<L::Stream>>) {
        let mut number = 0;
        let mut has_failed = false;
        while self.wait(!has_failed) {
            match self.listener.take() {
                Ok(stream) => {
                    has_failed = false;
                    number += 1;
                    self.admit(stream, number, open);
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    if !has_failed {
                        log::warn!(target: self.name, "cannot accept connections: {error}");
                    }
                    has_failed = true;
                }
            }
        }
    }

    /// Waits for a connection, or for a moment if none can be had now; returns whether the server
    /// goes on.
    fn wait(&self, can_accept: bool) -> bool {
        let mut fds = vec![PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN)];
        let timeout = if can_accept {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
            PollTimeout::NONE
        } else {
            PollTimeout::from(100_u8)
        };
        match poll(&mut fds, timeout) {
            Ok(_) => !fds[0].any().unwrap_or(true),
            Err(Errno::EINTR) => true,
            Err(error) => {
                log::warn!(target: self.name, "cannot wait for connections: {error}");
                false
            }
        }
    }

    fn admit(&self, mut stream: L::Stream, number: u64, open: &Arc<Open<L::Stream>>) {
        let mut streams = open.0.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = match stream.duplicate() {
            Ok(copy) if streams.len() < self.most => copy,
            _ => {
                drop(streams);
                self.serve.turn_away(&mut stream);
                return;
            }
        };
        streams.insert(number, copy);
        drop(streams);
        let (serve, leave) = (Arc::clone(&self.serve), Leave(Arc::clone(open), number));
        let thread = Builder::new().name(format!("{} {number}", self.name));
        let spawned = thread.spawn(move || {
            let _leave = leave;
            serve.serve(&mut stream);
        });
        if let Err(error) = spawned {
            log::warn!(target: self.name, "cannot serve a connection: {error}");
        }
    }
}

/// Returns whether the next connection may well be accepted.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

/// Takes a connection off the list however its thread ends.
struct Leave<S: Stream>(Arc<Open<S>>, u64);

impl<S: Stream> Drop for Leave<S> {
    fn drop(&mut self) {
        let Self(open, number) = self;
        open.0.lock().unwrap_or_else(PoisonError::into_inner).remove(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each byte, and says `!` to one too many.
    struct Echo;

    impl<S: Stream> Serve<S> for Echo {
        fn serve(&self, stream: &mut S) {
            let mut byte = [0];
            let mut timed = Timed::new(stream, Time::NEVER);
            while timed.read(&mut byte).is_ok_and(|len| len > 0) {
                if timed.write_all(&byte).is_err() {
                    break;
                }
            }
        }

        fn turn_away(&self, stream: &mut S) {
            let _ = stream.write_all(b"!");
        }
    }

    fn read(mut stream: &UnixStream) -> Option<u8> {
        let mut byte = [0];
        (stream.read(&mut byte).unwrap() > 0).then_some(byte[0])
    }

    fn speak(mut stream: &UnixStream) -> Option<u8> {
        stream.write_all(b"a").unwrap();
        read(stream)
    }

    #[test]
    fn one_too_many_is_turned_away_until_another_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let server = start("echo", UnixListener::bind(&path).unwrap(), 2, Echo).unwrap();
        let connect = || UnixStream::connect(&path).unwrap();
        let (first, second) = (connect(), connect());
        assert_eq!((speak(&first), speak(&second)), (Some(b'a'), Some(b'a')));
        assert_eq!(read(&connect()), Some(b'!'));
        drop(first);
        // It may take a moment until the first one's thread has seen that it is gone.
        let echoed = || {
            let mut third = connect();
            // One that is turned away may be closed already.
            let _ = third.write_all(b"b");
            read(&third)
        };
        while echoed() != Some(b'b') {}
        drop(server);
        assert_eq!(read(&second), None, "open connections are cut");
        assert!(UnixStream::connect(&path).is_err());
    }

    #[test]
    fn nothing_is_read_after_the_deadline() {
        let (mut own, _peer) = UnixStream::pair().unwrap();
        let until = SystemClock.now() + Duration::from_millis(3);
        let error = Timed::new(&mut own, until).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(SystemClock.now() >= until);
    }
}
