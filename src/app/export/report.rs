//! A snapshot for people: one page of HTML with charts, and the same tables as Markdown.
//!
//! The page is well-formed XML too, holds all that it shows and loads nothing, so it can be sent
//! to a colleague as it is.

use std::fmt::Write as _;

use super::charts;
use super::manifest::Missing;
use super::svg::escaped;
use crate::app::format;
use crate::app::state::AppState;
use crate::app::summary::Summary;
use crate::app::tables::{Cell, Table};

const STYLE: &str = include_str!("report.css");

/// What stands at the head of both reports.
struct Head {
    title: String,
    outcome: String,
    facts: Vec<(&'static str, String)>,
}

impl Head {
    fn new(state: &AppState, summary: &Summary) -> Self {
        let (outcome, reason) = summary.outcome();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let facts = vec![
            ("seed", state.run.seed_text()),
            ("run", state.run.id_text()),
            ("taken", format::iso(state.wall)),
            ("machine", format!("{}, {}", state.run.host, cpus(state.run.cpus))),
            ("elapsed", format::duration(state.elapsed)),
            ("measured", format::duration(state.figures.window)),
            ("fsync", state.run.fsync.clone()),
            ("a power loss takes", state.run.power_loss_takes.to_owned()),
            ("snapshot", state.number.to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        Self { title: state.run.scenario.clone(), outcome: format!("{outcome}{reason}"), facts }
    }
}

fn cpus(cpus: usize) -> String {
    match cpus {
        0 => format::ABSENT.to_owned(),
        cpus => format::counted(cpus as u64, "CPU"),
    }
}

/// Returns the command that runs the same again from the exported scenario.
fn again(state: &AppState) -> String {
    let seed = state.run.seed.map_or_else(String::new, |seed| format!(" --seed {seed}"));
    format!("postoffice-tui -s scenario.ini{seed}")
}

const AGAIN: &str = "scenario.ini, beside this report, holds the values of the start; what was \
                     changed while the run went on is not in it. The same seed gives the same \
                     tickets; measured times differ.";
const MISSING: &str = "What the files beside this report do not hold";
const WINDOW: &str = "Counts and latencies are of tickets that arrived between the end of the \
                      warm-up and the end of arrivals, followed until they ended. A dash is what \
                      is not known.";

/// Returns the Markdown report.
pub(super) fn markdown(
    state: &AppState,
    summary: &Summary,
    tables: &[Table],
    missing: &[Missing],
) -> String {
    let head = Head::new(state, summary);
    let mut text = format!("# {}: {}\n\n", plain(&head.title), plain(&head.outcome));
    // Writing to a string can't fail.
    for (name, fact) in &head.facts {
        let _ = writeln!(text, "- {name}: {}", plain(fact));
    }
    let _ = writeln!(text, "\n{WINDOW}");
    for table in tables.iter().filter(|table| !table.rows.is_empty()) {
        let _ = writeln!(text, "\n## {}\n", table.title);
        let heads = table.columns.iter().map(|column| plain(column.head));
        let _ = writeln!(text, "| {} |", heads.collect::<Vec<_>>().join(" | "));
        let sides =
            (0..table.columns.len()).map(|at| if is_words(table, at) { "---" } else { "---:" });
        let _ = writeln!(text, "| {} |", sides.collect::<Vec<_>>().join(" | "));
        for row in &table.rows {
            let cells = row.iter().map(|cell| plain(&cell.text()));
            let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    if !missing.is_empty() {
        let _ = writeln!(text, "\n## {MISSING}\n");
    }
    for Missing { file, what } in missing {
        let _ = writeln!(text, "- {file}: {}", plain(what));
    }
    let _ = writeln!(text, "\n## Again\n\n    {}\n\n{AGAIN}", again(state));
    text
}

/// Returns a text that Markdown shows as it is.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Returns whether a column holds words, which stand to the left.
fn is_words(table: &Table, at: usize) -> bool {
    table.rows.iter().any(|row| row.get(at).is_some_and(Cell::is_words))
}

/// Returns the HTML report.
pub(super) fn html(
    state: &AppState,
    summary: &Summary,
    tables: &[Table],
    missing: &[Missing],
) -> String {
    let head = Head::new(state, summary);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{0} · {1} · postoffice-tui</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{0} <span class=\"outcome\">{1}</span></h1>\n<p class=\"facts\">",
        escaped(&head.title),
        escaped(&head.outcome),
    );
    for (name, fact) in &head.facts {
        let _ = write!(page, "<span><b>{}</b> {}</span> ", escaped(name), escaped(fact));
    }
    page.push_str("</p>\n</header>\n<main>\n");
    cards(&mut page, state);
    page.push_str("<section class=\"charts\">\n");
    for chart in charts::all(state) {
        let _ = writeln!(page, "<figure>{}</figure>", chart.render());
    }
    page.push_str("</section>\n");
    if let Some(note) = charts::thinning_note(state) {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(&note));
    }
    let _ = writeln!(page, "<p class=\"note\">{WINDOW}</p>");
    page.push_str("<div class=\"tables\">\n");
    for table in tables.iter().filter(|table| !table.rows.is_empty()) {
        html_table(&mut page, table);
    }
    page.push_str("</div>\n");
    if !missing.is_empty() {
        let _ = writeln!(page, "<section>\n<h2>{MISSING}</h2>\n<ul>");
        for Missing { file, what } in missing {
            let _ = writeln!(page, "<li>{file}: {}</li>", escaped(what));
        }
        page.push_str("</ul>\n</section>\n");
    }
    let _ = write!(
        page,
        "<section>\n<h2>Again</h2>\n<pre>{}</pre>\n<p class=\"note\">{AGAIN}</p>\n</section>\n\
         <section>\n<h2>The scenario</h2>\n<pre>{}</pre>\n</section>\n</main>\n</body>\n</html>\n",
        escaped(&again(state)),
        escaped(&state.run.scenario_text),
    );
    page
}

/// The figures that people look for first.
fn cards(page: &mut String, state: &AppState) {
    let (figures, all) = (&state.figures, &state.figures.all);
    let or = |text: Option<String>| text.unwrap_or_else(|| format::ABSENT.to_owned());
    let p99 = |spread: Option<engine::perf::Spread>| or(spread.map(|s| format::duration(s.p99)));
    let cards = [
        ("offered", or(all.offered().map(format::count))),
        ("served", format::count(all.counts.served)),
        ("rejected", or(all.counts.rejected.map(format::count))),
        ("served per second", or(all.throughput.map(format::rate))),
        ("busy", or(all.utilization.map(format::percent))),
        ("wait p99", p99(all.wait)),
        ("response p99", p99(figures.users.response)),
    ];
    page.push_str("<section class=\"cards\">\n");
    for (name, figure) in cards {
        let _ = writeln!(
            page,
            "<div class=\"card\"><span class=\"figure\">{}</span> <span>{name}</span></div>",
            escaped(&figure)
        );
    }
    page.push_str("</section>\n");
}

fn html_table(page: &mut String, table: &Table) {
    let side = |at: usize| if is_words(table, at) { " class=\"words\"" } else { "" };
    let _ = write!(
        page,
        "<section{}>\n<h2>{}</h2>\n<div class=\"table\"><table id=\"table-{}\">\n<thead><tr>",
        if table.columns.len() > 2 { " class=\"wide\"" } else { "" },
        escaped(table.title),
        table.name
    );
    for (at, column) in table.columns.iter().enumerate() {
        let (head, key) = (escaped(column.head), escaped(column.key));
        let _ = write!(page, "<th{} title=\"{key}\">{head}</th>", side(at));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let (text, raw) = (cell.text(), cell.raw());
            // The exact value, for whoever wants it.
            let title = if text == raw || raw.is_empty() {
                String::new()
            } else {
                format!(" title=\"{}\"", escaped(&raw))
            };
            let _ = write!(page, "<td{}{title}>{}</td>", side(at), escaped(&text));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::export::testing;
    use crate::app::state::Notice;
    use crate::app::tables;

    fn nasty() -> AppState {
        let mut state = testing::state(30);
        Arc::make_mut(&mut state.figures).services[0].name = "letters & <parcels>".to_owned();
        state.run.scenario = "a<script>alert(1)</script>|b".to_owned();
        state.run.scenario_text = "[run]\n; \u{1b}[31m <&>\n".into();
        state
            .notices
            .push(Notice { text: "x | y\nz </td> &amp;".to_owned(), ..state.notices[0].clone() });
        state
    }

    fn missing() -> [Missing; 1] {
        [Missing { file: "series.csv", what: "a <b> & c".to_owned() }]
    }

    #[test]
    fn the_page_is_well_formed_whatever_people_wrote() {
        let state = nasty();
        let summary = Summary::new(Arc::new(state.clone()));
        let page = html(&state, &summary, &tables::all(&state), &missing());
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let parsed = roxmltree::Document::parse_with_options(&page, options).unwrap();
        assert!(!page.contains("<script") && !page.contains('\u{1b}'));
        let count =
            |name: &str| parsed.descendants().filter(|n| n.tag_name().name() == name).count();
        assert_eq!(count("svg"), 8);
        let outside = parsed.descendants().flat_map(|node| node.attributes()).find(|attribute| {
            ["src", "href"].contains(&attribute.name()) || attribute.value().contains("url(")
        });
        assert_eq!(outside, None, "nothing is loaded");
        for table in tables::all(&state).iter().filter(|table| !table.rows.is_empty()) {
            let id = format!("table-{}", table.name);
            let found =
                parsed.descendants().find(|node| node.attribute("id") == Some(&id)).unwrap();
            let rows: Vec<_> =
                found.descendants().filter(|node| node.tag_name().name() == "tr").collect();
            assert_eq!(rows.len(), table.rows.len() + 1, "{id}");
            let cells =
                |row: &roxmltree::Node<'_, '_>| row.children().filter(|c| c.is_element()).count();
            assert!(rows.iter().all(|row| cells(row) == table.columns.len()), "{id}");
        }
    }

    #[test]
    fn a_row_of_markdown_stays_a_row() {
        let state = nasty();
        let summary = Summary::new(Arc::new(state.clone()));
        let text = markdown(&state, &summary, &tables::all(&state), &missing());
        let mut width = None;
        for line in text.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            match width {
                _ if !line.starts_with('|') => width = None,
                None => width = Some(bars),
                Some(width) => assert_eq!(bars, width, "{line}"),
            }
        }
        assert!(text.contains("\\<script\\>"), "{text}");
    }
}
