//! `dssvault man`, for packagers.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::args::Cli;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  dssvault man | man -l -
  dssvault man restore | man -l -
  dssvault man --dir /usr/local/share/man/man1";

/// Print the manual page of the program or of one command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A command, and maybe one of its own
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write all pages into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    if let Some(dir) = args.dir {
        clap_mangen::generate_to(Cli::command(), &dir).map_err(|source| CliError::File {
            action: "write",
            what: format!("manual pages to {}", dir.display()),
            source,
        })?;
        return Ok(Outcome::Clean);
    }
    let mut command = Cli::command();
    command.build();
    for name in &args.command {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| {
            CliError::usage(format!("there is no command `{name}`"), "`dssvault help` lists the commands")
        })?;
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    session.output.raw(&page)?;
    Ok(Outcome::Clean)
}
