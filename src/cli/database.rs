//! Options that say which databases are meant and how one gets into them, the same wherever they appear.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::app::password::PasswordSource;
use crate::cli::environment;
use crate::cli::error::CliError;
use crate::cli::prompt;
use crate::cli::text::{self, counted};
use crate::postgres::address::Address;
use crate::postgres::backup::{LargeObjects, Options, Request};
use crate::postgres::password::{Access, Password};
use crate::postgres::restore::{Create, Place, RestoreOptions};
use crate::postgres::scope::Scope;

/// What these options stand below in help.
pub const HEADING: &str = "PostgreSQL databases";

/// How a server lets one in.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = HEADING)]
pub struct AccessArgs {
    /// File that holds the password of the databases; libpq's own ways work too: PGPASSFILE, ~/.pgpass,
    /// certificates, sockets
    #[arg(long, value_name = "FILE", env = environment::DATABASE_PASSWORD_FILE, hide_env_values = true)]
    database_password_file: Option<PathBuf>,
    /// Shell command that prints it
    #[arg(long, value_name = "CMD", env = environment::DATABASE_PASSWORD_COMMAND, hide_env_values = true,
          conflicts_with = "database_password_file")]
    database_password_command: Option<String>,
    /// Take the client programs of PostgreSQL from this folder
    #[arg(long, value_name = "DIR", env = environment::PG_BIN)]
    pg_bin: Option<PathBuf>,
}

impl AccessArgs {
    /// The password, if one is given; an empty variable is one that is not set.
    pub fn password(&self) -> Result<Option<Password>, CliError> {
        let file = self.database_password_file.clone().filter(|file| !file.as_os_str().is_empty());
        let command = self.database_password_command.clone().filter(|command| !command.is_empty());
        let is_set = |name: &&'static str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let variable = [environment::DATABASE_PASSWORD, "PGPASSWORD"].into_iter().find(is_set);
        let source = file
            .map(PasswordSource::File)
            .or(command.map(PasswordSource::Command))
            .or(variable.map(PasswordSource::Variable));
        Ok(source.map(|source| source.password()).transpose()?.map(Password::new))
    }

    /// The folder of client programs, if one was named.
    pub fn folder(&self) -> Option<PathBuf> {
        self.pg_bin.clone().filter(|folder| !folder.as_os_str().is_empty())
    }
}

/// Which databases are dumped, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = HEADING)]
pub struct DumpArgs {
    /// `auto`: those the data directory names; `none`; or postgresql://USER@HOST:PORT/DATABASE, with
    /// ?currentSchema=S&tableNamePrefix=P for a part of it; may be given again [default: auto]
    #[arg(long = "database", value_name = "WHICH")]
    databases: Vec<Which>,
    /// `yes` or `no`: dump the large objects of the database; `auto`: if they can only be its own
    #[arg(long, value_name = "WORD", default_value = "auto")]
    large_objects: LargeObjectsWord,
    /// Dump the hashes of the roles' passwords too
    #[arg(long, conflicts_with = "no_globals")]
    role_passwords: bool,
    /// Do not dump the roles and settings of the server
    #[arg(long)]
    no_globals: bool,
    /// How long a lock that somebody holds on a table is waited for
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = text::span)]
    lock_wait: Option<Duration>,
    #[command(flatten)]
    access: AccessArgs,
}

impl DumpArgs {
    /// Whether those the data directory names are meant.
    pub fn configured(&self) -> bool {
        self.databases.is_empty() || self.databases.contains(&Which::Auto)
    }

    /// Those that were named.
    pub fn named(&self) -> Result<Vec<(Address, Scope)>, CliError> {
        if self.databases.contains(&Which::None) && self.databases.len() > 1 {
            return Err(CliError::usage(
                "`--database none` stands beside another `--database`",
                "leave one of them out",
            ));
        }
        let named = |which: &Which| match which {
            Which::Named(text) => Some(Address::parse(text)),
            Which::Auto | Which::None => None,
        };
        Ok(self.databases.iter().filter_map(named).collect::<Result<_, _>>()?)
    }

    /// The password, if one is given.
    pub fn password(&self) -> Result<Option<Password>, CliError> {
        self.access.password()
    }

    /// How they are dumped.
    pub fn options(&self) -> Options {
        let lock_wait = self.lock_wait.unwrap_or(Options::default().lock_wait);
        Options {
            clients: self.access.folder(),
            large_objects: self.large_objects.0,
            globals: !self.no_globals,
            role_passwords: self.role_passwords,
            lock_wait,
        }
    }

    /// Those that were named, ready to be looked at.
    pub fn requests(&self) -> Result<Vec<Request>, CliError> {
        let password = self.password()?;
        let request = |(address, scope)| {
            let access = Access::with(password.as_ref())?;
            Ok(Request { address, scope, kind: None, access })
        };
        self.named()?.into_iter().map(request).collect()
    }
}

/// What becomes of the databases of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Databases {
    /// Put them back with the files
    Restore,
    /// Leave them as they are
    Skip,
    /// Put back nothing else
    Only,
}

/// Which dumps are put back, and where.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = HEADING)]
pub struct PutBackArgs {
    /// What becomes of the databases in the snapshot; asked for on a terminal
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with = "target")]
    pub databases: Option<Databases>,
    /// Another place for a dump: OLD is its name in the snapshot or that of its database, NEW a
    /// postgresql:// address, another database of the same server, or ?currentSchema=S for another schema
    #[arg(long = "database-map", value_name = "OLD=NEW", conflicts_with = "target")]
    maps: Vec<String>,
    /// Remove what is in the way, in the same transaction; what belongs to others never goes
    #[arg(long, conflicts_with = "target")]
    clean_database: bool,
    /// Make the database if the server does not have it
    #[arg(long, conflicts_with = "target")]
    create_database: bool,
    /// Let everything belong to the account that restores, without rights for others
    #[arg(long, conflicts_with = "target")]
    no_database_owner: bool,
    /// Try a server of an older version than that of the dump
    #[arg(long, conflicts_with = "target")]
    older_server: bool,
    #[command(flatten)]
    access: AccessArgs,
}

impl PutBackArgs {
    /// How they are put back.
    pub fn options(&self) -> RestoreOptions {
        RestoreOptions {
            clients: self.access.folder(),
            clean: self.clean_database,
            create: if self.create_database { Create::AsItWas } else { Create::No },
            no_owner: self.no_database_owner,
            older_server: self.older_server,
        }
    }

    /// The password, if one is given.
    pub fn password(&self) -> Result<Option<Password>, CliError> {
        self.access.password()
    }

    /// The other places, by the dumps' names.
    pub fn maps(&self) -> Result<Vec<(String, Place)>, CliError> {
        self.maps.iter().map(|text| map(text)).collect()
    }

    /// What is to be done, if a snapshot has so many dumps; asks where it can.
    pub fn choice(&self, dumps: usize, is_node: bool, may_ask: bool) -> Result<Databases, CliError> {
        match self.databases {
            Some(choice) => Ok(choice),
            None if dumps == 0 => Ok(Databases::Skip),
            // Whoever restores a snapshot of nothing else means them.
            None if !is_node => Ok(Databases::Only),
            None if may_ask => {
                let question = format!("put {} back too", counted(dumps as u64, "database", "databases"));
                Ok(if prompt::yes(&question)? { Databases::Restore } else { Databases::Skip })
            }
            None => Err(CliError::usage(
                format!("the snapshot holds {}", counted(dumps as u64, "database", "databases")),
                "say what becomes of them: `--databases restore`, `--databases skip` or `--databases only`",
            )),
        }
    }
}

fn map(text: &str) -> Result<(String, Place), CliError> {
    let Some((old, new)) = text.split_once('=').filter(|(old, new)| !old.is_empty() && !new.is_empty()) else {
        return Err(CliError::usage("`--database-map` wants OLD=NEW", "see `dssvault restore --help`"));
    };
    Ok((old.to_owned(), Place::parse(new)?))
}

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Auto,
    None,
    /// Looked at later: an address that cannot be used may hold a password, and refused arguments are repeated.
    Named(String),
}

impl FromStr for Which {
    type Err = std::convert::Infallible;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "auto" => Self::Auto,
            "none" => Self::None,
            _ => Self::Named(word.to_owned()),
        })
    }
}

/// As clap wants defaults to be shown.
#[derive(Debug, Clone, Copy, Default)]
struct LargeObjectsWord(LargeObjects);

impl FromStr for LargeObjectsWord {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "auto" => Ok(Self(LargeObjects::Auto)),
            "yes" => Ok(Self(LargeObjects::Yes)),
            "no" => Ok(Self(LargeObjects::No)),
            _ => Err("write `auto`, `yes` or `no`".to_owned()),
        }
    }
}
