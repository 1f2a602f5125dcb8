//! The dashboard: draws the director's snapshots and turns keys into actions.

pub(crate) mod guard {
    pub(crate) const ARGUMENT: &str = "guard";
    pub(crate) fn run() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}
pub(crate) fn is_terminal() -> bool {
    false
}
pub(crate) fn run(
    _: &engine::config::Effective,
    _: crate::app::Wishes,
) -> color_eyre::eyre::Result<crate::app::exit::Exit> {
    Ok(crate::app::exit::Exit::Done)
}
