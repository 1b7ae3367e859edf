//! Exit codes, all decided here (`docs/exit-codes.md`). They follow restic, so that existing wrappers fit.

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::app::AppError;
use crate::cli::error::{CliError, Fault};
use crate::dss::backup::NodeError;
use crate::dss::control::ControlError;
use crate::dss::datadir::error::DatadirError;
use crate::dss::jobs::JobsError;
use crate::dss::migrate::MigrateError;
use crate::dss::restore::RestoreError;
use crate::postgres::error::PgError;
use crate::repo::RepoError;
use crate::repo::error::SnapshotLookup;
use crate::vault::VaultError;

/// Something failed.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// A snapshot was written, but some files could not be read.
pub const INCOMPLETE: u8 = 3;
/// There is no repository.
pub const NO_REPOSITORY: u8 = 10;
/// Another run works on the same thing.
pub const BUSY: u8 = 11;
/// Wrong password or recovery key.
pub const WRONG_PASSWORD: u8 = 12;
/// Done, but DSS is not confirmed healthy.
pub const UNHEALTHY: u8 = 20;
/// Refused by policy; nothing was touched.
pub const REFUSED: u8 = 21;
/// Stopped by a signal.
pub const INTERRUPTED: u8 = 130;
/// The reader of standard output went away: what a shell shows for SIGPIPE.
pub const BROKEN_PIPE: u8 = 141;

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Clean,
    /// A snapshot was written that lacks files.
    Incomplete,
    /// It is done, but DSS does not answer after its start.
    Unhealthy,
    /// Damage was found, or something could not be brought back.
    Damaged,
    /// Several things were done, and some of them ended with an error: the code of the worst.
    Partly(u8),
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Incomplete => INCOMPLETE,
            Self::Unhealthy => UNHEALTHY,
            Self::Damaged => FAILED,
            Self::Partly(code) => code,
        }
    }

    /// `Clean` or `Damaged`.
    pub fn clean_if(clean: bool) -> Self {
        if clean { Self::Clean } else { Self::Damaged }
    }
}

/// The code that counts of several: what failed before what can be done later, that before what is done.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> Option<u8> {
    const FROM_WORST: [u8; 6] = [INTERRUPTED, FAILED, REFUSED, BUSY, UNHEALTHY, 0];
    let rank = |code: &u8| FROM_WORST.iter().position(|known| known == code).unwrap_or(1);
    codes.into_iter().min_by_key(rank)
}

/// The exit code of an error.
pub fn code_of(error: &CliError) -> u8 {
    match error {
        CliError::Usage { .. } => USAGE,
        CliError::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => BROKEN_PIPE,
        CliError::Output(_) | CliError::File { .. } => FAILED,
        CliError::Datadir(cause) => code_of_datadir(cause),
        CliError::Node(cause) => code_of_node(cause),
        CliError::Pristine(cause) => code_of_restore(cause),
        CliError::Migrate(cause) => code_of_migrate(cause),
        CliError::Postgres(cause) => code_of_postgres(cause),
        CliError::App(AppError::Vault(cause)) => code_of_vault(cause),
        CliError::App(cause) => code_of_app(cause),
    }
}

fn code_of_app(error: &AppError) -> u8 {
    match error {
        AppError::UnknownScheme { .. }
        | AppError::EmptyLocation
        | AppError::EmptyPassword { .. }
        | AppError::BadPassword { .. }
        | AppError::NoHome { .. }
        | AppError::DemoInsideItself { .. } => USAGE,
        AppError::KeyFile { .. } | AppError::PasswordCommand { .. } | AppError::Folder { .. } => FAILED,
        AppError::Vault(cause) => code_of_vault(cause),
    }
}

fn code_of_datadir(error: &DatadirError) -> u8 {
    match error {
        DatadirError::NotADirectory { .. }
        | DatadirError::NotDataDir { .. }
        | DatadirError::Kit { .. }
        | DatadirError::Pattern(_) => USAGE,
        DatadirError::HalfInstalled { .. } | DatadirError::Unreadable { .. } => FAILED,
        DatadirError::Interrupted => INTERRUPTED,
    }
}

fn code_of_restore(error: &RestoreError) -> u8 {
    match error {
        _ if error.is_refusal() => REFUSED,
        RestoreError::Vault(cause) => code_of_vault(cause),
        RestoreError::Database(cause) => code_of_postgres(cause),
        RestoreError::HalfRewritten { cause, .. } => code_of_vault(cause),
        RestoreError::Datadir(cause) => code_of_datadir(cause),
        RestoreError::Control(ControlError::Busy { .. }) => BUSY,
        RestoreError::Control(ControlError::Interrupted) => INTERRUPTED,
        RestoreError::NoNode | RestoreError::NothingKept { .. } => USAGE,
        _ => FAILED,
    }
}

fn code_of_migrate(error: &MigrateError) -> u8 {
    match error {
        _ if error.is_refusal() => REFUSED,
        MigrateError::Vault(cause) => code_of_vault(cause),
        MigrateError::Datadir(cause) => code_of_datadir(cause),
        MigrateError::Restore(cause) => code_of_restore(cause),
        MigrateError::Control(ControlError::Busy { .. }) => BUSY,
        MigrateError::Control(ControlError::Interrupted) => INTERRUPTED,
        MigrateError::NoNode | MigrateError::NoStep { .. } => USAGE,
        _ => FAILED,
    }
}

fn code_of_node(error: &NodeError) -> u8 {
    match error {
        _ if error.is_refusal() => REFUSED,
        NodeError::Datadir(cause) => code_of_datadir(cause),
        NodeError::Vault(cause) => code_of_vault(cause),
        NodeError::Control(ControlError::Busy { .. }) => BUSY,
        NodeError::Control(ControlError::Interrupted) => INTERRUPTED,
        NodeError::Jobs(JobsError::Interrupted) => INTERRUPTED,
        NodeError::Jobs(JobsError::NoKey { .. }) => USAGE,
        NodeError::Control(_) | NodeError::Freeze(_) | NodeError::Jobs(_) => FAILED,
        NodeError::Downtime { .. } | NodeError::StartedMeanwhile { .. } => FAILED,
        NodeError::NotUnasked { .. } | NodeError::Unclear { .. } => REFUSED,
        NodeError::Database(cause) => code_of_postgres(cause),
        NodeError::Nested { .. } => REFUSED,
        NodeError::HalfExchanged { .. } | NodeError::NotRolling { .. } => REFUSED,
    }
}

fn code_of_postgres(error: &PgError) -> u8 {
    match error {
        _ if error.is_refusal() => REFUSED,
        PgError::Address { .. } => USAGE,
        PgError::Vault(cause) => code_of_vault(cause),
        PgError::Interrupted => INTERRUPTED,
        _ => FAILED,
    }
}

fn code_of_vault(error: &VaultError) -> u8 {
    match error {
        VaultError::Repo(RepoError::NoRepository { .. }) => NO_REPOSITORY,
        VaultError::Repo(
            RepoError::WrongPassword { .. } | RepoError::WrongPasswordOrDamaged { .. } | RepoError::RecoveryWords(_),
        ) => WRONG_PASSWORD,
        VaultError::Repo(RepoError::Snapshot(SnapshotLookup::SeveralNodes(_))) => USAGE,
        VaultError::Request { .. } => USAGE,
        VaultError::Guarded { .. } => REFUSED,
        VaultError::Interrupted | VaultError::Repo(RepoError::Interrupted) => INTERRUPTED,
        VaultError::Repo(_) | VaultError::Local { .. } | VaultError::NoSpace { .. } => FAILED,
        VaultError::Command { .. } | VaultError::Archive { .. } | VaultError::Undecided { .. } => FAILED,
    }
}

/// Ends a run whose command line was not accepted, or that only asked for help.
pub fn refused(error: &clap::Error, json: bool) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if json && !asked_for {
        let text = error.to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(&text).trim().to_owned();
        let hint = Some("`dssvault help` lists commands, `dssvault COMMAND --help` their options".to_owned());
        Fault::with(USAGE, message, hint, true).print();
    } else {
        // Nobody is left to tell if this fails.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: impl Into<CliError>) -> u8 {
        code_of(&error.into())
    }

    #[test]
    fn wrappers_written_for_restic_find_their_codes() {
        let location = || "/srv/vault".to_owned();
        assert_eq!(code(RepoError::NoRepository { location: location() }), 10);
        assert_eq!(code(RepoError::WrongPassword { location: location() }), 12);
        assert_eq!(code(VaultError::Interrupted), 130);
        assert_eq!(Outcome::Clean.code(), 0);
        assert_eq!(Outcome::Damaged.code(), 1);
        assert_eq!(Outcome::Incomplete.code(), 3);
    }

    #[test]
    fn what_the_user_can_only_mend_on_the_command_line_is_usage() {
        assert_eq!(code(AppError::EmptyLocation), 2);
        assert_eq!(code(CliError::usage("no source", "name one")), 2);
        let nodes = RepoError::Snapshot(SnapshotLookup::SeveralNodes("a, b".into()));
        assert_eq!(code(nodes), 2);
    }

    #[test]
    fn of_several_the_worst_counts() {
        assert_eq!(worst([0, UNHEALTHY, BUSY]), Some(BUSY));
        assert_eq!(worst([REFUSED, FAILED, UNHEALTHY]), Some(FAILED));
        assert_eq!((worst([0, 0]), worst([])), (Some(0), None));
    }

    #[test]
    fn a_snapshot_that_is_not_there_is_a_failure() {
        assert_eq!(code(RepoError::Snapshot(SnapshotLookup::None("abc".into()))), 1);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_of_ours() {
        assert_eq!(code(io::Error::from(io::ErrorKind::BrokenPipe)), 141);
        assert_eq!(code(io::Error::from(io::ErrorKind::StorageFull)), 1);
    }
}
