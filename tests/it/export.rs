//! Exports: what is in the folder, that all files tell the same, and what can be in the way.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Office, PROGRAM, stderr};

const SMALL: &str = "[run]\nwarmup = 200ms\n[office]\nworkers = 2\nseats = 2\nroom = 6\n\
    [service.letters]\nshare = 75%\ntime = exp 5ms\n[service.parcels]\ntime = det 8ms\n\
    [load.street]\nmodel = open\nusers = 3\nrate = poisson 350/s";

/// Returns the names in a directory, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns the only folder in a directory for exports.
pub(crate) fn only_folder(dir: &Path) -> PathBuf {
    let names = names(dir);
    assert_eq!(names.len(), 1, "{names:?}");
    dir.join(&names[0])
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Reads a table as one map per row; makes sure that it has one head and rows of equal width.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut table = csv::ReaderBuilder::new().flexible(false).from_path(path).unwrap();
    let heads = table.headers().unwrap().clone();
    assert!(!heads.is_empty() && heads.iter().all(|head| !head.is_empty()), "{}", path.display());
    let row = |row: csv::Result<csv::StringRecord>| {
        let row = row.unwrap();
        assert_ne!(row, heads, "{} has one head", path.display());
        heads.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    };
    table.records().map(row).collect()
}

/// Returns the single figures of the run, tickets outside the measured window included.
pub(crate) fn facts(folder: &Path) -> BTreeMap<String, String> {
    let rows = rows(&folder.join("run.csv")).into_iter();
    rows.map(|mut row| (row.remove("figure").unwrap(), row.remove("value").unwrap())).collect()
}

#[test]
fn all_files_of_an_export_tell_the_same() {
    let office = Office::new();
    let scenario = office.scenario(SMALL);
    let out = office.path("out");
    let (code, summary) =
        office.run(&["-s", &scenario, "-d", "2s", "--export", out.to_str().unwrap()]);
    assert_eq!(code, 0);
    let folder = only_folder(&out);
    check_files(&folder, &summary);
    check_totals(&folder, &summary);
    check_page(&folder, &summary);
}

/// The files are those that the manifest lists, with their sums.
fn check_files(folder: &Path, summary: &Value) {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let run = summary["run"].as_str().unwrap();
    assert!(name.ends_with(&format!("Z-scenario-{}", &run[..8])), "{name}");
    let mut wanted: Vec<String> = [
        "confidence.csv",
        "events.csv",
        "latencies.csv",
        "little.csv",
        "loads.csv",
        "manifest.json",
        "metrics.csv",
        "metrics.prom",
        "net.csv",
        "notices.csv",
        "processes.csv",
        "report.html",
        "report.md",
        "run.csv",
        "scenario.ini",
        "series.csv",
        "services.csv",
        "slo.csv",
        "store.csv",
        "summary.json",
        "tickets.csv",
    ]
    .map(str::to_owned)
    .into();
    wanted.extend(["response", "lag"].map(|latency| format!("latency-{latency}.hgrm")));
    for latency in ["wait", "service", "sojourn", "overhead"] {
        wanted.push(format!("latency-{latency}.hgrm"));
        for service in ["letters", "parcels"] {
            wanted.push(format!("latency-{latency}-{service}.hgrm"));
        }
    }
    wanted.sort();
    let found = names(folder);
    // It is there only where the program records its own syncs.
    let found: Vec<String> = found.into_iter().filter(|name| name != "log-sync.hgrm").collect();
    assert_eq!(found, wanted);
    let manifest = json(&folder.join("manifest.json"));
    assert_eq!((&manifest["run"], &manifest["seed"]), (&summary["run"], &summary["seed"]));
    assert_eq!(manifest["snapshot"], summary["snapshot"]);
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), names(folder).len() - 1, "all but the manifest");
    for file in files {
        let bytes = std::fs::read(folder.join(file["name"].as_str().unwrap())).unwrap();
        let sum = format!("{:08x}", crc32fast::hash(&bytes));
        assert_eq!((&file["bytes"], &file["crc32"]), (&bytes.len().into(), &sum.into()), "{file}");
        assert!(!file["holds"].as_str().unwrap().is_empty(), "{file}");
    }
}

/// Counts and percentiles are equal in every file that has them.
fn check_totals(folder: &Path, summary: &Value) {
    assert_eq!(&json(&folder.join("summary.json")), summary);
    for name in names(folder).iter().filter(|name| name.ends_with(".csv")) {
        rows(&folder.join(name));
    }
    let services = rows(&folder.join("services.csv"));
    let names: Vec<&str> = services.iter().map(|row| row["service"].as_str()).collect();
    assert_eq!(names, ["letters", "parcels", "all"]);
    let all = &services[2];
    for key in ["offered", "issued", "rejected", "served", "unfinished", "throughput_per_s"] {
        assert_eq!(all[key].parse::<f64>().ok(), summary[key].as_f64(), "{key}");
    }
    assert!(all["rejected"].parse::<u64>().unwrap() > 0, "the office is too small: {all:?}");
    let run = facts(folder);
    let tickets = rows(&folder.join("tickets.csv"));
    let count = |outcome: &str| tickets.iter().filter(|row| row["outcome"] == outcome).count();
    assert_eq!(run["total_served"], count("served").to_string());
    assert_eq!(run["total_rejected"], count("rejected").to_string());
    assert_eq!(run["total_offered"], tickets.len().to_string());
    let latencies = rows(&folder.join("latencies.csv"));
    for latency in ["wait", "service", "sojourn", "overhead"] {
        let is_wanted = |row: &&BTreeMap<String, String>| {
            row["service"] == "all" && row["latency"] == latency && row["span"] == "run"
        };
        let row = latencies.iter().find(is_wanted).unwrap();
        for figure in ["mean", "p50", "p99", "max"] {
            let key = format!("{latency}_{figure}_ns");
            assert_eq!(row[&format!("{figure}_ns")], summary[&key].to_string(), "{key}");
        }
        let text = std::fs::read_to_string(folder.join(format!("latency-{latency}.hgrm"))).unwrap();
        let total = format!("Total count    = {:>12}]", row["count"]);
        assert!(text.contains(&total), "{total} in {text}");
    }
    let report = std::fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(report.contains("## Tickets that arrived in the measured window"), "{report}");
}

/// The page is whole, loads nothing, and shows the summary's figures.
fn check_page(folder: &Path, summary: &Value) {
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let with_id = |id: &str| page.descendants().find(|node| node.attribute("id") == Some(id));
    // The cell of a table, by the row's first cells and the column's key.
    let cell = |table: &str, row: &[&str], key: &str| -> String {
        let table = with_id(&format!("table-{table}")).unwrap();
        let cells = |row: roxmltree::Node<'_, '_>| -> Vec<(String, String)> {
            let cells = row.children().filter(roxmltree::Node::is_element);
            let text = |cell: roxmltree::Node<'_, '_>| cell.text().unwrap_or_default().to_owned();
            cells
                .map(|c| (text(c), c.attribute("title").map_or_else(|| text(c), str::to_owned)))
                .collect()
        };
        let mut lines = table
            .descendants()
            .filter(|node| node.has_tag_name("tr") || node.tag_name().name() == "tr")
            .map(cells);
        let at = lines.next().unwrap().iter().position(|head| head.1 == key).unwrap();
        let found = lines.find(|cells| row.iter().zip(cells).all(|(name, cell)| *name == cell.0));
        found.unwrap()[at].1.clone()
    };
    for key in ["offered", "issued", "rejected", "served"] {
        assert_eq!(cell("services", &["all"], key), summary[key].to_string(), "{key}");
    }
    for latency in ["wait", "sojourn"] {
        let p99 = summary[format!("{latency}_p99_ns")].to_string();
        assert_eq!(cell("latencies", &["all", latency, "run"], "p99_ns"), p99, "{latency}");
    }
    let charts = page.descendants().filter(|node| node.tag_name().name() == "svg");
    assert_eq!(charts.count(), 8);
    assert!(page.descendants().all(|node| node.tag_name().name() != "script"));
}

#[test]
fn a_second_export_stands_beside_the_first() {
    let office = Office::new();
    let odd = office.path("a ..b&c.ini");
    std::fs::write(&odd, SMALL).unwrap();
    let out = office.path("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "mine").unwrap();
    for _ in 0..2 {
        let args = ["-s", odd.to_str().unwrap(), "-d", "300ms", "--set", "run.warmup=0s"];
        let (code, _) = office.run(&[&args[..], &["--export", out.to_str().unwrap()]].concat());
        assert_eq!(code, 0);
    }
    let found = names(&out);
    assert_eq!((found.len(), found[2].as_str()), (3, "mine"));
    assert!(found[..2].iter().all(|name| name.contains("Z-a-b-c-")), "{found:?}");
    assert_eq!(std::fs::read_to_string(out.join("mine")).unwrap(), "mine");
}

/// Runs an office that is expected to say why nothing is exported.
fn refused(office: &Office, out: &Path) -> (Option<i32>, String) {
    let args = ["-d", "300ms", "--export", out.to_str().unwrap()];
    let output = office.command(&args).output().unwrap();
    assert!(output.stdout.is_empty(), "no summary of a run that was not");
    (output.status.code(), stderr(&output))
}

#[test]
fn what_is_in_the_way_of_an_export_is_told_before_the_run() {
    let office = Office::new();
    let file = PathBuf::from(office.scenario(SMALL));
    symlink(office.path("."), office.path("link")).unwrap();
    symlink(office.path("nowhere"), office.path("dangling")).unwrap();
    for (out, code, words) in [
        (office.path("no/such/out"), 2, &["there is no directory", "no/such", "make it first"][..]),
        (office.path("link"), 2, &["is a symbolic link", "name the directory itself"]),
        (office.path("link/"), 2, &["is a symbolic link"]),
        (office.path("dangling"), 2, &["is a symbolic link"]),
        (file.clone(), 2, &["is not a directory"]),
        (file.join("out"), 2, &["there is no directory"]),
        (PathBuf::from("/proc/out"), 7, &["cannot make /proc/out", "choose another place"]),
    ] {
        let (found, said) = refused(&office, &out);
        assert_eq!(found, Some(code), "{}: {said}", out.display());
        for word in words.iter().chain([&out.to_str().unwrap().trim_end_matches('/')]) {
            assert!(said.contains(word), "{word:?} in {said}");
        }
    }
    assert!(!office.data_dir().exists(), "nothing was started");
    let wanted = ["dangling", "link", "scenario.ini"];
    assert_eq!(names(&office.path(".")), wanted, "nothing was made");
}

#[test]
fn an_export_that_fails_at_the_end_costs_the_exit_code_but_not_the_summary() {
    let mut office = Office::new();
    let scenario = office.scenario(SMALL);
    let place = office.path("place");
    std::fs::create_dir(&place).unwrap();
    office.start(&["-s", &scenario, "--export", place.join("out").to_str().unwrap()]);
    office.wait_for_tickets(20);
    std::fs::remove_dir(&place).unwrap();
    office.signal(Signal::SIGTERM);
    let (code, summary) = office.finish();
    assert_eq!((code, &summary["outcome"]), (7, &Value::from("interrupted")));
    assert_eq!(summary["exit_code"], 7);
    assert!(!place.exists(), "only the last component is made");
}

/// Runs an office that exports to a small file system of its own; `None` where that can't be had.
fn on_a_small_disk(office: &Office, options: &str) -> Option<(PathBuf, Output)> {
    let disk = office.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let scenario = office.scenario(SMALL);
    let mount = |then: &str| {
        let mut shell = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size=48k{options} none \"$0\" && {then}");
        shell.args(["--mount", "sh", "-c", &script]).arg(&disk);
        shell
    };
    if !mount("true").output().is_ok_and(|output| output.status.success()) {
        return None;
    }
    let list = format!("{PROGRAM} \"$@\"; code=$?; ls -A \"$0\" >&2; exit $code");
    let args = ["-s", &scenario, "-d", "700ms", "--export", disk.to_str().unwrap()];
    let output = office.command_of(mount(&list), &args).output().unwrap();
    Some((disk, output))
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let office = Office::new();
    let Some((disk, output)) = on_a_small_disk(&office, "") else { return };
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(7), "{said}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["outcome"], "completed");
    let wanted = format!("nothing was exported: cannot write {}/", disk.display());
    assert!(said.contains(&wanted) && said.contains("make room there"), "{said}");
    assert_eq!(said.lines().count(), 1, "the disk is empty again: {said}");
}

#[test]
fn a_read_only_disk_is_told_before_the_run() {
    let office = Office::new();
    let Some((disk, output)) = on_a_small_disk(&office, ",ro") else { return };
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains(&format!("cannot make {}", disk.display())), "{said}");
    assert!(said.contains("that you may write to") && output.stdout.is_empty(), "{said}");
}
