//! Completions for shells and the manual page, both made from the command line's one definition.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::cli::Cli;

/// Returns the completions for a shell.
pub(crate) fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "postoffice-tui", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns the manual page (roff): the options, every subcommand, and `more` at the end.
///
/// # Errors
/// If the definition can't be written.
pub(crate) fn page(more: &str) -> io::Result<String> {
    let mut text = Vec::new();
    let mut command = Cli::command();
    // Subcommands get the names that they are called by.
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        section(sub, &mut text)?;
    }
    text.extend_from_slice(more.as_bytes());
    man.render_version_section(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Writes a subcommand and those below it.
fn section(command: &clap::Command, text: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_uppercase();
    text.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
    let man = clap_mangen::Man::new(command.clone());
    let mut part = Vec::new();
    man.render_description_section(&mut part)?;
    man.render_synopsis_section(&mut part)?;
    man.render_options_section(&mut part)?;
    // What are sections of a page of its own are parts of a section here.
    text.extend_from_slice(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").as_bytes());
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        section(sub, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_is_in_the_page_and_in_each_shells_completions() {
        let page = page(".SH MORE\n").unwrap().replace("\\-", "-");
        for sub in Cli::command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let name = format!("POSTOFFICE-TUI {}", sub.get_name().to_uppercase());
            assert!(page.contains(&name), "{name} is not in the page");
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                assert!(completions(shell).contains(sub.get_name()), "{shell}: {name}");
            }
        }
        assert!(page.contains(".SH MORE"));
    }
}
