//! Every fixed bound of the engine, and how the bounds relate.
//!
//! What a person may tune is a key of the scenario (`config/schema.rs`); what is here keeps the
//! parts from harming each other and is the same for everybody.

use std::time::Duration;

// --- scenario -------------------------------------------------------------------------------

/// The most `[load.*]` sections; a user id has 8 bits for them.
pub const LOADS_MAX: usize = 64;
/// The most `[service.*]` sections.
pub const SERVICES_MAX: usize = 64;
/// Goals of a scenario.
pub const GOALS_MAX: usize = 32;
/// The most worker processes.
pub const WORKERS_MAX: u16 = 1024;
/// The most tickets served at once over all workers.
pub const SEATS_MAX: u32 = 65_536;
/// The most simulated users over all loads.
pub const USERS_MAX: u32 = 1_000_000;
/// The most user processes.
pub const USER_PROCESSES_MAX: u16 = 10_000;
/// The most requests per second of an open load.
pub const RATE_MAX: f64 = 10_000_000.0;
/// The most tickets waiting and in service.
pub const ROOM_MAX: u32 = 10_000_000;
/// The largest scenario file.
pub const SCENARIO_BYTES_MAX: u64 = 256 * 1024;
/// The largest payload of one ticket: a record's value must hold it beside the ticket's fields.
pub const PAYLOAD_BYTES_MAX: u32 = 4096;

// --- net ------------------------------------------------------------------------------------

/// The largest payload of a frame between users, workers and issuer unless the scenario says
/// otherwise.
pub const FRAME_BYTES_MAX: u32 = 64 * 1024;
/// The largest payload of a frame on the control plane: it carries whole scenarios, histograms
/// and the list of users that a process hosts.
pub const CONTROL_FRAME_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Reading from a peer pauses above this many queued bytes...
pub const OUTBOX_BYTES_HIGH: u32 = 256 * 1024;
/// ...and resumes below this share of them.
pub const OUTBOX_LOW_DIVISOR: u32 = 4;
/// A peer whose outbox grows beyond this many bytes does not read what it asked for; it is
/// dropped.
pub const OUTBOX_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Bytes read from one connection in one turn of an event loop, so that none starves the rest.
pub const READ_BYTES_PER_TURN: usize = 256 * 1024;
/// Connections that have not said hello yet; more are closed at once.
pub const UNAUTHENTICATED_PEERS_MAX: usize = 128;
/// How long a peer may take to say hello.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(1);
/// The first delay before a lost connection to the issuer is tried again; it doubles...
pub const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(10);
/// ...up to this.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(250);

// --- supervision ----------------------------------------------------------------------------

/// How often a role reports that its event loop turns.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// Silence after which a role is shown as suspect.
pub const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// Silence after which a role is killed and replaced.
pub const HUNG_AFTER: Duration = Duration::from_secs(3);
/// How long a new process may take to say hello.
pub const SPAWN_HELLO_DEADLINE: Duration = Duration::from_secs(2);
/// How long a role may take from hello to ready; progress extends it.
pub const READY_DEADLINE: Duration = Duration::from_secs(5);
/// How long a role may take to end by itself once asked to.
pub const STOP_GRACE: Duration = Duration::from_secs(3);
/// How long a role may take to end after SIGTERM before it is killed.
pub const TERM_GRACE: Duration = Duration::from_secs(1);
/// A role that was ready for longer than this is restarted without delay.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);
/// The first restart delay of an unstable role; it doubles...
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// ...up to this.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Deaths are counted against a role's restart limit within this window.
pub const RESTART_WINDOW: Duration = Duration::from_secs(30);
/// Restarts of one slot within [`RESTART_WINDOW`] before it is given up.
pub const RESTARTS_PER_SLOT_MAX: u32 = 5;
/// Lateness of a supervisor's own loop above this is credited to all of its deadlines.
pub const LATENESS_CREDITED: Duration = Duration::from_millis(500);
/// User processes started in one turn of the users manager, so that it keeps answering.
pub const SPAWNS_PER_TURN: usize = 16;
/// Processes of one role started in a second once the burst is used up, so that a growing
/// population leaves the machine to those who serve it.
pub const SPAWNS_PER_SECOND: u32 = 500;
/// Processes of one role that may be started at once after a rest.
pub const SPAWN_BURST: u32 = 64;
/// Restarts within [`RESTART_WINDOW`] that each worker adds to what the whole pool may take
/// beyond [`RESTARTS_PER_SLOT_MAX`].
pub const POOL_RESTARTS_PER_SLOT: u32 = 2;
/// Last lines of a child's standard error that are kept for its obituary.
pub const STDERR_LINES_KEPT: usize = 20;
/// Longer lines of a child's standard error are cut after this many bytes.
pub const STDERR_LINE_BYTES_MAX: usize = 1024;
/// Bytes read from one child's standard error in one turn, so that a babbling child starves
/// nobody.
pub const STDERR_BYTES_PER_TURN: usize = 64 * 1024;
/// What a user process adds to its score with the kernel's out-of-memory killer (at most 1000),
/// so that load dies before the service.
pub const OOM_SCORE_OF_USERS: u16 = 500;

// --- interventions --------------------------------------------------------------------------

/// How late each round of handing out tickets may be made: less than what a silent issuer has,
/// though a slow one goes on with its heartbeats.
pub const ISSUER_DELAY_MAX: Duration = Duration::from_secs(1);
/// How long a process may be made to stand still. One that is silent for [`HUNG_AFTER`] is replaced
/// before.
pub const FREEZE_MAX: Duration = Duration::from_secs(10);
/// How long it stands still if nothing is said.
pub const FREEZE_USUAL: Duration = Duration::from_secs(2);
/// How far one step of a paused run may go...
pub const STEP_MAX: Duration = Duration::from_secs(60);
/// ...and how far it goes if nothing is said.
pub const STEP_USUAL: Duration = Duration::from_secs(1);
/// The shortest span of a freeze or a step.
pub const ACT_SPAN_MIN: Duration = Duration::from_millis(1);
/// The slowest that users may be made to live...
pub const SPEED_MIN: f64 = 0.1;
/// ...and the fastest.
pub const SPEED_MAX: f64 = 100.0;
/// How many times as fast as in the scenario a load's requests may come, speed and rate together;
/// and how many times as slow.
pub const TEMPO_FACTOR_MAX: u64 = 1_000_000;
/// Changes of one load's tempo that are known exactly; before those, one on average.
pub const TEMPO_PIECES_MAX: usize = 64;
/// How long before a change of tempo everybody is told of it, so that nobody is late.
pub const TEMPO_NOTICE: Duration = Duration::from_millis(100);

// --- the end of a run -----------------------------------------------------------------------

/// How long the doors stay closed for users that are still being started.
pub const GATHERING_MAX: Duration = Duration::from_secs(10);
/// How long before the end of arrivals everybody is told of it.
pub const END_NOTICE: Duration = Duration::from_millis(100);
/// How long a request that was sent before the end of arrivals may be under way.
pub const UNDER_WAY: Duration = Duration::from_millis(100);
/// How long user processes may take to end.
pub const USERS_STOP_GRACE: Duration = Duration::from_secs(2);
/// How long the users manager may take to end all of them and itself.
pub const USERS_LEAVE_WITHIN: Duration = Duration::from_secs(4);
/// How long workers may take to finish what they hold.
pub const WORKERS_LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// How long the issuer may take to finish its log.
pub const ISSUER_LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// How long everybody may take to end when a run is stopped at once.
pub const ABORT_GRACE: Duration = Duration::from_secs(1);
/// Arrivals of an open load that a user process deals with in one turn, so that it goes on with its
/// heartbeats when more are due than it can ask for.
pub const ARRIVALS_PER_TURN: usize = 10_000;
/// Requests of one user process that may wait for an answer; more are dropped and counted.
pub const ASKS_WAITING_MAX: usize = 1_000_000;

// --- log ------------------------------------------------------------------------------------

/// LMDB follows once a second if it is at least this far behind the log.
pub const CHECKPOINT_BYTES_MIN: u64 = 256 << 10;

// --- tickets --------------------------------------------------------------------------------

/// Ticket ids that one durable lease covers.
pub const LEASE_TICKETS: u64 = 1 << 20;
/// Finished tickets whose tokens the issuer remembers, so that a repeated request is answered
/// and not served twice.
pub const FINISHED_TOKENS_KEPT: usize = 65_536;

/// How long a new issuer waits for a dying predecessor to let go of the log...
pub const WRITER_LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// ...and how often it looks.
pub const WRITER_LOCK_RETRY: Duration = Duration::from_millis(10);
/// Memory that one `hash` ticket walks through: more than the caches of a core hold.
pub const HASH_MEMORY_BYTES: usize = 8 << 20;
/// The size at which a worker's scratch file is written from its beginning again.
pub const SCRATCH_BYTES_MAX: u64 = 64 << 20;

// --- the log --------------------------------------------------------------------------------

/// Unpacked blocks that each open packed segment keeps for the next read.
pub const UNPACKED_BLOCKS_KEPT: usize = 4;
/// Pages of an LMDB file that are read at once when they stand behind one another.
pub const LMDB_RUN_PAGES: usize = 16;

// --- observation ----------------------------------------------------------------------------

/// How often roles send telemetry and the director publishes a snapshot.
pub const TELEMETRY_INTERVAL: Duration = Duration::from_millis(250);
/// How often roles send histograms.
pub const LATENCIES_INTERVAL: Duration = Duration::from_secs(1);
/// Recorded values of one thread that may wait to be added up.
pub const RECORDINGS_WAITING_MAX: usize = 4096;
/// Log lines of one process that may wait to be sent.
pub const LOG_LINES_WAITING_MAX: usize = 256;
/// Pauses of one run.
pub const PAUSES_MAX: usize = 1024;
/// Samples of the dashboard's charts that are kept: five minutes.
pub const SERIES_SAMPLES_MAX: usize = 1200;
/// Draws of each user that the workload digest covers.
pub const DIGEST_DRAWS: u64 = 32;

const _: () = assert!(LATENCIES_INTERVAL.as_nanos().is_multiple_of(TELEMETRY_INTERVAL.as_nanos()));
// --- control and metrics --------------------------------------------------------------------

/// Connections to the control socket at a time; more are refused.
pub const CONTROL_CONNECTIONS_MAX: usize = 16;
/// So many of them may be dashboards that watch, so that requests still find their way.
pub const WATCHERS_MAX: usize = 10;
const _: () = assert!(WATCHERS_MAX < CONTROL_CONNECTIONS_MAX, "requests need room too");
/// The longest request.
pub const CONTROL_REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// How long a connection may be silent between requests.
pub const CONTROL_IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a request may take from its first byte to its last, and a reply to be read.
pub const CONTROL_LINE_WITHIN: Duration = Duration::from_secs(5);
/// How long what was asked for may take to be seen before the reply says that it is not.
pub const CONTROL_EFFECT_WITHIN: Duration = Duration::from_secs(5);
/// ...and how much longer for a process that is to end in order and to be started again.
pub const CONTROL_RESTART_MARGIN: Duration = Duration::from_secs(10);
/// How much longer whoever asks waits for a reply than that...
pub const CONTROL_PATIENCE: Duration = Duration::from_secs(5);
/// ...for an export, which reads the whole log...
pub const CONTROL_EXPORT_PATIENCE: Duration = Duration::from_secs(600);
/// ...and for the end of a run whose drain is over.
pub const CONTROL_STOP_MARGIN: Duration = Duration::from_secs(30);
/// The least and the longest time between two looks of somebody who watches an office...
pub const WATCH_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// ...
pub const WATCH_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// ...how long one may take to be read: whoever watches may have been stopped for a while...
pub const WATCH_LINE_WITHIN: Duration = Duration::from_secs(60);
/// ...and how long there may be none of an office that publishes nothing.
pub const WATCH_SILENT_MAX: Duration = Duration::from_secs(2);
/// How long the end of the program waits until whoever watches has been told of it.
pub const WATCH_END_WITHIN: Duration = Duration::from_millis(250);
/// The longest reply.
pub const CONTROL_REPLY_BYTES_MAX: u64 = 256 << 20;
/// Requests for metrics at a time; more are turned away.
pub const METRICS_CONNECTIONS_MAX: usize = 8;
/// The longest head of such a request.
pub const METRICS_REQUEST_BYTES_MAX: usize = 8 * 1024;
/// How long such a request may take to arrive.
pub const METRICS_REQUEST_WITHIN: Duration = Duration::from_secs(2);
/// How long its answer may take to be read.
pub const METRICS_ANSWER_WITHIN: Duration = Duration::from_secs(10);

// --- the machine ----------------------------------------------------------------------------

/// CPUs beyond which a list of them is not believed.
pub const CPUS_MAX: u32 = 65_536;
/// Files that a role has open beside its peers: at most 16 were seen.
pub const FILES_BESIDE_PEERS: u64 = 24;
/// Processes and threads of a run beside workers and user processes: director and dashboard 8,
/// issuer 5, users manager 2 were seen.
pub const TASKS_BESIDE_WORKERS_AND_USERS: u64 = 16;
/// Memory that a worker or a user process has for itself: about 1 MiB was seen.
pub const PROCESS_BYTES: u64 = 2 << 20;
/// Memory that director, issuer and users manager have together, beside index and queue: about
/// 40 MiB were seen.
pub const SERVICE_BYTES: u64 = 64 << 20;
/// What a queued ticket takes beside its payload.
pub const QUEUED_TICKET_BYTES: u64 = 256;
/// Address space of the issuer beside its index, at least: 64 MiB for the map of LMDB, and with 100
/// MiB in all it started.
pub const ISSUER_ADDRESS_BYTES: u64 = 112 << 20;
/// How far two looks at the CPUs' counters are apart.
pub const CPU_LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// The part of the CPUs' time given to other guests above which a run's figures show it.
pub const STEAL_SEEN: f64 = 0.05;
/// Memory is short when less than this part of it is available.
pub const MEMORY_SHORT_DIVISOR: u64 = 8;

const _: () = assert!(OUTBOX_LOW_DIVISOR > 1, "hysteresis needs a gap");
const _: () = assert!(PAYLOAD_BYTES_MAX < FRAME_BYTES_MAX / 2, "a request must fit a frame");
const _: () = assert!(HEARTBEAT_INTERVAL.as_millis() * 2 < SUSPECT_AFTER.as_millis());
const _: () = assert!(SUSPECT_AFTER.as_millis() < HUNG_AFTER.as_millis());
const _: () = assert!(HUNG_AFTER.as_millis() < FREEZE_MAX.as_millis(), "a hang can be shown");
const _: () = assert!(FREEZE_USUAL.as_millis() < HUNG_AFTER.as_millis(), "most freezes end well");
const _: () = assert!(TEMPO_PIECES_MAX > 2, "two pieces are folded into one before a third");
const _: () = assert!(SPAWNS_PER_SECOND > 0 && SPAWN_BURST > 0);
const _: () = assert!(BACKOFF_MIN.as_millis() < BACKOFF_MAX.as_millis());
const _: () = assert!(UNPACKED_BLOCKS_KEPT > 0, "small reads must not unpack a block each");
