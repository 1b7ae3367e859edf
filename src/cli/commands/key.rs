//! `dssvault key`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use crate::app::password::RecoveryKeyFile;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::text;
use crate::cli::views::key::{AddedView, ChangedView, KeysView, RemovedView};
use crate::repo::keys::{Credential, SlotCosts};
use crate::vault::keys::{self, ListedSlot};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault key list
  dssvault -r /srv/vault key add --label 'second admin'
  dssvault -r /srv/vault key change-password
  dssvault -r /srv/vault key remove 1a2b3c4d";

const LIST_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault key list
  dssvault -r /srv/vault key list --json | jq -r '.[].id'";

const ADD_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault key add --label 'second admin'
  dssvault -r /srv/vault key add --new-password-file /root/second.pw
  dssvault -r /srv/vault key add --recovery --write-to /root/vault.words";

const REMOVE_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault key remove 1a2b3c4d
  dssvault -r /srv/vault key remove 1a2b3c4d --force    even the key in use

Whoever kept a copy of the removed key, and knows its password, can still open copies of
the repository made before. If a password became known, make a new repository.";

const CHANGE_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault key change-password
  dssvault -r /srv/vault key change-password --new-password-file /root/new.pw
  dssvault -r /srv/vault key change-password --recovery-key-file /root/vault.words
      the password was lost: the recovery words set a new one";

/// Manage passwords and recovery keys.
///
/// Each key opens the repository alone. The data is not encrypted anew when keys change.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the keys
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Add a password or a recovery key
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Remove a key
    #[command(after_help = REMOVE_EXAMPLES, visible_alias = "rm")]
    Remove(Remove),
    /// Set a new password in place of the one in use
    #[command(after_help = CHANGE_EXAMPLES, visible_alias = "passwd")]
    ChangePassword(NewPassword),
}

#[derive(Debug, clap::Args)]
struct NewPassword {
    /// Read the new password from this file [env: DSSVAULT_NEW_PASSWORD=, the password itself]
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    password: NewPassword,
    /// A name for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// Add a recovery key instead of a password
    #[arg(long, conflicts_with = "new_password_file")]
    recovery: bool,
    /// Write the words of the new recovery key to this file instead of the terminal
    #[arg(long, value_name = "FILE", requires = "recovery")]
    write_to: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// Id of the key; its beginning is enough
    #[arg(value_name = "KEY")]
    key: String,
    /// Remove it even if it is the one in use
    #[arg(long)]
    force: bool,
}

/// Runs one of the four.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    match args.action {
        Action::List => list(session),
        Action::Add(args) if args.recovery => add_recovery(args, session),
        Action::Add(args) => add_password(args, session),
        Action::Remove(args) => remove(args, session),
        Action::ChangePassword(args) => change_password(args, session),
    }
}

fn list(session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let listing = keys::list(&opened.repository)?;
    for fault in &listing.faults {
        session.output.warn(&text::printable(fault.to_string().as_bytes()));
    }
    session.output.show(&KeysView::new(&listing.slots))?;
    Ok(Outcome::clean_if(listing.faults.is_empty()))
}

fn add_password(args: Add, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let password = Credential::Password(session.new_password(args.password.new_password_file.as_deref())?);
    let info = keys::add_password(&opened.repository, &password, &args.label, SlotCosts::DEFAULT)?;
    session.output.report(&AddedView::new(&info))?;
    Ok(Outcome::Clean)
}

fn add_recovery(args: Add, session: &Session) -> Result<Outcome, CliError> {
    if args.write_to.is_none() && (session.output.is_json() || !io::stdout().is_terminal()) {
        return Err(CliError::usage(
            "there is no terminal to show the recovery key on",
            "give `--write-to FILE` to have it written there",
        ));
    }
    let opened = session.open()?;
    let file = args.write_to.as_deref().map(RecoveryKeyFile::claim).transpose()?;
    let label = if args.label.is_empty() { "recovery key" } else { &args.label };
    let (info, words) = keys::add_recovery(&opened.repository, label)?;
    let mut view = AddedView::new(&info);
    match file {
        Some(file) => {
            file.write(&words)?;
            view.recovery_key_file = args.write_to;
        }
        None => view.words = Some(words),
    }
    session.output.show(&view)?;
    Ok(Outcome::Clean)
}

fn remove(args: Remove, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let slots = keys::list(&opened.repository)?.slots;
    let found = choose(&slots, &args.key)?;
    keys::remove(&opened.repository, found.info.slot, args.force)?;
    session.output.report(&RemovedView::new(found.info.slot))?;
    Ok(Outcome::Clean)
}

fn change_password(args: NewPassword, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let password = Credential::Password(session.new_password(args.new_password_file.as_deref())?);
    let changed = keys::change_password(&opened.repository, &password, SlotCosts::DEFAULT)?;
    session.output.report(&ChangedView::new(&changed))?;
    Ok(Outcome::Clean)
}

/// The one key whose id begins like that.
fn choose<'a>(slots: &'a [ListedSlot], wanted: &str) -> Result<&'a ListedSlot, CliError> {
    let hint = "`dssvault key list` shows the keys there are";
    let mut matching = slots.iter().filter(|slot| !wanted.is_empty() && slot.info.slot.to_string().starts_with(wanted));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(CliError::usage(format!("no key begins with `{wanted}`"), hint)),
        (Some(_), Some(_)) => Err(CliError::usage(format!("several keys begin with `{wanted}`"), hint)),
    }
}
