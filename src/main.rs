//! The post office: one executable for every role.
//!
//! A role's name as the first argument makes this a child process; everything else is the
//! director with a dashboard, the director without one, or a command.

mod app;
mod ui;

use std::process::ExitCode;

use app::cli::{Cli, RunArgs};
use app::conf::Recipe;
use app::exit::Exit;
use app::{Wishes, bench, commands, headless, logging, output};
use clap::Parser;
use color_eyre::eyre::Result;
use engine::config::Effective;
use engine::roles::{self, RoleName};
use log::LevelFilter;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = args.first().and_then(|arg| RoleName::from_arg(arg)) {
        return ExitCode::from(roles::run(role, &args[1..]));
    }
    if args.first().is_some_and(|arg| arg == ui::guard::ARGUMENT) {
        return ui::guard::run();
    }
    if args.first().is_some_and(|arg| arg == bench::ARGUMENT) {
        return bench::run_part(&args[1..]);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes; nobody may be there to read either.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    run(&cli).unwrap_or_else(|error| {
        eprintln!("{}", one_line(&error));
        app::exit_of_error(&error).into()
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if let Some(command) = &cli.command {
        let told = commands::Told {
            keys: ui::keys,
            manual: ui::manual,
            terminal: ui::doctor::look,
            attach: ui::outside::attach,
            replay: ui::outside::replay,
        };
        return Ok(output::exit(commands::run(command, &told)?).into());
    }
    let args = &cli.run;
    let effective = match commands::scenario(&args.scenario, &args.overrides.overrides()) {
        Ok(effective) => effective,
        Err(error) => return Ok(commands::usage(&error).into()),
    };
    if !args.headless && !args.view.plain && !ui::is_terminal() {
        eprintln!("there is no terminal here; run with --headless, or with --plain for lines");
        return Ok(Exit::Usage.into());
    }
    run_office(args, &effective)
}

fn run_office(args: &RunArgs, effective: &Effective) -> Result<ExitCode> {
    let screen = if args.headless { logging::Screen::Stderr } else { logging::Screen::Panel };
    let usual = if args.headless { LevelFilter::Warn } else { LevelFilter::Info };
    let level = args.log_level.as_deref().and_then(|level| level.parse().ok()).unwrap_or(usual);
    logging::start(screen, level, args.log_file.as_deref())?;
    let wishes = Wishes {
        data_dir: args.data.data_dir.clone(),
        export: args.export.clone(),
        ack_log: args.ack_log.clone(),
        recipe: Recipe::new(&args.scenario, args.overrides.overrides()),
        has_screen: !args.headless,
    };
    if args.headless {
        let speech = headless::Speech { is_json: args.json, is_quiet: args.quiet };
        Ok(output::exit(headless::run(effective, wishes, speech)?).into())
    } else {
        Ok(ui::run(effective, wishes, &args.view)?.into())
    }
}

/// Returns an error and its causes in one line, each only once.
fn one_line(error: &color_eyre::Report) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}
