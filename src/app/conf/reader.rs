//! Reading a scenario again: from where it came, with the same options, beside the director.
//!
//! A file may be changed by an editor at this moment: one that writes in place empties it first,
//! one that renames takes it away for an instant. So it is taken only when it has stood still for
//! a little, and an empty one, which would be a valid scenario of defaults, is refused.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use engine::clock::{Clock, SystemClock, WallTime, sleep_until};
use engine::config::{self, Effective, Override};

use crate::app::commands::{self, ScenarioError};

/// How long a file must have stood still.
const SETTLED_AFTER: Duration = Duration::from_millis(50);
/// How often to look whether it does; then whoever writes it is taken to be at it for longer.
const LOOKS_MAX: u32 = 40;
/// How often to look for one that is not there.
const MISSING_LOOKS_MAX: u32 = 4;

/// Where a scenario came from: enough to read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    scenario: String,
    overrides: Vec<Override>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self::new(config::DEFAULT, Vec::new())
    }
}

/// Why a scenario was not read again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RereadError {
    #[error("{0} is built in: there is no file to read again; change keys live instead")]
    BuiltIn(String),
    #[error("{0} is no file that could be read again")]
    NoFile(String),
    #[error("{0} is being written; try again when that is done")]
    Unsettled(String),
    #[error("{0} is empty; that would be a scenario of defaults and is more likely a mistake")]
    Empty(String),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// What tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    inode: u64,
    bytes: u64,
    modified_ns: u64,
}

impl Mark {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        let (seconds, ns) = (metadata.mtime(), metadata.mtime_nsec());
        let modified_ns = i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        let modified_ns = u64::try_from(modified_ns).unwrap_or(0);
        Ok(Self { inode: metadata.ino(), bytes: metadata.len(), modified_ns })
    }

    /// Returns whether it was last changed a little while ago; a clock that went back is no
    /// reason to wait.
    fn is_old(self, now: WallTime) -> bool {
        now.0 < self.modified_ns || Duration::from_nanos(now.0 - self.modified_ns) >= SETTLED_AFTER
    }
}

impl Recipe {
    /// Returns the recipe of a scenario: a file or a built-in name, and the options beside it.
    pub(crate) fn new(scenario: &str, overrides: Vec<Override>) -> Self {
        Self { scenario: scenario.to_owned(), overrides }
    }

    /// Returns the file or name.
    pub(crate) fn name(&self) -> &str {
        &self.scenario
    }

    /// Reads the scenario as it is now.
    ///
    /// # Errors
    /// [`RereadError`]; mistakes are told as at the start.
    pub(crate) fn read_again(&self) -> Result<Effective, RereadError> {
        if config::is_built_in(&self.scenario) {
            return Err(RereadError::BuiltIn(self.scenario.clone()));
        }
        let path = Path::new(&self.scenario);
        // A pipe would be waited for without end.
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(RereadError::NoFile(self.scenario.clone()));
        }
        for look in 0..LOOKS_MAX {
            match Mark::of(path) {
                Ok(mark) if mark.is_old(WallTime::now()) => {
                    let read = commands::scenario(&self.scenario, &self.overrides);
                    if Mark::of(path).is_ok_and(|after| after == mark) {
                        return match mark.bytes {
                            0 => Err(RereadError::Empty(self.scenario.clone())),
                            _ => Ok(read?),
                        };
                    }
                }
                Ok(_) => {}
                Err(_) if look < MISSING_LOOKS_MAX => {}
                // This says why.
                Err(_) => return Ok(commands::scenario(&self.scenario, &self.overrides)?),
            }
            sleep_until(SystemClock.now() + SETTLED_AFTER);
        }
        Err(RereadError::Unsettled(self.scenario.clone()))
    }
}

/// Reads on a thread of its own, one reading at a time.
pub(crate) struct Reader {
    recipe: Arc<Recipe>,
    wake: Arc<dyn Fn() + Send + Sync>,
    sender: Sender<Result<Effective, RereadError>>,
    receiver: Receiver<Result<Effective, RereadError>>,
    is_reading: bool,
}

impl Reader {
    /// Returns a reader. `wake` is called when there is something for [`Self::next_read`].
    pub(crate) fn new(recipe: Recipe, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (sender, receiver) = channel();
        Self { recipe: Arc::new(recipe), wake, sender, receiver, is_reading: false }
    }

    /// Returns the file or name.
    pub(crate) fn name(&self) -> &str {
        self.recipe.name()
    }

    /// Begins to read.
    ///
    /// # Errors
    /// Why that can't be, in words.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        if self.is_reading {
            return Err(format!("{} is being read already", self.recipe.name()));
        }
        let (recipe, sender) = (Arc::clone(&self.recipe), self.sender.clone());
        let wake = Arc::clone(&self.wake);
        let started = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            // A director that has ended needs no scenario.
            let _ = sender.send(recipe.read_again());
            wake();
        });
        started.map_err(|error| format!("cannot start a thread to read with: {error}"))?;
        self.is_reading = true;
        Ok(())
    }

    /// Returns what was read, if there is something.
    pub(crate) fn next_read(&mut self) -> Option<Result<Effective, RereadError>> {
        let read = self.receiver.try_recv().ok()?;
        self.is_reading = false;
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(dir: &Path, text: &str) -> Recipe {
        let path = dir.join("office.ini");
        std::fs::write(&path, text).unwrap();
        Recipe::new(&path.display().to_string(), Vec::new())
    }

    #[test]
    fn a_file_is_read_as_it_is_now_and_mistakes_have_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = recipe(dir.path(), "[office]\nroom = 5");
        assert_eq!(recipe.read_again().unwrap().scenario.office.room, 5);
        std::fs::write(recipe.name(), "[office]\nromo = 5").unwrap();
        let error = recipe.read_again().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{}:2: office.romo: unknown key; did you mean office.room?", recipe.name())
        );
    }

    #[test]
    fn what_is_no_whole_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let recipe = recipe(dir.path(), "");
        assert!(matches!(recipe.read_again(), Err(RereadError::Empty(_))));
        std::fs::remove_file(recipe.name()).unwrap();
        let error = recipe.read_again().unwrap_err().to_string();
        assert!(error.contains("cannot read scenario"), "{error}");
        let directory = Recipe::new(&dir.path().display().to_string(), Vec::new()).read_again();
        assert!(matches!(directory, Err(RereadError::NoFile(_))), "{directory:?}");
        let built_in = Recipe::default().read_again();
        assert!(matches!(built_in, Err(RereadError::BuiltIn(_))), "{built_in:?}");
    }

    #[test]
    fn a_file_that_changes_is_waited_for() {
        let second = 1_000_000_000;
        let mark = Mark { inode: 1, bytes: 1, modified_ns: 5 * second };
        assert!(!mark.is_old(WallTime(5 * second + 1_000_000)));
        assert!(mark.is_old(WallTime(6 * second)));
        assert!(mark.is_old(WallTime(second)), "the clock went back");
    }
}
