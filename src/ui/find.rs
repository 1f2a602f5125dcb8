//! What fits a text best among all commands, and what follows a command's name.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::registry::{Entry, Group, REGISTRY, by_id};

/// A command that fits, and its argument.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) entry: &'static Entry,
    /// What was typed behind the command's name.
    pub(crate) argument: Option<String>,
}

/// Returns what fits a text, the best first; everything, by groups, where nothing is typed.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let text = text.trim_start();
    if text.trim().is_empty() {
        let of = |group: Group| REGISTRY.iter().filter(move |entry| entry.group == group);
        let all = Group::ALL.iter().flat_map(|(group, _)| of(*group));
        return all.map(|entry| Found { entry, argument: None }).collect();
    }
    if let Some((name, argument)) = text.split_once(' ')
        && let Some(entry) = by_id(name).filter(|entry| !entry.argument.is_empty())
    {
        let argument = (!argument.trim().is_empty()).then(|| argument.trim().to_owned());
        return vec![Found { entry, argument }];
    }
    // Letters of a name may be left out; what is said about it must have the words.
    let pattern = |kind| Pattern::new(text, CaseMatching::Ignore, Normalization::Smart, kind);
    let (fuzzy, words) = (pattern(AtomKind::Fuzzy), pattern(AtomKind::Substring));
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buf = Vec::new();
    let mut score =
        |pattern: &Pattern, text: &str| pattern.score(Utf32Str::new(text, &mut buf), &mut matcher);
    let mut found: Vec<(u32, &Entry)> = REGISTRY
        .iter()
        .filter_map(|entry| {
            let name = score(&fuzzy, entry.id).map(|score| score * 2);
            Some((name.max(score(&words, entry.doc))?, entry))
        })
        .collect();
    found.sort_by_key(|(score, entry)| (std::cmp::Reverse(*score), entry.id.len()));
    found.into_iter().map(|(_, entry)| Found { entry, argument: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_within_six_letters() {
        for entry in REGISTRY {
            let shortest = (1..=6.min(entry.id.len())).find(|&letters| {
                let found = find(&entry.id[..letters]);
                found.iter().take(8).any(|found| found.entry.id == entry.id)
            });
            assert!(shortest.is_some(), "{} is not among the first eight", entry.id);
        }
    }

    #[test]
    fn what_follows_a_name_is_its_argument() {
        let found = find("users 2 000");
        assert_eq!((found.len(), found[0].entry.id), (1, "users"));
        assert_eq!(found[0].argument.as_deref(), Some("2 000"));
        assert_eq!(find("users ")[0].argument, None);
        assert_eq!(find("users")[0].entry.id, "users");
        assert!(find("pause now").iter().all(|found| found.argument.is_none()), "it takes none");
    }

    #[test]
    fn nothing_typed_shows_everything_by_groups() {
        assert_eq!(find(" ").len(), REGISTRY.len());
        assert!(find("qqqqqqq").is_empty());
    }
}
