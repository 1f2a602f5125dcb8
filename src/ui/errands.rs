//! What a dashboard has done on other threads: whoever looks at it never waits for a disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use engine::clock::{Clock, SystemClock, WallTime, boot_id};
use engine::ids::TicketId;

use super::Msg;
use crate::app::conf::{self, Overwrite};
use crate::app::handle::Office;
use crate::app::ticket::{self, Names};

/// Looks for a ticket in the log and sends its story, or why there is none.
///
/// # Errors
/// If the system has no threads left.
pub(super) fn find_ticket(office: &Office, id: u64, news: Sender<Msg>) -> io::Result<()> {
    let state = office.snapshot();
    let search = move || {
        let names = Names::of(&state, (SystemClock.now(), WallTime::now()), boot_id());
        let found = ticket::find(Path::new(&state.run.data_dir), TicketId(id), &mut |_| {});
        let story = found
            .map_err(|error| error.to_string())
            .and_then(|found| ticket::story(TicketId(id), &found, &names));
        // A dashboard that has ended needs no word.
        let _ = news.send(Msg::Searched(id, story));
    };
    std::thread::Builder::new().name("search".to_owned()).spawn(search).map(drop)
}

/// Writes the scenario in effect to a file and tells how that went.
///
/// # Errors
/// If the system has no threads left.
pub(super) fn save_conf(
    office: &Office,
    path: PathBuf,
    overwrite: Overwrite,
    news: Sender<Msg>,
) -> io::Result<()> {
    let text = office.snapshot().conf_text.clone();
    let save = move || {
        let saved = conf::save(&text, &path, overwrite);
        // A dashboard that has ended needs no word.
        let _ = news.send(Msg::Saved(path, saved));
    };
    std::thread::Builder::new().name("save".to_owned()).spawn(save).map(drop)
}
