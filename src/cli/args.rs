//! The command line as a whole: global options and the list of commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::cli::commands::{
    backup, check, completions, config, copy, demo, diff, drill_database, dump, export, find, forget, history,
    import_tar, init, inspect, key, ls, man, optimize, parity, pin, prune, repair, restore, resume, snapshots, stats,
    undelete,
};
use crate::cli::environment;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;

const ABOUT: &str = "Encrypted, deduplicating backup of Dataiku DSS nodes and of any other tree";

const EXAMPLES: &str = "\
First steps:
  dssvault demo                                    see it work, in a temporary folder
  dssvault -r /srv/vault init --recovery-key-file ~/vault.words
  dssvault -r /srv/vault backup /data/dss          once a day
  dssvault -r /srv/vault snapshots                 what there is
  dssvault -r /srv/vault restore latest --target /tmp/back

Exit status: 0 done, 1 failed or damage found, 2 wrong usage, 3 snapshot written but some
files could not be read, 10 no repository, 12 wrong password, 130 interrupted.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "dssvault", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, infer_long_args = false)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The repository: a path
    #[arg(short, long, global = true, value_name = "LOCATION", env = environment::REPO, hide_env_values = true)]
    pub repo: Option<OsString>,
    /// Read the password from this file [env: DSSVAULT_PASSWORD_FILE=]
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Run this shell command and take its output as the password [env: DSSVAULT_PASSWORD_COMMAND=]
    #[arg(long, global = true, value_name = "CMD", conflicts_with = "password_file")]
    pub password_command: Option<String>,
    /// Open with the recovery words in this file instead of a password (`init` writes them there)
    #[arg(long, global = true, value_name = "FILE")]
    pub recovery_key_file: Option<PathBuf>,
    /// Keep the cache here instead of the usual place
    #[arg(long, global = true, value_name = "DIR", env = environment::CACHE_DIR, hide_env_values = true)]
    pub cache_dir: Option<PathBuf>,
    /// Print JSON (see docs/json.md)
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors only, and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell more; twice: debug, three times: everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Print progress lines even when not on a terminal
    #[arg(long, global = true)]
    pub progress: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new repository
    Init(init::Args),
    /// Store files, directories or a stream as a new snapshot
    Backup(Box<backup::Args>),
    /// List snapshots
    #[command(visible_alias = "list")]
    Snapshots(snapshots::Args),
    /// Bring a snapshot, or a part of it, back
    Restore(Box<restore::Args>),
    /// List the files of a snapshot
    Ls(ls::Args),
    /// Show what differs between two snapshots
    Diff(diff::Args),
    /// Look for files in all snapshots
    Find(find::Args),
    /// Show when a file changed over the snapshots
    History(history::Args),
    /// Try the database dumps of a snapshot in a throw-away server
    DrillDatabase(drill_database::Args),
    /// Write a file, or a directory as tar, to standard output
    Dump(dump::Args),
    /// Write a snapshot back as the archive the documented cron script makes
    Export(export::Args),
    /// Turn archives of the documented cron script into snapshots
    ImportTar(import_tar::Args),
    /// Take snapshots out of the history, by policy or by name
    Forget(Box<forget::Args>),
    /// Bring forgotten snapshots back
    Undelete(undelete::Args),
    /// Keep a snapshot, whatever any policy says
    Pin(pin::Args),
    /// Take the pin off a snapshot
    Unpin(pin::UnpinArgs),
    /// Free the space of forgotten snapshots
    Prune(prune::Args),
    /// Merge small index segments
    Optimize(optimize::Args),
    /// Copy snapshots into a second repository
    Copy(Box<copy::Args>),
    /// Verify that everything needed is there and undamaged
    Check(check::Args),
    /// Add, list and drop parity, from which damaged packs are mended
    Parity(parity::Args),
    /// Mend a damaged repository, as far as what is left allows
    Repair(repair::Args),
    /// Show and change the parameters of the repository
    Config(config::Args),
    /// Show sizes and how well they deduplicate
    Stats(stats::Args),
    /// Tell what a DSS data directory is and what its parts weigh
    Inspect(inspect::Args),
    /// Manage passwords and recovery keys
    Key(key::Args),
    /// Show all of this at work in a temporary folder
    Demo(demo::Args),
    /// Start a DSS node that a killed backup left stopped
    Resume(resume::Args),
    /// Wait for the end of a backup and start the node if it is owed that
    #[command(hide = true)]
    Guard(resume::GuardArgs),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print manual pages
    #[command(hide = true)]
    Man(man::Args),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, session: &Session) -> Result<Outcome, CliError> {
        match self {
            Self::Init(args) => init::run(args, session),
            Self::Backup(args) => backup::run(*args, session),
            Self::Snapshots(args) => snapshots::run(args, session),
            Self::Restore(args) => restore::run(*args, session),
            Self::Ls(args) => ls::run(args, session),
            Self::Diff(args) => diff::run(args, session),
            Self::Find(args) => find::run(args, session),
            Self::History(args) => history::run(args, session),
            Self::DrillDatabase(args) => drill_database::run(args, session),
            Self::Dump(args) => dump::run(args, session),
            Self::Export(args) => export::run(args, session),
            Self::ImportTar(args) => import_tar::run(args, session),
            Self::Forget(args) => forget::run(*args, session),
            Self::Undelete(args) => undelete::run(args, session),
            Self::Pin(args) => pin::run(args, session),
            Self::Unpin(args) => pin::run_unpin(args, session),
            Self::Prune(args) => prune::run(args, session),
            Self::Optimize(args) => optimize::run(args, session),
            Self::Copy(args) => copy::run(*args, session),
            Self::Check(args) => check::run(args, session),
            Self::Parity(args) => parity::run(args, session),
            Self::Repair(args) => repair::run(args, session),
            Self::Config(args) => config::run(args, session),
            Self::Stats(args) => stats::run(args, session),
            Self::Inspect(args) => inspect::run(args, session),
            Self::Key(args) => key::run(args, session),
            Self::Demo(args) => demo::run(args, session),
            Self::Resume(args) => resume::run(&args, session),
            Self::Guard(args) => resume::run_guard(args),
            Self::Completions(args) => completions::run(args, session),
            Self::Man(args) => man::run(args, session),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_and_shows_examples() {
        let mut cli = Cli::command();
        cli.build();
        let mut open: Vec<_> = cli.get_subcommands().filter(|command| command.get_name() != "help").collect();
        while let Some(command) = open.pop() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no description");
            open.extend(command.get_subcommands().filter(|inner| inner.get_name() != "help"));
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.starts_with("Example"), "{name} has no examples");
            let widest = examples.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(88), "{name}: an example is too wide");
        }
    }

    #[test]
    fn no_option_takes_a_password_itself() {
        let mut cli = Cli::command();
        cli.build();
        assert!(cli.get_arguments().all(|argument| argument.get_long() != Some("password")));
    }
}
