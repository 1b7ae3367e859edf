//! What every command is given: the global options, a way to stop, and output.

use std::io::{self, IsTerminal};
use std::path::Path;

use zeroize::Zeroizing;

use crate::app::AppError;
use crate::app::folders::{FolderRoots, FolderSettings};
use crate::app::open::{self, Location, Opened};
use crate::app::password::PasswordSource;
use crate::base::cancel::Cancel;
use crate::cli::args::GlobalArgs;
use crate::cli::environment;
use crate::cli::error::CliError;
use crate::cli::given::Given;
use crate::cli::output::Output;
use crate::cli::progress::{Reporter, Style};
use crate::cli::{prompt, signals};
use crate::repo::keys::Credential;

/// One run of the program.
pub struct Session {
    /// Options of every command.
    pub global: GlobalArgs,
    /// What was typed of those of the command.
    pub given: Given,
    /// Raised by signals.
    pub cancel: Cancel,
    /// Where results go.
    pub output: Output,
}

impl Session {
    /// Begins a run: from here on signals ask instead of kill.
    pub fn start(global: GlobalArgs, given: Given) -> Result<Self, CliError> {
        let cancel = Cancel::default();
        signals::connect(&cancel).map_err(|source| CliError::File {
            action: "connect",
            what: "signal handlers".to_owned(),
            source,
        })?;
        let output = Output::new(global.json, global.quiet);
        Ok(Self { global, given, cancel, output })
    }

    /// The repository's place.
    pub fn location(&self) -> Result<Location, CliError> {
        let location = self.global.repo.as_deref().ok_or_else(|| {
            CliError::usage("no repository was named", "give one with `-r LOCATION`, or set $DSSVAULT_REPO")
        })?;
        Ok(Location::parse(location)?)
    }

    /// Folders of this machine.
    pub fn folder_roots(&self) -> Result<FolderRoots, AppError> {
        FolderSettings::from_environment(self.global.cache_dir.clone()).roots()
    }

    /// Opens the repository the options name, asking for the password if nothing gives it.
    pub fn open(&self) -> Result<Opened, CliError> {
        let location = self.location()?;
        location.existing_store()?;
        let credential = self.credential(&location.text())?;
        Ok(open::open(&location, &credential, &self.folder_roots()?)?)
    }

    fn credential(&self, location: &str) -> Result<Credential, CliError> {
        match self.password_source() {
            Some(source) => Ok(source.credential()?),
            None if prompt::is_possible() => {
                Ok(Credential::Password(prompt::password(&format!("password for {location}"))?))
            }
            None => Err(no_password()),
        }
    }

    /// The password of a repository that is about to be made.
    pub fn first_password(&self) -> Result<Zeroizing<String>, CliError> {
        match self.plain_password_source() {
            Some(source) => Ok(source.password()?),
            None if prompt::is_possible() => prompt::new_password("password for the new repository"),
            None => Err(no_password()),
        }
    }

    /// Recovery words go before passwords, options before the environment.
    fn password_source(&self) -> Option<PasswordSource> {
        match &self.global.recovery_key_file {
            Some(path) => Some(PasswordSource::RecoveryKeyFile(path.clone())),
            None => self.plain_password_source(),
        }
    }

    /// The password a key is to have: from a file, the environment, or asked for twice.
    pub fn new_password(&self, file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
        if let Some(path) = file {
            return Ok(PasswordSource::File(path.to_owned()).password()?);
        }
        if std::env::var_os(environment::NEW_PASSWORD).is_some() {
            return Ok(PasswordSource::Variable(environment::NEW_PASSWORD).password()?);
        }
        if prompt::is_possible() {
            return prompt::new_password("new password");
        }
        Err(CliError::usage(
            "no new password was given, and there is no terminal to ask for it",
            "use `--new-password-file FILE` or $DSSVAULT_NEW_PASSWORD",
        ))
    }

    fn plain_password_source(&self) -> Option<PasswordSource> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = &self.global.password_file {
            return Some(PasswordSource::File(path.clone()));
        }
        if let Some(command) = &self.global.password_command {
            return Some(PasswordSource::Command(command.clone()));
        }
        if let Some(path) = variable(environment::PASSWORD_FILE) {
            return Some(PasswordSource::File(path.into()));
        }
        if let Some(command) = variable(environment::PASSWORD_COMMAND) {
            return Some(PasswordSource::Command(command.to_string_lossy().into_owned()));
        }
        // Set but empty is refused later, by name, instead of asking: a script lost its secret.
        std::env::var_os(environment::PASSWORD).map(|_| PasswordSource::Variable(environment::PASSWORD))
    }

    /// Shows problems but no progress: for commands whose result is what scrolls by.
    pub fn problems_only(&self) -> Reporter {
        Reporter::new(if self.global.json { Style::JsonErrors } else { Style::Silent })
    }

    /// Progress as the options and the terminal ask for it.
    pub fn reporter(&self) -> Reporter {
        let style = if self.global.json {
            if self.global.quiet { Style::JsonErrors } else { Style::Json }
        } else if self.global.quiet {
            Style::Silent
        } else if io::stderr().is_terminal() {
            Style::Bar
        } else if self.global.progress || self.global.verbose > 0 {
            Style::Lines
        } else {
            Style::Silent
        };
        Reporter::new(style)
    }
}

fn no_password() -> CliError {
    CliError::usage(
        "no password was given, and there is no terminal to ask for it",
        "use `--password-file FILE`, `--password-command CMD` or $DSSVAULT_PASSWORD",
    )
}
