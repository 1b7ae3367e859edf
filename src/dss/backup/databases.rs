//! Which databases on servers belong to the backup of a node, and how one gets into them.

use std::cell::RefCell;
use std::path::Path;

use crate::base::cancel::Cancel;
use crate::dss::backup::error::NodeError;
use crate::dss::datadir::databases::{Database, DatabaseKind, Server};
use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::stored_password;
use crate::postgres::address::Address;
use crate::postgres::backup::{Databases, Options, Request};
use crate::postgres::error::PgError;
use crate::postgres::password::{Access, Password};
use crate::postgres::scope::Scope;
use crate::postgres::url::PasswordKind;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct DatabaseWish {
    /// Whether those that the configuration of the node names are meant.
    pub configured: bool,
    /// Others, or the same by other ways.
    pub named: Vec<(Address, Scope)>,
    /// The password; if there is none, what the configuration tells in clear, or what libpq finds.
    pub password: Option<Password>,
    /// How they are dumped.
    pub options: Options,
}

/// Databases that were looked at, and what the snapshot will lack.
pub struct Found {
    /// To be dumped. Who brings them into the snapshot holds the node only by a shared reference.
    pub databases: RefCell<Databases>,
    /// Configured databases that nobody asked for.
    pub caveats: Vec<String>,
}

/// Looks at the databases of a node: what must fail fails before anything is stored or stopped.
pub fn prepare(root: &Path, facts: &Facts, wish: &DatabaseWish, cancel: &Cancel) -> Result<Found, NodeError> {
    let mut requests = Vec::new();
    let mut caveats = Vec::new();
    let mut encrypted = None;
    for (database, server) in on_servers(facts) {
        let same = |(address, _): &&(Address, Scope)| address.database == server.database;
        if wish.configured {
            if server.password == PasswordKind::Encrypted && wish.password.is_none() {
                encrypted.get_or_insert(database.described_in.clone());
            }
            requests.push(configured(root, database, server, wish)?);
        } else if wish.named.iter().find(same).is_none() {
            caveats.push(format!("the database of {} is not in the snapshot", database.described_in));
        }
    }
    for (address, scope) in &wish.named {
        let same = |(_, server): &(&Database, &Server)| server.database == address.database;
        let kind = on_servers(facts).find(same).map(|(database, _)| database.kind);
        let access = Access::with(password(root, kind, wish).as_ref())?;
        let (address, scope, kind) = (address.clone(), scope.clone(), kind.map(|kind| kind.word().to_owned()));
        requests.push(Request { address, scope, kind, access });
    }
    let prepared = Databases::prepare(requests, wish.options.clone(), cancel);
    let databases = prepared.map_err(|error| match (error, encrypted) {
        // Only DSS knows the password, so nobody was let in.
        (PgError::Password { database, .. }, Some(described_in)) => PgError::Encrypted { database, described_in },
        (error, _) => error,
    })?;
    Ok(Found { databases: RefCell::new(databases), caveats })
}

fn on_servers(facts: &Facts) -> impl Iterator<Item = (&Database, &Server)> {
    facts.databases.iter().filter_map(|database| Some((database, database.server.as_ref()?)))
}

/// What was given, or what the configuration tells in clear.
fn password(root: &Path, kind: Option<DatabaseKind>, wish: &DatabaseWish) -> Option<Password> {
    wish.password.clone().or_else(|| stored_password::read(root, kind?).map(Password::new))
}

fn configured(root: &Path, database: &Database, server: &Server, wish: &DatabaseWish) -> Result<Request, NodeError> {
    Ok(Request {
        address: Address {
            hosts: server.hosts.clone(),
            database: server.database.clone(),
            user: server.user.clone(),
            parameters: server.parameters.clone(),
        },
        scope: Scope {
            schema: server.schema.clone(),
            prefix: server.table_prefix.clone().filter(|text| !text.is_empty()),
        },
        kind: Some(database.kind.word().to_owned()),
        access: Access::with(password(root, Some(database.kind), wish).as_ref())?,
    })
}
