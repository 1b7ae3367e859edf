//! Trying dumps: each is put back into a throw-away server, its rows are counted, and everything is removed again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::base::random::{Entropy, array};
use crate::postgres::address::Address;
use crate::postgres::client::{Client, Clients};
use crate::postgres::cluster::{Cluster, Loopback, OWNER};
use crate::postgres::error::PgError;
use crate::postgres::password::Access;
use crate::postgres::restore::{Create, Ready, RestoreOptions, Target};
use crate::postgres::scope::identifier;
use crate::postgres::session::Session;
use crate::postgres::stored::Stored;
use crate::postgres::url::HostPort;
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
            let client = server_for(&clients, record)?;
            let cluster = Cluster::start(client, &options.place, None, cancel)?;
            drill(stored, record, &cluster, client.folder.as_path())
        })
        .collect()
}

/// The databases of a copy that is tried: each in a throw-away server of its own, which DSS reaches over the loopback
/// and which ends with what is returned. Nothing of the servers they came from is asked.
pub fn for_copy<'a>(
    stored: Stored<'a>,
    options: &DrillOptions,
    entropy: &dyn Entropy,
) -> Result<(Vec<Cluster>, Vec<Ready<'a>>), PgError> {
    let cancel = stored.context.cancel;
    let (mut clusters, mut all) = (Vec::new(), Vec::new());
    for record in stored.records() {
        let clients = Clients::find(options.clients.as_deref(), cancel)?;
        let client = server_for(&clients, record)?;
        let user = stored.facts(record)?.address.user.unwrap_or_else(|| OWNER.to_owned());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map(|at| at.port());
        let port = port.map_err(|error| PgError::local("find a free port on", "127.0.0.1", error))?;
        // Whoever does not know its name cannot reach it.
        let unguessable = array::<16>(entropy).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let loopback = Loopback { port, user: user.clone(), database: format!("{TRIAL}_{unguessable}") };
        let cluster = Cluster::start(client, &options.place, Some(&loopback), cancel)?;
        if user != OWNER {
            let mut session = Session::open(client, &cluster.address(), &Access::ambient(), cancel)?;
            session.execute(&format!("CREATE ROLE {} SUPERUSER LOGIN", identifier(&user)))?;
        }
        let inside = Address { user: Some(user), ..cluster.address().with_database(&loopback.database) };
        let hosts = vec![HostPort { host: "127.0.0.1".to_owned(), port }];
        let seen_as = Some(Address { hosts, ..inside.clone() });
        let target = Target { address: inside, schema: None, access: Access::ambient(), seen_as };
        all.push(Ready::look(stored, record, target, &plainly(&client.folder))?);
        clusters.push(cluster);
    }
    Ok((clusters, all))
}

fn server_for<'c>(clients: &'c Clients, record: &DatabaseRecord) -> Result<&'c Client, PgError> {
    clients
        .with_server(&record.client_version)
        .ok_or_else(|| PgError::NoServer { wanted: record.client_version.clone(), clients: clients.versions() })
}

fn plainly(clients: &Path) -> RestoreOptions {
    let clients = Some(clients.to_owned());
    RestoreOptions { clients, create: Create::Plainly, no_owner: true, ..RestoreOptions::default() }
}

fn drill(stored: Stored<'_>, record: &DatabaseRecord, cluster: &Cluster, clients: &Path) -> Result<Drilled, PgError> {
    let begun = Instant::now();
    let address = cluster.address().with_database(TRIAL);
    let options = plainly(clients);
    let target = Target { address: address.clone(), schema: None, access: Access::ambient(), seen_as: None };
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

fn count(address: &Address, client: &Client, stored: Stored<'_>) -> Result<(Vec<TableRows>, u64), PgError> {
    let mut session = Session::open(client, address, &Access::ambient(), stored.context.cancel)?;
    let names: Vec<(String, String)> = session.query(TABLES)?;
    let mut tables = Vec::new();
    for (schema, name) in names {
        let rows = session.query(&format!("SELECT count(*) FROM {}.{}", identifier(&schema), identifier(&name)))?;
        tables.push(TableRows { schema, name, rows });
    }
    Ok((tables, session.query("SELECT count(*) FROM pg_largeobject_metadata")?))
}
