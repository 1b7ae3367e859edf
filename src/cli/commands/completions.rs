//! `dssvault completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  dssvault completions bash > /etc/bash_completion.d/dssvault
  dssvault completions zsh > ~/.zfunc/_dssvault
  dssvault completions fish > ~/.config/fish/completions/dssvault.fish";

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dssvault", &mut script);
    session.output.raw(&script)?;
    Ok(Outcome::Clean)
}
