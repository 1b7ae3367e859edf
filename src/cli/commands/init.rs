//! `dssvault init`.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use crate::app::open::system_seams;
use crate::app::password::RecoveryKeyFile;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::second::LikeArgs;
use crate::cli::session::Session;
use crate::cli::views::init::InitView;
use crate::repo::keys::Credential;
use crate::sys::meta::Names;
use crate::vault::init;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault init
      asks for a password twice and shows the recovery key once
  dssvault -r /srv/vault init --password-file /root/vault.pw \\
      --recovery-key-file /root/vault.words
      for scripts; move the words to a safe place afterwards
  DSSVAULT_PASSWORD=... dssvault -r /srv/vault init --no-recovery-key
  dssvault -r /mnt/offsite init --like /srv/vault --like-password-file /root/vault.pw \\
      --password-file /root/offsite.pw --recovery-key-file /root/offsite.words
      a second repository for `copy --to /mnt/offsite`, with keys of its own

The recovery key is 24 words that open the repository when every password is lost.
They are stored nowhere: write them down.";

/// Make a new, empty repository.
///
/// The directory is created if it is missing. The password cannot be recovered: keep it, or the recovery key, in
/// a place that does not burn down together with the data.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Make no recovery key: who loses every password loses everything
    #[arg(long, conflicts_with = "recovery_key_file")]
    no_recovery_key: bool,

    /// Let the members of this group use the repository too (for root and the DSS account side by side)
    #[arg(long, value_name = "NAME|GID")]
    group: Option<String>,

    /// Cut and name chunks as this repository does, so that `copy` between the two has the least to do; all keys that
    /// open, seal or sign are new (see docs/decisions/0013-copies.md)
    #[arg(long, value_name = "LOCATION")]
    like: Option<OsString>,

    #[command(flatten)]
    password: LikeArgs,
}

/// Where the recovery words will go.
enum Recovery {
    Nowhere,
    Terminal,
    File(RecoveryKeyFile),
}

/// Makes a repository.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let location = session.location()?;
    let with_terminal = io::stdout().is_terminal() && !session.output.is_json();
    if !args.no_recovery_key && session.global.recovery_key_file.is_none() && !with_terminal {
        return Err(CliError::usage(
            "there is no terminal to show the recovery key on",
            "give `--recovery-key-file FILE` to have it written there, or `--no-recovery-key` to go without",
        ));
    }
    let like = args.like.map(|location| args.password.open(location, session)).transpose()?;
    let password = Credential::Password(session.first_password()?);
    let recovery = match &session.global.recovery_key_file {
        Some(path) => Recovery::File(RecoveryKeyFile::claim(path)?),
        None if args.no_recovery_key => Recovery::Nowhere,
        None => Recovery::Terminal,
    };
    let group = args.group.as_deref().map(group_number).transpose()?;
    let (store, create) = location.new_store(group)?;
    let with_recovery = !matches!(recovery, Recovery::Nowhere);
    let created = init::create_like(
        store,
        create,
        &password,
        with_recovery,
        like.as_ref().map(|like| &like.repository),
        &system_seams(),
    )?;
    let mut view = InitView::new(created.repository, location.text());
    match (recovery, created.recovery_words) {
        (Recovery::File(file), Some(words)) => {
            file.write(&words)?;
            view.recovery_key_file = session.global.recovery_key_file.clone();
        }
        (Recovery::Terminal, Some(words)) => view.words = Some(words),
        _ => {}
    }
    // The words must be seen even by those who asked for silence.
    if view.words.is_some() {
        session.output.show(&view)?
    } else {
        session.output.report(&view)?
    }
    Ok(Outcome::Clean)
}

/// A group by name, or by number if no group has that name.
fn group_number(group: &str) -> Result<u32, CliError> {
    let known = Names::default().gid(group).or_else(|| group.parse().ok());
    known.ok_or_else(|| {
        CliError::usage(format!("there is no group `{group}`"), "give a name that `getent group` lists, or a number")
    })
}
