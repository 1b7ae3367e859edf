//! Commands, tables, JSON, progress bars: everything that speaks to people.
//!
//! A command is five short steps: parse, make options, open through `app`, one call of a verb, render.

pub mod args;
mod classes;
mod commands;
mod database;
mod dss_api;
mod environment;
mod error;
mod exit;
mod given;
mod lists;
mod output;
mod progress;
mod prompt;
mod retention;
mod second;
mod session;
mod signals;
mod sink;
mod snapshot;
mod table;
mod text;
mod views;

/// Parsers of what users write, for the fuzzer.
#[cfg(feature = "testing")]
pub mod fuzz {
    pub use crate::cli::lists::owner_rules;
    pub use crate::cli::snapshot::SnapshotPath;
}

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::args::Cli;
use crate::cli::error::{CliError, Fault};
use crate::cli::given::Given;
use crate::cli::session::Session;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match parse(&arguments) {
        Ok((cli, given)) => run(cli, given),
        Err(error) => exit::refused(&error, wants_json(&arguments)),
    }
}

fn parse(arguments: &[OsString]) -> Result<(Cli, Given), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, Given::of(&command, &matches)))
}

fn run(cli: Cli, given: Given) -> ExitCode {
    environment::start_log(cli.global.verbose);
    let _ = crate::sys::limits::raise_descriptors();
    let session = match Session::start(cli.global, given) {
        Ok(session) => session,
        Err(error) => return finish(&Fault::new(&error, false)),
    };
    match cli.command.run(&session) {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => finish(&Fault::new(&error, session.output.is_json())),
    }
}

fn finish(fault: &Fault) -> ExitCode {
    fault.print();
    ExitCode::from(fault.code)
}

/// Whether `--json` was asked for on a command line that could not be parsed.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--json")
}

impl From<std::io::Error> for CliError {
    /// Bare I/O errors of this layer are those of its own output.
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}
