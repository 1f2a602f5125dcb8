//! Counts allocations: in steady state a ticket costs an issuer and a worker none.
//!
//! Both roles run as they do in their processes, each with an event loop over real sockets and, for
//! the issuer, a real log; only they are threads of one process, so that the test's allocator can
//! tell whose allocation it was.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use engine::clock::{Clock, SystemClock, Time};
use engine::ids::{LoadId, RunId, ServiceId, UserId};
use engine::limits;
use engine::net::connection::Connection;
use engine::net::frame::Frame;
use engine::net::message::{
    Ask, Attach, Carry, Curbs, DirectorToIssuer, DirectorToWorker, IssuerConfig, IssuerToDirector,
    IssuerToUser, Join, PeerRole, Signal, UserToIssuer, WorkerConfig, WorkerToDirector,
};
use engine::net::wire::Message;
use engine::roles::event_loop::{Closed, EventLoop, Next, Refusal, Role};
use engine::roles::issuer::IssuerRole;
use engine::roles::links::{CONTROL_LIMITS, LinkId, Links};
use engine::roles::worker::WorkerRole;
use engine::timeline::Timeline;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is ending is not looked at any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System`, as all allocations are passed on to it.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: as above, and the caller's promises are those that `System` asks for.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// What is known of a role's thread.
#[derive(Default)]
struct Seen {
    allocations: AtomicU64,
    /// Turns of the event loop, and those in which something was allocated.
    turns: AtomicU64,
    allocating_turns: AtomicU64,
}

impl Seen {
    fn read(&self) -> [u64; 3] {
        [&self.allocations, &self.turns, &self.allocating_turns]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

/// A role that is watched.
struct Watched<R> {
    role: R,
    seen: Arc<Seen>,
}

impl<R: Role> Role for Watched<R> {
    fn frame(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        now: Time,
        links: &mut Links,
    ) -> Result<(), Refusal> {
        self.role.frame(link, frame, now, links)
    }

    fn accepted(&mut self, link: LinkId, now: Time, links: &mut Links) {
        self.role.accepted(link, now, links);
    }

    fn closed(&mut self, link: LinkId, reason: Closed, now: Time, links: &mut Links) {
        self.role.closed(link, reason, now, links);
    }

    /// What follows in the event loop's turn counts with the next.
    fn turn(&mut self, now: Time, links: &mut Links) -> Next {
        let next = self.role.turn(now, links);
        let allocations = ALLOCATIONS.get();
        let before = self.seen.allocations.swap(allocations, Ordering::Relaxed);
        self.seen.turns.fetch_add(1, Ordering::Relaxed);
        self.seen.allocating_turns.fetch_add(u64::from(allocations > before), Ordering::Relaxed);
        next
    }

    fn deadline(&self) -> Time {
        self.role.deadline()
    }
}

/// A role on a thread of its own, and its supervisor's end.
struct Running {
    control: Peer,
    seen: Arc<Seen>,
    thread: JoinHandle<u8>,
}

fn run<R: Role>(role: impl FnOnce(LinkId, &mut EventLoop) -> R + Send + 'static) -> Running {
    let (own, control) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    let seen = Arc::new(Seen::default());
    let watching = Arc::clone(&seen);
    let thread = std::thread::spawn(move || {
        let mut event_loop = EventLoop::new().unwrap();
        let stream = mio::net::UnixStream::from_std(own);
        let link = event_loop.links().adopt(stream, CONTROL_LIMITS);
        let role = role(link, &mut event_loop);
        event_loop.run(&mut Watched { role, seen: watching }).unwrap()
    });
    Running { control: Peer::new(control), seen, thread }
}

/// The other end of a role's connection.
struct Peer {
    stream: UnixStream,
    connection: Connection,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self { stream, connection: Connection::new(CONTROL_LIMITS) }
    }

    fn send<'m>(&mut self, message: &impl Message<'m>) {
        self.connection.send(message);
    }

    /// Sends what was queued and reads until `found` says that it has seen enough.
    fn talk(&mut self, mut found: impl FnMut(&Frame<'_>) -> bool) {
        let outbox = &mut self.connection.outbox;
        self.stream.write_all(outbox.pending()).unwrap();
        outbox.sent(outbox.pending().len());
        let mut is_done = false;
        while !is_done {
            let inbox = &mut self.connection.inbox;
            let bytes = self.stream.read(inbox.space()).unwrap();
            assert!(bytes > 0, "the role has ended");
            inbox.filled(bytes);
            while let Some(frame) = inbox.next_frame(CONTROL_LIMITS.payload_max).unwrap() {
                is_done |= found(&frame);
            }
        }
    }

    /// Has this end of a control connection read for ever, so that the role can always speak.
    fn drain(&self) {
        let mut stream = self.stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
    }
}

const SECRET: [u8; 16] = [7; 16];
const SCENARIO: &str = "[office]\nseats = 64\n[service.a]\ntime = 0s\n[load.l]\nusers = 64\n\
                        [storage]\nsegment = 1GiB\nretain = unlimited\nfsync = interval 50ms";

fn start_issuer(dir: &Path) -> Running {
    let mut issuer = run(|link, event_loop| {
        let waker = event_loop.waker();
        IssuerRole::new(link, waker, event_loop.links())
    });
    let config = IssuerConfig {
        scenario: SCENARIO.to_owned(),
        data_dir: dir.display().to_string(),
        socket: dir.join("issuer.sock").display().to_string(),
        secret: SECRET,
        run: RunId(1),
        timeline: Timeline { opened_at: Time(1), ..Timeline::default() },
        carry: Carry::default(),
        curbs: Curbs::default(),
    };
    issuer.control.send(&DirectorToIssuer::Configure(config));
    issuer.control.talk(|frame| {
        matches!(
            IssuerToDirector::decode(frame.kind, frame.payload),
            Ok(IssuerToDirector::Ready(_))
        )
    });
    issuer.control.drain();
    issuer
}

fn start_worker(dir: &Path) -> Running {
    let mut worker = run(|link, event_loop| {
        let waker = event_loop.waker();
        WorkerRole::new(0, link, waker, event_loop.links())
    });
    let config = WorkerConfig {
        scenario: SCENARIO.to_owned(),
        socket: dir.join("issuer.sock").display().to_string(),
        secret: SECRET,
        seats: 64,
        scratch_dir: dir.display().to_string(),
    };
    worker.control.send(&DirectorToWorker::Configure(config));
    worker.control.talk(|frame| {
        matches!(
            WorkerToDirector::decode(frame.kind, frame.payload),
            Ok(WorkerToDirector::Ready(_))
        )
    });
    worker.control.drain();
    worker
}

/// 64 users of one process, each with one request at a time.
struct Users {
    peer: Peer,
    next_seq: u64,
}

impl Users {
    const COUNT: u32 = 64;

    fn join(dir: &Path) -> Self {
        let stream = UnixStream::connect(dir.join("issuer.sock")).unwrap();
        let mut peer = Peer::new(stream);
        let join = Join { secret: SECRET, role: PeerRole::Users, number: 0, seats: 0 };
        peer.send(&UserToIssuer::Join(join));
        for index in 0..Self::COUNT {
            let user = UserId::new(LoadId(0), index);
            peer.send(&UserToIssuer::Attach(Attach { user }));
        }
        let mut attached = 0;
        peer.talk(|frame| {
            let word = IssuerToUser::decode(frame.kind, frame.payload);
            attached += u32::from(matches!(word, Ok(IssuerToUser::Attached(_))));
            attached == Self::COUNT
        });
        Self { peer, next_seq: 0 }
    }

    /// Every user asks and waits until its ticket was served, so many times.
    fn ask(&mut self, rounds: u64) {
        for _ in 0..rounds {
            let now = SystemClock.now();
            for index in 0..Self::COUNT {
                self.peer.send(&UserToIssuer::Ask(Ask {
                    user: UserId::new(LoadId(0), index),
                    seq: self.next_seq,
                    service: ServiceId(0),
                    demand_ns: 0,
                    scheduled: now,
                    submitted: now,
                    payload: &[b'.'; 64],
                }));
            }
            self.next_seq += 1;
            let mut done = 0;
            self.peer.talk(|frame| {
                let word = IssuerToUser::decode(frame.kind, frame.payload);
                done += u32::from(matches!(word, Ok(IssuerToUser::Done(_))));
                done == Self::COUNT
            });
        }
    }
}

#[test]
fn in_steady_state_a_ticket_allocates_nothing_in_issuer_and_worker() {
    const ROUNDS: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let mut issuer = start_issuer(dir.path());
    let worker = start_worker(dir.path());
    let mut users = Users::join(dir.path());
    // All tables have grown by then, that of finished requests too.
    users.ask(limits::FINISHED_TOKENS_KEPT as u64 / 64 * 2);
    let before = [issuer.seen.read(), worker.seen.read()];
    users.ask(ROUNDS);
    let after = [issuer.seen.read(), worker.seen.read()];
    let tickets = ROUNDS * u64::from(Users::COUNT);
    for (name, (after, before)) in
        ["issuer", "worker"].into_iter().zip(after.into_iter().zip(before))
    {
        let [allocations, turns, allocating] = [0, 1, 2].map(|index| after[index] - before[index]);
        let what = format!(
            "{name}: {allocations} allocations for {tickets} tickets, in {allocating} of {turns} turns"
        );
        println!("{what}");
        // Telemetry, four times a second, allocates; so does the index, once in 4096 ids.
        assert!(turns >= ROUNDS, "{what}");
        assert!(allocating * 20 < turns && allocations * 100 < tickets, "{what}");
    }
    issuer.control.send(&DirectorToIssuer::Stop(Signal { at: SystemClock.now() }));
    issuer.control.stream.write_all(issuer.control.connection.outbox.pending()).unwrap();
    assert_eq!(issuer.thread.join().unwrap(), 0);
    drop(worker.control);
}
