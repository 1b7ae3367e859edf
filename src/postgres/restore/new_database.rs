//! A database that is not there and is made for a dump: not before everything else was looked at, and never in a dry
//! run.

use crate::base::cancel::Cancel;
use crate::postgres::client::Client;
use crate::postgres::error::PgError;
use crate::postgres::record::DatabaseFacts;
use crate::postgres::restore::{Create, Ready, Target};
use crate::postgres::scope::{identifier, literal};
use crate::postgres::session::Session;
use crate::postgres::survey::{self, Survey};

/// The database one connects to where the one that is meant is not there yet. Source: PostgreSQL docs, `createdb`.
const MAINTENANCE: &str = "postgres";

/// How it is made, and unmade.
pub struct NewDatabase {
    exists: String,
    create: String,
    drop: String,
}

impl NewDatabase {
    /// What the new database will be like, and a session of its server; `None` if it is there already.
    pub fn look<'c>(
        client: &Client,
        target: &Target,
        facts: &DatabaseFacts,
        how: Create,
        cancel: &'c Cancel,
    ) -> Result<Option<(Session<'c>, Survey, Self)>, PgError> {
        let Some(name) = &target.address.database else { return Ok(None) };
        let maintenance = target.address.with_database(MAINTENANCE);
        let mut session = Session::open(client, &maintenance, &target.access, cancel)?;
        let exists = format!("SELECT to_jsonb(count(*) > 0) FROM pg_database WHERE datname = {}", literal(name));
        if session.query::<bool>(&exists)? {
            return Ok(None);
        }
        let may = "SELECT to_jsonb(rolcreatedb OR rolsuper) FROM pg_roles WHERE rolname = current_user";
        if !session.query::<bool>(may)? {
            return Err(PgError::Lacks {
                name: facts.server.database.clone(),
                database: target.address.label(),
                what: "the right to make a database for this account".to_owned(),
                hint: "let an administrator make it, or give the account CREATEDB".to_owned(),
            });
        }
        let like = &facts.server;
        let (collate, ctype) = if how == Create::Plainly { ("C", "C") } else { (&*like.collate, &*like.ctype) };
        let create = format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            identifier(name),
            literal(&like.encoding),
            literal(collate),
            literal(ctype)
        );
        let mut there = survey::look(&mut session, &facts.scope)?;
        there.relations.clear();
        there.others.clear();
        let server = &mut there.server;
        name.clone_into(&mut server.database);
        (server.bytes, server.large_objects) = (0, 0);
        server.large_object_owners.clear();
        // As template0 has them.
        server.schemas.retain(|schema| schema.starts_with("pg_") || schema == "information_schema");
        server.schemas.push("public".to_owned());
        Ok(Some((session, there, Self { exists, create, drop: format!("DROP DATABASE {}", identifier(name)) })))
    }

    /// Makes it; `false` if another dump of the same restore has.
    pub fn make(&self, ready: &Ready<'_>) -> Result<bool, PgError> {
        let cancel = ready.stored.context.cancel;
        let maintenance = ready.target.address.with_database(MAINTENANCE);
        let mut session = Session::open(&ready.client, &maintenance, &ready.target.access, cancel)?;
        if session.query::<bool>(&self.exists)? {
            return Ok(false);
        }
        session.execute(&self.create)?;
        Ok(true)
    }

    /// Takes it away again.
    pub fn remove(&self, ready: &Ready<'_>) -> Result<(), PgError> {
        let (maintenance, cancel) = (ready.target.address.with_database(MAINTENANCE), Cancel::default());
        Session::open(&ready.client, &maintenance, &ready.target.access, &cancel)?.execute(&self.drop)
    }
}
