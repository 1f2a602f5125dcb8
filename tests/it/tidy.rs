//! The tree keeps its shape: layers, first lines, sizes.

use std::path::{Path, PathBuf};

fn sources(dir: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut found = Vec::new();
    let mut todo = vec![root];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Makes sure that no file of a folder names a module that it may not know.
fn check_layer(dir: &str, forbidden: &[&str]) {
    for path in sources(dir) {
        let mut is_test = path.ends_with("tests.rs");
        for line in lines_of(&path) {
            is_test |= line.contains("#[cfg(test)]");
            let known = forbidden.iter().find(|name| line.contains(*name));
            let is_own = is_test || line.trim_start().starts_with("//");
            assert!(is_own || known.is_none(), "{} may not know {known:?}: {line}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in sources("src").into_iter().chain(sources("tests")) {
        let lines = lines_of(&path);
        let first = lines.first().cloned().unwrap_or_default();
        assert!(first.starts_with("//! "), "{} begins with {first:?}", path.display());
    }
}

#[test]
fn layers_know_only_those_below() {
    check_layer("src/app", &["crate::ui"]);
    for leaf in ["ids.rs", "limits.rs", "clock.rs", "rng.rs", "timeline.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine").join(leaf);
        let text = std::fs::read_to_string(path).unwrap();
        let own = text.split("#[cfg(test)]").next().unwrap_or_default();
        let upward = ["crate::net", "crate::storage", "crate::config", "crate::scheduler"];
        assert!(upward.iter().all(|name| !own.contains(name)), "{leaf} is a leaf");
    }
    let siblings = ["net", "storage", "scheduler", "supervisor", "population"];
    for module in siblings {
        let others: Vec<String> = siblings
            .iter()
            .filter(|other| **other != module)
            .map(|other| format!("crate::{other}::"))
            .chain(["crate::roles".to_owned()])
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        check_layer(&format!("src/engine/{module}"), &others);
    }
    // Those just above the leaves know neither each other nor what is above them.
    let low = ["config", "perf", "sysinfo"];
    for module in low {
        let others: Vec<String> = siblings
            .iter()
            .chain(low.iter().filter(|other| **other != module))
            .chain(&["roles", "sim"])
            .map(|other| format!("crate::{other}"))
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        check_layer(&format!("src/engine/{module}"), &others);
    }
}

#[test]
fn no_file_tells_two_stories() {
    for path in sources("src") {
        let lines = lines_of(&path).len();
        assert!(lines <= 700, "{} has {lines} lines; make it a folder", path.display());
    }
}
