//! Putting dumps back: everything that can be known to fail is known before anything is touched, and what is done is
//! one transaction: afterwards the database is as the dump says, or as it was.

mod new_database;
mod pipe;
mod script;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::postgres::address::Address;
use crate::postgres::client::{Client, Clients};
use crate::postgres::error::PgError;
use crate::postgres::password::{Access, Password};
use crate::postgres::record::DatabaseFacts;
use crate::postgres::restore::new_database::NewDatabase;
use crate::postgres::restore::script::Script;
use crate::postgres::scope::Scope;
use crate::postgres::session::Session;
use crate::postgres::stored::Stored;
use crate::postgres::survey::{self, Survey};
use crate::repo::snapshot::DatabaseRecord;

/// Where one dump goes.
pub struct Target {
    /// The database.
    pub address: Address,
    /// Another schema than it was dumped from.
    pub schema: Option<String>,
    /// How one gets in.
    pub access: Access,
    /// How DSS is told to reach it, if that is another way.
    pub seen_as: Option<Address>,
}

/// Another place than a dump came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// This database, wherever it is, and perhaps another schema in it.
    Address(Address, Option<String>),
    /// Another database of the same server.
    Database(String),
    /// Another schema of the same database.
    Schema(String),
}

impl Place {
    /// An address, `?currentSchema=S`, or the name of a database.
    pub fn parse(text: &str) -> Result<Self, PgError> {
        if let Some(parameters) = text.strip_prefix('?') {
            let (_, scope) = Address::parse(&format!("postgresql:///?{parameters}"))?;
            let none = || PgError::Address { address: text.to_owned(), why: "it names no currentSchema".to_owned() };
            return scope.schema.map(Self::Schema).ok_or_else(none);
        }
        if text.starts_with("postgresql:") || text.starts_with("postgres:") || text.starts_with("jdbc:") {
            let (address, scope) = Address::parse(text)?;
            return Ok(Self::Address(address, scope.schema));
        }
        Ok(Self::Database(text.to_owned()))
    }

    /// Where a dump goes that came from `from`: the database, and the schema if it is another.
    pub fn of(place: Option<&Self>, from: &Address) -> (Address, Option<String>) {
        match place {
            None => (from.clone(), None),
            Some(Self::Address(address, schema)) => (address.clone(), schema.clone()),
            Some(Self::Database(name)) => (from.with_database(name), None),
            Some(Self::Schema(schema)) => (from.clone(), Some(schema.clone())),
        }
    }
}

/// Whether a database is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Create {
    /// No.
    #[default]
    No,
    /// With the encoding and the locale it had.
    AsItWas,
    /// With its encoding and the locale every server has.
    Plainly,
}

/// How dumps are put back.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// The only folder client programs are taken from.
    pub clients: Option<PathBuf>,
    /// Remove what is there and would be in the way.
    pub clean: bool,
    /// Whether the database is made if the server does not have it.
    pub create: Create,
    /// Everything belongs to the account that restores, and nobody else may do anything with it.
    pub no_owner: bool,
    /// Try a server of an older version.
    pub older_server: bool,
}

/// A dump that can be put back.
pub struct Ready<'a> {
    stored: Stored<'a>,
    record: &'a DatabaseRecord,
    facts: DatabaseFacts,
    target: Target,
    client: Client,
    script: Script,
    /// The database is made first.
    makes: Option<NewDatabase>,
    no_owner: bool,
    /// Whether the server knows the setting `transaction_timeout`: since version 17.
    knows_transaction_timeout: bool,
    /// What is there and in the way: the first of it, and how many more.
    occupied: Option<(String, usize)>,
    /// What should be known, as sentences.
    pub warnings: Vec<String>,
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// Name of the dump.
    pub name: String,
    /// Where it went.
    pub database: String,
    /// Tables, views and sequences that are there now; those of the dump if the server does not answer any more.
    pub relations: u64,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

/// Looks at the targets of all dumps of a snapshot; `maps` names other places than they came from.
pub fn ready_all<'a>(
    stored: Stored<'a>,
    maps: &[(String, Place)],
    password: &dyn Fn(&DatabaseRecord) -> Option<Password>,
    options: &RestoreOptions,
) -> Result<Vec<Ready<'a>>, PgError> {
    for (name, _) in maps {
        stored.record(name)?;
    }
    let mut all = Vec::new();
    for record in stored.records() {
        let is_it = |name: &String| stored.record(name).is_ok_and(|known| known.name == record.name);
        let place = maps.iter().find(|(name, _)| is_it(name)).map(|(_, place)| place);
        let (address, schema) = Place::of(place, &stored.facts(record)?.address);
        let access = Access::with(password(record).as_ref())?;
        all.push(Ready::look(stored, record, Target { address, schema, access, seen_as: None }, options)?);
    }
    Ok(all)
}

impl<'a> Ready<'a> {
    /// Looks at the target.
    pub fn look(
        stored: Stored<'a>,
        record: &'a DatabaseRecord,
        target: Target,
        options: &RestoreOptions,
    ) -> Result<Self, PgError> {
        let cancel = stored.context.cancel;
        let facts = stored.facts(record)?;
        let clients = Clients::find(options.clients.as_deref(), cancel)?;
        let client = clients.reading(&record.client_version).ok_or_else(|| PgError::ClientTooOld {
            database: record.name.clone(),
            server: record.client_version.clone(),
            clients: clients.versions(),
        })?;
        let scope = scope_there(&facts.scope, target.schema.as_deref());
        let new = match options.create {
            Create::No => None,
            how => NewDatabase::look(client, &target, &facts, how, cancel)?,
        };
        let (mut session, there, makes) = match new {
            Some((session, there, new)) => (session, there, Some(new)),
            None => {
                let mut session = Session::open(client, &target.address, &target.access, cancel)?;
                let there = survey::look(&mut session, &scope)?;
                (session, there, None)
            }
        };
        let label = target.address.label();
        let mut warnings: Vec<String> =
            record.caveats.iter().map(|caveat| format!("of the dump {}: {caveat}", record.name)).collect();
        version(record, &facts, &there, options, &label, &mut warnings)?;
        let occupied = if options.clean { None } else { occupied(&there, &facts) };
        if !options.no_owner {
            owners(record, &facts, &mut session, &label)?;
        }
        let script = Script::new(&facts, &there, target.schema.clone(), options.clean, &label)?;
        drop(session);
        Ok(Self {
            stored,
            record,
            facts,
            client: client.clone(),
            target,
            script,
            makes,
            no_owner: options.no_owner,
            knows_transaction_timeout: there.server.major() >= 17,
            occupied,
            warnings,
        })
    }

    /// The programs it is put back with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it is to DSS, if anything.
    pub fn kind(&self) -> Option<&str> {
        self.record.kind.as_deref()
    }

    /// Where DSS finds it then: the database, and the schema if it is another than it came from.
    pub fn seen_at(&self) -> (&Address, Option<&str>) {
        (self.target.seen_as.as_ref().unwrap_or(&self.target.address), self.target.schema.as_deref())
    }

    /// Whether it goes elsewhere than it came from.
    pub fn is_moved(&self) -> bool {
        self.target.schema.is_some() || self.target.address != self.facts.address
    }

    /// The schema it was dumped from, if it is one.
    pub fn old_schema(&self) -> Option<&str> {
        self.facts.scope.schema.as_deref()
    }

    /// What it would do, as a sentence.
    pub fn says(&self) -> String {
        let removes = if self.script.cleans() { ", in place of what is there" } else { "" };
        let count = self.facts.relations.len();
        let makes = if self.makes.is_some() { ", which is made" } else { "" };
        let place = self.place();
        format!("restore {} of {count} tables, views and sequences into {place}{makes}{removes}", self.record.name)
    }

    fn place(&self) -> String {
        match &self.target.schema {
            Some(schema) => format!("schema {schema} of {}", self.target.address.label()),
            None => self.target.address.label(),
        }
    }

    /// Whether nothing is in the way. An earlier run may have put it back already, which is for the caller to know.
    pub fn is_free(&self) -> Result<(), PgError> {
        match &self.occupied {
            None => Ok(()),
            Some((first, others)) => {
                Err(PgError::NotEmpty { database: self.target.address.label(), first: first.clone(), others: *others })
            }
        }
    }

    /// Puts it back, whole or not at all.
    pub fn restore(&self) -> Result<Restored, PgError> {
        self.is_free()?;
        let begun = Instant::now();
        let made = match &self.makes {
            Some(new) => new.make(self)?,
            None => false,
        };
        if let Err(error) = pipe::run(self) {
            // Nothing was there before; an empty database that stays is no harm.
            let _ = self.makes.as_ref().filter(|_| made).map(|new| new.remove(self));
            return Err(error);
        }
        // It is committed now: that nobody can be asked what is there must not be told as a failure, for then the old
        // files would be kept beside the new database.
        let wanted = self.facts.relations.len();
        let found = self.count().unwrap_or(wanted);
        if found < wanted {
            let why = format!("{found} tables, views and sequences are there after the restore, the dump has {wanted}");
            return Err(PgError::Damaged { database: self.record.name.clone(), why });
        }
        let database = self.place();
        Ok(Restored { name: self.record.name.clone(), database, relations: found as u64, took: begun.elapsed() })
    }

    /// Tables, views and sequences that are there.
    fn count(&self) -> Result<usize, PgError> {
        let cancel = &Cancel::default();
        let mut session = Session::open(&self.client, &self.target.address, &self.target.access, cancel)?;
        let there = survey::look(&mut session, &scope_there(&self.facts.scope, self.target.schema.as_deref()))?;
        Ok(there.relations.len())
    }
}

/// The part of the target that the dump fills.
fn scope_there(dumped: &Scope, schema: Option<&str>) -> Scope {
    match schema {
        Some(schema) => Scope { schema: Some(schema.to_owned()), ..dumped.clone() },
        None => dumped.clone(),
    }
}

fn version(
    record: &DatabaseRecord,
    facts: &DatabaseFacts,
    there: &Survey,
    options: &RestoreOptions,
    label: &str,
    warnings: &mut Vec<String>,
) -> Result<(), PgError> {
    if there.server.major() >= facts.server.major() {
        return Ok(());
    }
    if !options.older_server {
        return Err(PgError::OlderServer {
            name: record.name.clone(),
            database: label.to_owned(),
            server: there.server.version.clone(),
            dumped: facts.server.version.clone(),
        });
    }
    warnings.push(format!("{label} is older than the server of the dump: what it does not understand fails"));
    Ok(())
}

/// What would be in the way of the dump.
fn occupied(there: &Survey, facts: &DatabaseFacts) -> Option<(String, usize)> {
    if let Some(first) = there.relations.first() {
        return Some((format!("{}.{}", first.schema, first.name), there.relations.len() - 1));
    }
    // They have numbers, not names, and those of a copy are those of the original.
    let both_have = facts.has_large_objects && facts.server.large_objects > 0 && there.server.large_objects > 0;
    both_have.then(|| (format!("{} large objects", there.server.large_objects), 0))
}

/// Whoever owns something must be there to own it again.
fn owners(
    record: &DatabaseRecord,
    facts: &DatabaseFacts,
    session: &mut Session<'_>,
    label: &str,
) -> Result<(), PgError> {
    let known: Vec<String> = session.query("SELECT jsonb_agg(rolname) FROM pg_roles")?;
    let mut missing: Vec<&str> = facts.relations.iter().map(|relation| relation.owner.as_str()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|owner| !known.iter().any(|role| role == owner));
    if missing.is_empty() {
        return Ok(());
    }
    Err(PgError::Lacks {
        name: record.name.clone(),
        database: label.to_owned(),
        what: format!("the roles {}", missing.join(", ")),
        hint: format!(
            "make them (`dssvault dump SNAPSHOT:postgresql/{}/globals.sql` shows how they were), or say \
             `--no-database-owner` to let everything belong to the account that restores",
            record.name
        ),
    })
}
