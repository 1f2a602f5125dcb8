//! The dashboard on an office that is not its own: one that another process runs, or one of which
//! only the log is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use color_eyre::eyre::Result;
use engine::supervisor::signals::{self, Listen, Signal};
use log::LevelFilter;

use super::{Mailbox, Stage, crash, is_terminal, perform};
use crate::app::cli::{AttachArgs, ReplayArgs};
use crate::app::exit::Exit;
use crate::app::export::Exporter;
use crate::app::view_args::ViewArgs;
use crate::app::viewer::Viewer;
use crate::app::{attach, commands, logging, output, registry, replay};

/// Shows an office that another process runs.
///
/// # Errors
/// If it does not answer, or the terminal can't be used.
pub(crate) fn attach(args: &AttachArgs) -> Result<Exit> {
    let instance = match registry::find(args.data_dir.as_deref()) {
        Ok(instance) => instance,
        Err(error) => return Ok(commands::usage(&error)),
    };
    if !has_terminal(&args.view, "ctl and sample need none") {
        return Ok(Exit::Usage);
    }
    logging::start(logging::Screen::Panel, LevelFilter::Info, None)?;
    let may_act = args.control && !args.view.read_only;
    show(&attach::attach(&instance, may_act)?, &args.view)
}

/// Shows what a log holds, or prints it.
///
/// # Errors
/// If the log can't be read, or the terminal can't be used.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Exit> {
    let wish = replay::Wish { dir: args.dir.clone(), run: args.run, at: args.at };
    if args.json {
        return match replay::print(&wish)? {
            Ok(json) => {
                output::say(&format!("{json}\n"));
                Ok(Exit::Done)
            }
            Err(error) => Ok(commands::usage(&error)),
        };
    }
    if let Err(error) = replay::check(&wish) {
        return Ok(commands::usage(&error));
    }
    if !has_terminal(&args.view, "print figures with --json") {
        return Ok(Exit::Usage);
    }
    logging::start(logging::Screen::Panel, LevelFilter::Info, None)?;
    let viewer = replay::replay(wish)?;
    let shown = show(&viewer, &args.view)?;
    // What kept the log from being read was on the screen, and is told again where it stays.
    viewer.finish().map(|()| shown)
}

fn has_terminal(view: &ViewArgs, instead: &str) -> bool {
    let is_enough = view.plain || is_terminal();
    if !is_enough {
        eprintln!("there is no terminal here; {instead}, or print lines with --plain");
    }
    is_enough
}

/// Shows an office until a person quits or a signal comes.
fn show(viewer: &Viewer, view: &ViewArgs) -> Result<Exit> {
    let mailbox = Mailbox::new();
    let (tell, ended_by) = (mailbox.on_signal(), Arc::new(AtomicI32::new(0)));
    let number_of = Arc::clone(&ended_by);
    let _signals = signals::listen(Listen::All, move |signal| {
        if let Signal::Terminate { number } = signal {
            number_of.store(number, Ordering::Relaxed);
        }
        tell(signal);
    })?;
    let stage = Stage {
        office: viewer.office(),
        exporter: &Exporter::of(&viewer.office().snapshot()),
        has_ended: &|| viewer.has_ended(),
        ends_with_run: false,
        view,
    };
    let shown = perform(&stage, mailbox);
    if crash::has_panicked() {
        return Ok(Exit::Panic);
    }
    match shown {
        Ok(shown) => shown?,
        Err(_) => return Ok(Exit::Panic),
    }
    stage.exporter.wait();
    Ok(match ended_by.load(Ordering::Relaxed) {
        0 => Exit::Done,
        number => Exit::Signal(number),
    })
}
