//! Databases as part of a snapshot: looked at before anything is stored or stopped, held at one moment each, dumped.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::cancel::Cancel;
use crate::base::clock::{Clock, Timestamp};
use crate::base::size::ByteCount;
use crate::postgres::address::Address;
use crate::postgres::client::{Client, Clients};
use crate::postgres::dump::{Dump, DumpOptions};
use crate::postgres::error::PgError;
use crate::postgres::held::Held;
use crate::postgres::password::Access;
use crate::postgres::record::{DatabaseFacts, folder_name};
use crate::postgres::scope::Scope;
use crate::postgres::session::Session;
use crate::postgres::survey::{self, Survey};
use crate::postgres::{DUMP, FACTS, FOLDER, GLOBALS};
use crate::repo::snapshot::{DatabaseRecord, Member};
use crate::sys::ahead::Ahead;
use crate::vault::VaultError;
use crate::vault::backup::{StreamKind, StreamSink};

/// More roles than any server has.
const GLOBALS_BYTES_MAX: u64 = 64 << 20;

/// A database to be dumped.
pub struct Request {
    /// Where it is.
    pub address: Address,
    /// Which part of it.
    pub scope: Scope,
    /// What it is to DSS: `govern`, `runtime`, `fleet_manager`.
    pub kind: Option<String>,
    /// How one gets in.
    pub access: Access,
}

/// Whether large objects, which belong to no schema, are dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LargeObjects {
    /// If they can be told to belong to what is dumped.
    #[default]
    Auto,
    /// All of the database.
    Yes,
    /// None.
    No,
}

/// How databases are dumped.
#[derive(Debug, Clone)]
pub struct Options {
    /// The only folder client programs are taken from.
    pub clients: Option<PathBuf>,
    /// What becomes of large objects.
    pub large_objects: LargeObjects,
    /// Whether roles and settings of the server are dumped beside each database.
    pub globals: bool,
    /// Whether with the hashes of passwords.
    pub role_passwords: bool,
    /// How long somebody else's lock on a table is waited for.
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let lock_wait = Duration::from_secs(60);
        Self { clients: None, large_objects: LargeObjects::Auto, globals: true, role_passwords: false, lock_wait }
    }
}

/// A database that was looked at.
pub struct Prepared {
    request: Request,
    client: Client,
    name: String,
    survey: Survey,
}

/// Databases that can be dumped.
pub struct Databases {
    prepared: Vec<Prepared>,
    options: Options,
    /// What was dumped.
    pub records: Vec<DatabaseRecord>,
}

impl Databases {
    /// Looks at each: it must be there, let us in, be readable, and there must be a `pg_dump` for its server.
    pub fn prepare(requests: Vec<Request>, options: Options, cancel: &Cancel) -> Result<Self, PgError> {
        let mut prepared: Vec<Prepared> = Vec::new();
        if !requests.is_empty() {
            let clients = Clients::find(options.clients.as_deref(), cancel)?;
            for request in requests {
                let taken: Vec<String> = prepared.iter().map(|one| one.name.clone()).collect();
                prepared.push(Prepared::look(request, &clients, &taken, cancel)?);
            }
        }
        Ok(Self { prepared, options, records: Vec::new() })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prepared.is_empty()
    }

    /// They, as parts of a snapshot.
    pub fn members(&self) -> Vec<Member> {
        let member = |one: &Prepared| Member { kind: FOLDER.to_owned(), name: one.request.address.label() };
        self.prepared.iter().map(member).collect()
    }

    /// What a dry run tells of each: its name in the snapshot and what it may come to.
    pub fn expected(&self) -> Vec<(String, u64)> {
        self.prepared.iter().map(|one| (one.name.clone(), one.survey.expected_bytes())).collect()
    }

    /// Dumps them. All are held at their moment before the first dump begins.
    pub fn bring(&mut self, sink: &mut dyn StreamSink, clock: &dyn Clock, cancel: &Cancel) -> Result<(), PgError> {
        let mut held = Vec::new();
        for one in &self.prepared {
            let mut session = Session::open(&one.client, &one.request.address, &one.request.access, cancel)?;
            let snapshot = Held::take(&mut session, clock)?;
            held.push((session, snapshot));
        }
        let moments: Vec<(String, Timestamp)> = self
            .prepared
            .iter()
            .zip(&held)
            .map(|(one, (_, snapshot))| (one.request.address.server(), snapshot.moment))
            .collect();
        let mut globals: Vec<(String, Vec<u8>)> = Vec::new();
        for (one, (mut session, snapshot)) in self.prepared.iter_mut().zip(held) {
            // As it is at that moment: it may have changed since it was looked at first.
            one.survey = one.look_again(&mut session)?;
            let server = one.request.address.server();
            if self.options.globals && globals.iter().all(|(known, _)| *known != server) {
                globals.push((server.clone(), one.globals(&self.options, cancel)?));
            }
            let roles = globals.iter().find(|(known, _)| *known == server).map(|(_, bytes)| bytes.as_slice());
            let record = one.dump(&snapshot, &self.options, roles, sink, clock, cancel)?;
            self.records.push(DatabaseRecord { spread_ms: spread(&moments, &server), ..record });
        }
        Ok(())
    }
}

impl Prepared {
    fn look(request: Request, clients: &Clients, taken: &[String], cancel: &Cancel) -> Result<Self, PgError> {
        let label = request.address.label();
        let none = || PgError::NoClient { looked_in: Vec::new(), asked: false };
        let asking = clients.newest().ok_or_else(none)?;
        let mut session = Session::open(asking, &request.address, &request.access, cancel)?;
        let survey = survey::look(&mut session, &request.scope)?;
        survey.check(&request.scope, &label)?;
        let client = clients.fitting(survey.server.major()).ok_or_else(|| PgError::ClientTooOld {
            database: label,
            server: survey.server.version.clone(),
            clients: clients.versions(),
        })?;
        let name = folder_name(&survey.server.database, &request.scope, taken);
        Ok(Self { client: client.clone(), request, name, survey })
    }

    fn look_again(&self, session: &mut Session<'_>) -> Result<Survey, PgError> {
        let survey = survey::look(session, &self.request.scope)?;
        survey.check(&self.request.scope, &self.request.address.label())?;
        Ok(survey)
    }

    /// The address with the database spelled out, for programs that take another one by themselves.
    fn address(&self) -> Address {
        self.request.address.with_database(&self.survey.server.database)
    }

    fn globals(&self, options: &Options, cancel: &Cancel) -> Result<Vec<u8>, PgError> {
        let access = &self.request.access;
        let mut dump = Dump::of_globals(&self.client, &self.address(), access, options.role_passwords, cancel)?;
        let mut text = Vec::new();
        let read = (&mut dump).take(GLOBALS_BYTES_MAX).read_to_end(&mut text);
        if cancel.is_requested() {
            return Err(PgError::Interrupted);
        }
        read.map_err(|error| PgError::local("read from", "pg_dumpall", error))?;
        if text.len() as u64 == GLOBALS_BYTES_MAX {
            // It would wait for ever for somebody who reads on.
            let why = format!("its roles and tablespaces fill more than {}", ByteCount(GLOBALS_BYTES_MAX));
            return Err(PgError::Answer { database: self.request.address.label(), why });
        }
        dump.finish()?;
        Ok(text)
    }

    /// Whether large objects are dumped, and what a restore must know if not.
    fn large_objects(&self, wanted: LargeObjects) -> (bool, Option<String>) {
        match (wanted, self.survey.owns_large_objects(&self.request.scope)) {
            (LargeObjects::Yes, _) | (LargeObjects::Auto, Ok(())) => (true, None),
            (LargeObjects::No, _) if self.survey.server.large_objects == 0 => (false, None),
            (LargeObjects::No, _) => (false, Some("large objects were left out, as was asked for".to_owned())),
            (LargeObjects::Auto, Err(why)) => {
                (false, Some(format!("large objects were left out: {why}; `--large-objects yes` takes them all")))
            }
        }
    }

    fn dump(
        &self,
        held: &Held,
        options: &Options,
        globals: Option<&[u8]>,
        sink: &mut dyn StreamSink,
        clock: &dyn Clock,
        cancel: &Cancel,
    ) -> Result<DatabaseRecord, PgError> {
        let Request { address, scope, kind, access } = &self.request;
        let (large_objects, caveat) = self.large_objects(options.large_objects);
        let snapshot = held.snapshot.clone();
        let dumped = DumpOptions { scope: scope.clone(), snapshot, large_objects, lock_wait: options.lock_wait };
        let mut dump = Dump::of_database(&self.client, address, access, &dumped, cancel)?;
        let (path, how) =
            ([FOLDER, &*self.name, DUMP], StreamKind::Database { expected: self.survey.expected_bytes() });
        // `pg_dump` and its server must not wait while we cut and hash.
        let stored = Ahead::during(&mut dump, |ahead| sink.store(&path, how, ahead));
        let bytes = match stored {
            Err(VaultError::Interrupted) => return Err(PgError::Interrupted),
            stored => stored?,
        };
        dump.finish()?;
        let ended = clock.now();
        if let Some(mut globals) = globals {
            sink.store(&[FOLDER, &self.name, GLOBALS], StreamKind::Database { expected: 0 }, &mut globals)?;
        }
        let facts = self.facts(large_objects);
        let json = serde_json::to_vec_pretty(&facts).map_err(|error| PgError::local("write", FACTS, error.into()))?;
        sink.store(&[FOLDER, &self.name, FACTS], StreamKind::Database { expected: 0 }, &mut json.as_slice())?;
        Ok(DatabaseRecord {
            name: self.name.clone(),
            kind: kind.clone(),
            server: address.server(),
            database: self.survey.server.database.clone(),
            schema: scope.schema.clone(),
            table_prefix: scope.prefix.clone(),
            server_version: self.survey.server.version.clone(),
            client_version: self.client.version.clone(),
            began: held.moment,
            ended,
            lsn: held.lsn.clone(),
            bytes,
            server_bytes: self.survey.server.bytes,
            relations: self.survey.relations.len() as u64,
            spread_ms: None,
            skew_ms: None,
            caveats: caveat.into_iter().collect(),
        })
    }

    fn facts(&self, has_large_objects: bool) -> DatabaseFacts {
        DatabaseFacts {
            server: self.survey.server.clone(),
            address: self.address(),
            scope: self.request.scope.clone(),
            has_large_objects,
            kind: self.request.kind.clone(),
            relations: self.survey.relations.clone(),
            client: self.client.version.clone(),
        }
    }
}

/// Milliseconds between the first and the last moment a database of this server was held at; `None` if it is one.
fn spread(moments: &[(String, Timestamp)], server: &str) -> Option<u64> {
    let of_server: Vec<Timestamp> = moments.iter().filter(|(known, _)| known == server).map(|(_, at)| *at).collect();
    let (first, last) = (of_server.iter().min()?, of_server.iter().max()?);
    (of_server.len() > 1).then(|| u64::try_from(last.millis_since(*first)).unwrap_or(0))
}
