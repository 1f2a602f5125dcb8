//! The ways into a running office from outside: control socket, registry, metrics.
//!
//! None of them is needed for the run: what can't be opened is told, and the run goes on.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use engine::config::Scenario;
use engine::limits;

use super::control::watch::Watchers;
use super::control::{self, Facts};
use super::datadir::DataDir;
use super::export::Exporter;
use super::handle::Office;
use super::metrics_server::{self, MetricsServer};
use super::registry::{self, Instance, Registration};
use super::server::Server;
use super::state::{Severity, Source};

/// The open ways in. Dropping them cuts whoever is connected.
#[derive(Debug)]
pub(crate) struct Doors {
    metrics: Option<MetricsServer>,
    control: Option<Server<UnixStream>>,
    socket: PathBuf,
    watchers: Watchers,
    registration: Option<Registration>,
}

/// Something that people should know from the start.
pub(crate) type News = (Severity, String);

/// Opens what can be opened, and says what can't and what to mind.
pub(crate) fn open(
    data: &DataDir,
    office: &Office,
    exporter: &Exporter,
    scenario: &Scenario,
) -> (Doors, Vec<News>) {
    let mut news = Vec::new();
    let metrics = scenario.metrics.listen.and_then(|address| {
        let server = metrics_server::start(address, office.clone());
        server.map_err(|error| news.push((Severity::Warning, error.to_string()))).ok()
    });
    if let Some(MetricsServer { address, .. }) = &metrics {
        news.push((Severity::Info, format!("metrics are at http://{address}/metrics")));
        if !address.ip().is_loopback() {
            let text = format!("whoever reaches {address} can read this run's metrics");
            news.push((Severity::Warning, text));
        }
    }
    let socket = data.control_socket();
    let watchers = Watchers::default();
    let address = metrics.as_ref().map(|metrics| metrics.address);
    let facts = Facts { metrics: address, watchers: watchers.clone() };
    let control = control::start(&socket, office.of(Source::Ctl), exporter.clone(), facts);
    let control = control.map_err(|error| {
        let text = format!("ctl and sample can not reach this run: {error}; it goes on without");
        news.push((Severity::Warning, text));
    });
    let state = office.snapshot();
    let instance = Instance {
        pid: Some(std::process::id()),
        data_dir: data.path().to_owned(),
        socket: socket.clone(),
        scenario: state.run.scenario.clone(),
        run: state.run.id_text(),
    };
    let registration = control.as_ref().ok().and_then(|_| {
        let registered = registry::register(&registry::directory(), &instance);
        let unlisted = |error: super::datadir::DataDirError| {
            let text =
                format!("ctl and sample find this run only with --data-dir: {}", error.fact());
            news.push((Severity::Warning, text));
        };
        registered.map_err(unlisted).ok()
    });
    for (severity, text) in &news {
        match severity {
            Severity::Info => log::info!(target: "doors", "{text}"),
            Severity::Warning | Severity::Error => log::warn!(target: "doors", "{text}"),
        }
    }
    (Doors { metrics, control: control.ok(), socket, watchers, registration }, news)
}

impl Doors {
    /// Returns where metrics are served, as people type it.
    pub(crate) fn metrics_url(&self) -> Option<String> {
        self.metrics.as_ref().map(|metrics| format!("http://{}/metrics", metrics.address))
    }

    /// Takes the signs down, so that nobody comes any more; the data directory must still be
    /// locked, as the next run puts up its own. Who is inside stays until this is dropped.
    pub(crate) fn close(&mut self) {
        drop(self.registration.take());
        if self.control.is_some() {
            // A socket's file that stays is replaced by the next run.
            let _ = std::fs::remove_file(&self.socket);
        }
        self.watchers.wait(limits::WATCH_END_WITHIN);
    }
}
