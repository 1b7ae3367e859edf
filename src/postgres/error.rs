//! Why a database was not backed up or put back.

use std::io;
use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::vault::VaultError;

/// What goes wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// An address that cannot be used.
    #[error("the address {address} cannot be used: {why}")]
    Address {
        /// It, without account and parameters.
        address: String,
        /// Why.
        why: String,
    },
    /// No client programs.
    #[error("the client programs of PostgreSQL (pg_dump, pg_dumpall, pg_restore, psql) were not found")]
    NoClient {
        /// Folders that were looked in.
        looked_in: Vec<PathBuf>,
        /// Whether the folder was asked for.
        asked: bool,
    },
    /// No server programs.
    #[error(
        "the server programs of PostgreSQL (initdb, pg_ctl) of version {wanted} or newer were not found; clients are {clients}"
    )]
    NoServer {
        /// Version of the dump.
        wanted: String,
        /// Versions of clients found.
        clients: String,
    },
    /// `pg_dump` refuses newer servers.
    #[error("the server of {database} has version {server}, and the newest pg_dump here is {clients}")]
    ClientTooOld {
        /// The database.
        database: String,
        /// Version of the server.
        server: String,
        /// Versions found.
        clients: String,
    },
    /// Nobody listens, or nobody there knows the name.
    #[error("{database} cannot be reached: {why}")]
    Connect {
        /// The database.
        database: String,
        /// What the client said.
        why: String,
    },
    /// The server wants another proof, or any.
    #[error("{database} lets nobody in: {why}")]
    Password {
        /// The database.
        database: String,
        /// What the client said.
        why: String,
    },
    /// DSS keeps the password where nobody else can read it.
    #[error("the password of {database} is encrypted by DSS in {described_in}, and only DSS can read it")]
    Encrypted {
        /// The database.
        database: String,
        /// What describes it.
        described_in: String,
    },
    /// The account may not read all that is meant.
    #[error("the account may not read {table} of {database}{}", more(*.others))]
    Unreadable {
        /// The database.
        database: String,
        /// The first table.
        table: String,
        /// How many more.
        others: usize,
    },
    /// Nothing is there that is meant.
    #[error("{database} has nothing of what was asked for: {what}")]
    Empty {
        /// The database.
        database: String,
        /// What is missing.
        what: String,
    },
    /// There is something already where the dump would go.
    #[error("{database} is not empty: it has {first}{}", more(*.others))]
    NotEmpty {
        /// The database.
        database: String,
        /// The first table.
        first: String,
        /// How many more.
        others: usize,
    },
    /// What the dump names is not on the server.
    #[error("the dump of {name} needs {what}, which {database} does not have")]
    Lacks {
        /// The dump.
        name: String,
        /// Where it would go.
        database: String,
        /// Roles or extensions.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A server of an older version may not understand the dump.
    #[error("{database} is of version {server}, the dump of {name} of {dumped}")]
    OlderServer {
        /// The dump.
        name: String,
        /// Where it would go.
        database: String,
        /// Version there.
        server: String,
        /// Version of the dump.
        dumped: String,
    },
    /// A snapshot without such a dump.
    #[error("the snapshot holds no dump {name}{}", there_are(.known))]
    NoDump {
        /// What was asked for.
        name: String,
        /// What it holds.
        known: Vec<String>,
    },
    /// A client program failed while it worked.
    #[error("{program} of {database} {how}{}", said(.why))]
    Failed {
        /// The program.
        program: &'static str,
        /// The database.
        database: String,
        /// How it ended.
        how: String,
        /// The end of what it said.
        why: String,
    },
    /// The dump is not what a dump looks like.
    #[error("the dump of {database} is damaged: {why}")]
    Damaged {
        /// The database.
        database: String,
        /// What was found.
        why: String,
    },
    /// The server answered something else than was asked.
    #[error("{database} gave an answer that makes no sense: {why}")]
    Answer {
        /// The database.
        database: String,
        /// Why.
        why: String,
    },
    /// A local file or program.
    #[error("cannot {action} {}: {source}", path.display())]
    Local {
        /// The verb.
        action: &'static str,
        /// The object.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The repository.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Stopped on request.
    #[error("interrupted")]
    Interrupted,
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" and {others} more tables") }
}

fn there_are(known: &[String]) -> String {
    if known.is_empty() { ", and no other".to_owned() } else { format!("; it holds {}", known.join(", ")) }
}

fn said(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// What clients say if the server wants another proof. Source: libpq and the server, `fe-auth.c` and `auth.c`.
const PROOFS: [&str; 7] = [
    "password authentication failed",
    "no password supplied",
    "Peer authentication failed",
    "Ident authentication failed",
    "no pg_hba.conf entry",
    "certificate authentication failed",
    "password file",
];

/// How what a client says begins if no connection came about, and what it says if one broke.
const NO_WAY: [&str; 4] =
    ["psql: error:", "server closed the connection", "terminating connection", "connection to server was lost"];

impl PgError {
    /// A failed local call.
    pub fn local(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Local { action, path: path.into(), source }
    }

    /// What a client says of a connection that did not come about or broke.
    pub fn of_client(database: &str, said: &str) -> Self {
        let (database, why) = (database.to_owned(), one_line(said));
        if PROOFS.iter().any(|words| why.contains(words)) {
            Self::Password { database, why }
        } else if why.is_empty() || NO_WAY.iter().any(|words| why.contains(words)) {
            Self::Connect { database, why }
        } else {
            Self::Failed { program: "psql", database, how: "failed".to_owned(), why }
        }
    }

    /// Whether it was refused by policy, and not a failure.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::ClientTooOld { .. }
                | Self::Encrypted { .. }
                | Self::NotEmpty { .. }
                | Self::Lacks { .. }
                | Self::OlderServer { .. }
        )
    }
}

/// Several lines as one sentence.
pub fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

impl Hint for PgError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Address { .. } => {
                "write `postgresql://USER@HOST:PORT/DATABASE`, and give the password with `--database-password-file`, \
                 `--database-password-command` or PGPASSFILE"
            }
            Self::NoClient { asked: true, .. } => "name the folder that holds them with `--pg-bin`",
            Self::NoClient { .. } => {
                "install them (`apt install postgresql-client`, `dnf install postgresql`), or name their folder with \
                 `--pg-bin`"
            }
            Self::NoServer { .. } => {
                "install them (`apt install postgresql`, `dnf install postgresql-server`), or name their folder with `--pg-bin`"
            }
            Self::ClientTooOld { .. } => {
                "install the client programs of the server's version or a newer one; `--pg-bin` names their folder"
            }
            Self::Connect { .. } => {
                "see that the server runs and can be reached from here, with `psql` and the same address"
            }
            Self::Password { .. } | Self::Encrypted { .. } => {
                "give the password with `--database-password-file`, `--database-password-command`, \
                 DSSVAULT_DATABASE_PASSWORD or a PGPASSFILE of libpq's form"
            }
            Self::Unreadable { .. } => "back it up as the owner of the tables, or grant the account `pg_read_all_data`",
            Self::Empty { .. } => "check schema and prefix: `dssvault inspect` shows what the configuration names",
            Self::NotEmpty { .. } => {
                "`--clean-database` removes what is there in the same transaction, `--database-map` names another database"
            }
            Self::Lacks { hint, .. } => hint,
            Self::OlderServer { .. } => "restore it into a server of that version, or try it with `--older-server`",
            Self::NoDump { .. } => "`dssvault snapshots --json` tells what each snapshot holds",
            Self::Damaged { .. } => "run it again; if it happens again, look into the server's log",
            Self::Failed { .. } => "the server's log tells more; nothing was committed",
            Self::Vault(cause) => return cause.hint(),
            Self::Answer { .. } | Self::Local { .. } | Self::Interrupted => return None,
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_told_apart() {
        let kind = |said: &str| PgError::of_client("d on h", said);
        let refused = "psql: error: connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running?";
        assert!(matches!(kind(refused), PgError::Connect { why, .. } if why.ends_with("; Is the server running?")));
        assert!(matches!(
            kind("psql: error: FATAL:  password authentication failed for user \"u\""),
            PgError::Password { .. }
        ));
        assert!(matches!(kind("psql: error: fe_sendauth: no password supplied"), PgError::Password { .. }));
        assert!(matches!(kind("ERROR:  syntax error"), PgError::Failed { .. }));
    }
}
