//! Scenario files: text to a typed, validated [`Scenario`].

use std::io;
use std::path::{Path, PathBuf};

mod check;
pub mod diff;
mod effective;
pub mod goal;
pub mod parse;
pub mod scenario;
pub mod schema;
mod value;

pub use diff::diff;
pub use effective::{Effective, Row};
pub use parse::{Assignment, ConfigErrors, Origin, Override, OverrideKey, Source, parse};
pub use scenario::Scenario;
pub use value::{per_second, span};

use crate::limits;

/// The scenario that runs when nobody names one.
pub const DEFAULT: &str = "default";

/// The scenarios that are part of the program: name and text.
const EMBEDDED: [(&str, &str); 5] = [
    (DEFAULT, include_str!("../../../assets/scenarios/default.ini")),
    ("steady", include_str!("../../../assets/scenarios/steady.ini")),
    ("rush-hour", include_str!("../../../assets/scenarios/rush-hour.ini")),
    ("overload", include_str!("../../../assets/scenarios/overload.ini")),
    ("durable", include_str!("../../../assets/scenarios/durable.ini")),
];

/// Why a scenario can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is neither a file nor the name of a built-in one.
    #[error("there is no scenario {name}{hint}; see postoffice-tui scenario list")]
    Missing {
        /// What was asked for.
        name: String,
        /// The nearest built-in name, as half a sentence.
        hint: String,
    },
    /// The file can't be read.
    #[error("cannot read scenario {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large to be one.
    #[error("{} has more than {} bytes; that is no scenario", path.display(), limits::SCENARIO_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Returns the built-in scenarios: name, and what they are, from their first line.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    EMBEDDED.iter().map(|(name, text)| {
        let first = text.lines().next().unwrap_or_default();
        (*name, first.trim_start_matches([';', '#']).trim())
    })
}

/// Returns whether [`load`] takes a name for that of a built-in scenario.
pub fn is_built_in(name: &str) -> bool {
    EMBEDDED.iter().any(|(known, _)| *known == name)
}

/// Returns a scenario file, or a built-in one by its name.
///
/// # Errors
/// [`LoadError`] if there is neither, or the file can't be read.
pub fn load(name: &str) -> Result<Source, LoadError> {
    let looks_like_path = name.contains('/') || Path::new(name).extension().is_some();
    match EMBEDDED.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Ok(Source {
            name: format!("{name}.ini"),
            title: (*name).to_owned(),
            text: (*text).to_owned(),
        }),
        _ => load_file(Path::new(name), looks_like_path),
    }
}

fn load_file(path: &Path, looks_like_path: bool) -> Result<Source, LoadError> {
    let failed = |source| LoadError::Io { path: path.to_owned(), source };
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !looks_like_path => {
            let name = path.display().to_string();
            let near = parse::nearest(&name, EMBEDDED.iter().map(|(name, _)| *name));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(LoadError::Missing { name, hint });
        }
        metadata => metadata.map_err(failed)?,
    };
    if metadata.len() > limits::SCENARIO_BYTES_MAX {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let title =
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok(Source { name: path.display().to_string(), title, text })
}

/// Reads the text that [`Effective::to_ini`] wrote for another process of the same run.
///
/// # Errors
/// [`ConfigErrors`] if the text was written by another version.
pub fn parse_effective(text: &str) -> Result<Scenario, ConfigErrors> {
    let name = "the director's scenario".to_owned();
    let source = Source { title: name.clone(), name, text: text.to_owned() };
    parse(&source, &[]).map(|effective| effective.scenario)
}

/// Returns every key with meaning, values, default and kind.
pub fn explain() -> String {
    parse::explain()
}
