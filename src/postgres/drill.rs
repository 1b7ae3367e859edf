//! Trying dumps: each is put back into a throw-away server, its rows are counted, and everything is removed again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::postgres::address::Address;
use crate::postgres::client::Clients;
use crate::postgres::cluster::Cluster;
use crate::postgres::error::PgError;
use crate::postgres::password::Access;
use crate::postgres::restore::{Create, Ready, RestoreOptions, Target};
use crate::postgres::scope::identifier;
use crate::postgres::session::Session;
use crate::postgres::stored::Stored;
use crate::repo::snapshot::DatabaseRecord;

/// How dumps are tried.
#[derive(Debug, Clone, Default)]
pub struct DrillOptions {
    /// The only folder programs are taken from.
    pub clients: Option<PathBuf>,
    /// Where the server's files lie for the time.
    pub place: PathBuf,
}

/// Rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableRows {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows that are there after the restore.
    pub rows: u64,
}

/// What trying a dump showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drilled {
    /// Name of the dump.
    pub name: String,
    /// Tables and their rows, by schema and name.
    pub tables: Vec<TableRows>,
    /// Large objects.
    pub large_objects: u64,
    /// How long the restore took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

/// Tries the dump of this name, or all of the snapshot.
pub fn run(stored: Stored<'_>, name: Option<&str>, options: &DrillOptions) -> Result<Vec<Drilled>, PgError> {
    let records: Vec<&DatabaseRecord> = match name {
        Some(name) => vec![stored.record(name)?],
        None if stored.records().is_empty() => {
            return Err(PgError::NoDump { name: "of a database".to_owned(), known: Vec::new() });
        }
        None => stored.records().iter().collect(),
    };
    let cancel = stored.context.cancel;
    records
        .into_iter()
        .map(|record| {
            let clients = Clients::find(options.clients.as_deref(), cancel)?;
            let client = clients.with_server(&record.client_version).ok_or_else(|| PgError::NoServer {
                wanted: record.client_version.clone(),
                clients: clients.versions(),
            })?;
            let cluster = Cluster::start(client, &options.place, cancel)?;
            drill(stored, record, &cluster, client.folder.as_path())
        })
        .collect()
}

fn drill(stored: Stored<'_>, record: &DatabaseRecord, cluster: &Cluster, clients: &Path) -> Result<Drilled, PgError> {
    let begun = Instant::now();
    let address = cluster.address().with_database(TRIAL);
    let options = RestoreOptions {
        clients: Some(clients.to_owned()),
        create: Create::Plainly,
        no_owner: true,
        ..RestoreOptions::default()
    };
    let target = Target { address: address.clone(), schema: None, access: Access::ambient() };
    let ready = Ready::look(stored, record, target, &options)?;
    ready.restore()?;
    let took = begun.elapsed();
    let (tables, large_objects) = count(&address, ready.client(), stored)?;
    Ok(Drilled { name: record.name.clone(), tables, large_objects, took })
}

/// Name of the database that is tried.
const TRIAL: &str = "dssvault_drill";

const TABLES: &str = "SELECT coalesce(jsonb_agg(jsonb_build_array(n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' \
    AND n.nspname <> 'information_schema'";

fn count(
    address: &Address,
    client: &crate::postgres::client::Client,
    stored: Stored<'_>,
) -> Result<(Vec<TableRows>, u64), PgError> {
    let mut session = Session::open(client, address, &Access::ambient(), stored.context.cancel)?;
    let names: Vec<(String, String)> = session.query(TABLES)?;
    let mut tables = Vec::new();
    for (schema, name) in names {
        let rows = session.query(&format!("SELECT count(*) FROM {}.{}", identifier(&schema), identifier(&name)))?;
        tables.push(TableRows { schema, name, rows });
    }
    Ok((tables, session.query("SELECT count(*) FROM pg_largeobject_metadata")?))
}
