//! Dumps in a snapshot: which there are, and what stands beside them.

use std::io::{self, Write};

use crate::postgres::error::PgError;
use crate::postgres::record::DatabaseFacts;
use crate::postgres::{DUMP, FACTS, FOLDER};
use crate::repo::Repository;
use crate::repo::snapshot::{DatabaseRecord, Manifest};
use crate::vault::{Context, VaultError, dump};

/// More than a hundred thousand tables need.
const FACTS_BYTES_MAX: usize = 256 << 20;

/// A snapshot with dumps in it.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// Where it is.
    pub repository: &'a Repository,
    /// It.
    pub manifest: &'a Manifest,
    /// For whom it is read.
    pub context: Context<'a>,
}

impl<'a> Stored<'a> {
    /// What the manifest says of its dumps.
    pub fn records(&self) -> &'a [DatabaseRecord] {
        self.manifest.databases.as_deref().unwrap_or_default()
    }

    /// The dump of this name, or of the database of this name if there is one such.
    pub fn record(&self, name: &str) -> Result<&'a DatabaseRecord, PgError> {
        let records = self.records();
        let by_name = records.iter().find(|record| record.name == name);
        let mut of_database = records.iter().filter(|record| record.database == name);
        let only = of_database.next().filter(|_| of_database.next().is_none());
        by_name.or(only).ok_or_else(|| PgError::NoDump {
            name: name.to_owned(),
            known: records.iter().map(|record| record.name.clone()).collect(),
        })
    }

    /// What stands beside a dump.
    pub fn facts(&self, record: &DatabaseRecord) -> Result<DatabaseFacts, PgError> {
        let mut bytes = Bounded { bytes: Vec::new(), limit: FACTS_BYTES_MAX };
        self.write(record, FACTS, &mut bytes)?;
        serde_json::from_slice(&bytes.bytes)
            .map_err(|error| PgError::Damaged { database: record.name.clone(), why: format!("{FACTS}: {error}") })
    }

    /// Writes the dump.
    pub fn dump(&self, record: &DatabaseRecord, out: &mut dyn Write) -> Result<(), VaultError> {
        self.write(record, DUMP, out)
    }

    fn write(&self, record: &DatabaseRecord, file: &str, out: &mut dyn Write) -> Result<(), VaultError> {
        let path = format!("{FOLDER}/{}/{file}", record.name);
        dump::run(self.repository, self.manifest, path.as_bytes(), self.context, out).map(|_| ())
    }
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other("it is longer than any that was written"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
