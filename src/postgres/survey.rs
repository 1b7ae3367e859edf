//! What there is in a database, asked before anything is stored or stopped: catalogues only, no table is read.

use serde::{Deserialize, Serialize};

use crate::postgres::error::PgError;
use crate::postgres::scope::Scope;
use crate::postgres::session::Session;

/// Objects of extensions are made by them and not dumped; those of the system never are.
const RELATIONS: &str = "SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname, \
    'kind', c.relkind, 'owner', pg_get_userbyid(c.relowner), 'rows', greatest(c.reltuples, 0)::bigint, \
    'bytes', (c.relpages + coalesce(t.relpages, 0))::bigint * current_setting('block_size')::bigint, \
    'readable', has_table_privilege(c.oid, 'SELECT')) ORDER BY n.nspname, c.relname), '[]') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
    AND d.deptype = 'e')";

const SERVER: &str = "SELECT jsonb_build_object('version', current_setting('server_version'), \
    'version_number', current_setting('server_version_num')::int, 'database', current_database(), \
    'user', current_user, 'schema', current_schema(), 'encoding', pg_encoding_to_char(d.encoding), \
    'collate', d.datcollate, 'ctype', d.datctype, 'bytes', pg_database_size(d.oid), \
    'extensions', (SELECT coalesce(jsonb_object_agg(extname, extversion), '{}') FROM pg_extension), \
    'schemas', (SELECT jsonb_agg(nspname) FROM pg_namespace), \
    'large_objects', (SELECT count(*) FROM pg_largeobject_metadata), \
    'large_object_owners', (SELECT coalesce(jsonb_agg(DISTINCT pg_get_userbyid(lomowner)), '[]') \
    FROM pg_largeobject_metadata)) FROM pg_database d WHERE d.datname = current_database()";

/// What a server says of itself and of the database one is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// 150018.
    pub version_number: u32,
    /// Its name.
    pub database: String,
    /// Who asked.
    pub user: String,
    /// Where a table without a schema is made; `None` if nowhere.
    pub schema: Option<String>,
    /// Encoding of its text.
    pub encoding: String,
    /// Order of its text.
    pub collate: String,
    /// Character classes of its text.
    pub ctype: String,
    /// Its size on the server.
    pub bytes: u64,
    /// Extensions and their versions.
    pub extensions: std::collections::BTreeMap<String, String>,
    /// Schemas, those of the system too.
    #[serde(skip_serializing, default)]
    pub schemas: Vec<String>,
    /// Number of large objects.
    pub large_objects: u64,
    /// Who owns them.
    pub large_object_owners: Vec<String>,
}

impl ServerFacts {
    /// First number of its version; those before 10 had two, which no client of today cares for.
    pub fn major(&self) -> u32 {
        self.version_number / 10_000
    }
}

/// A table, view, sequence or the like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `r` table, `p` partitioned table, `v` view, `m` materialized view, `S` sequence, `f` foreign table.
    pub kind: String,
    /// Who owns it.
    pub owner: String,
    /// Rows, as the server guessed when it last counted.
    pub rows: u64,
    /// Bytes, likewise.
    pub bytes: u64,
    /// Whether the account may read it.
    #[serde(skip_serializing, default = "yes")]
    pub readable: bool,
}

fn yes() -> bool {
    true
}

/// A database that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The server and the database.
    pub server: ServerFacts,
    /// What is meant.
    pub relations: Vec<Relation>,
    /// Who owns what is not meant.
    pub others: Vec<Relation>,
}

/// Looks at the database of a session.
pub fn look(session: &mut Session<'_>, scope: &Scope) -> Result<Survey, PgError> {
    let server: ServerFacts = session.query(SERVER)?;
    let all: Vec<Relation> = session.query(RELATIONS)?;
    let (relations, others) = all.into_iter().partition(|one| scope.has(&one.schema, &one.name));
    Ok(Survey { server, relations, others })
}

impl Survey {
    /// Whether there is what is meant, and may be read.
    pub fn check(&self, scope: &Scope, label: &str) -> Result<(), PgError> {
        let empty = |what: String| Err(PgError::Empty { database: label.to_owned(), what });
        if let Some(schema) = &scope.schema
            && !self.server.schemas.contains(schema)
        {
            return empty(format!("there is no schema {schema}"));
        }
        if scope.prefix.is_some() && self.relations.is_empty() {
            return empty(format!("there are no {scope}"));
        }
        let unreadable: Vec<&Relation> = self.relations.iter().filter(|one| !one.readable).collect();
        match unreadable.first() {
            None => Ok(()),
            Some(first) => Err(PgError::Unreadable {
                database: label.to_owned(),
                table: format!("{}.{}", first.schema, first.name),
                others: unreadable.len() - 1,
            }),
        }
    }

    /// What the dump may come to.
    pub fn expected_bytes(&self) -> u64 {
        self.relations.iter().map(|one| one.bytes).sum()
    }

    /// Whether large objects, which belong to no schema, can be taken for those of the part that is meant; if not,
    /// why not.
    pub fn owns_large_objects(&self, scope: &Scope) -> Result<(), String> {
        if scope.is_everything() || self.server.large_objects == 0 || self.others.is_empty() {
            return Ok(());
        }
        let ours = |owner: &String| self.relations.iter().any(|one| one.owner == *owner);
        let theirs = |owner: &String| self.others.iter().any(|one| one.owner == *owner);
        match self.server.large_object_owners.iter().find(|owner| !ours(owner) || theirs(owner)) {
            None => Ok(()),
            Some(owner) => Err(format!(
                "it has {} large objects, some of {owner}, who also owns what is not backed up",
                self.server.large_objects
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(schema: &str, name: &str, owner: &str) -> Relation {
        let (schema, name, owner) = (schema.into(), name.into(), owner.into());
        Relation { schema, name, kind: "r".into(), owner, rows: 0, bytes: 8192, readable: true }
    }

    fn survey(relations: Vec<Relation>, others: Vec<Relation>, owners: &[&str]) -> Survey {
        let server = ServerFacts {
            version: "15.18".into(),
            version_number: 150_018,
            database: "d".into(),
            user: "u".into(),
            schema: Some("public".into()),
            encoding: "UTF8".into(),
            collate: "C".into(),
            ctype: "C".into(),
            bytes: 1,
            extensions: Default::default(),
            schemas: vec!["dss".into()],
            large_objects: owners.len() as u64,
            large_object_owners: owners.iter().map(|&owner| owner.to_owned()).collect(),
        };
        Survey { server, relations, others }
    }

    fn scope(prefix: &str) -> Scope {
        Scope { schema: Some("dss".into()), prefix: Some(prefix.into()) }
    }

    #[test]
    fn large_objects_are_ours_if_their_owner_owns_nothing_else() {
        let own = vec![relation("dss", "a_t", "ann")];
        let alone = survey(own.clone(), vec![], &["bob"]);
        assert_eq!(alone.owns_large_objects(&scope("a_")), Ok(()));
        let apart = survey(own.clone(), vec![relation("dss", "b_t", "bob")], &["ann"]);
        assert_eq!(apart.owns_large_objects(&scope("a_")), Ok(()));
        for (owner, other) in [("bob", "bob"), ("ann", "ann"), ("eve", "bob")] {
            let shared = survey(own.clone(), vec![relation("dss", "b_t", other)], &[owner]);
            assert!(shared.owns_large_objects(&scope("a_")).is_err(), "{owner} {other}");
        }
    }

    #[test]
    fn what_is_missing_or_may_not_be_read_is_told_before_anything_is_done() {
        let missing = Scope { schema: Some("dsss".into()), prefix: None };
        assert!(matches!(survey(vec![], vec![], &[]).check(&missing, "d"), Err(PgError::Empty { .. })));
        assert!(matches!(survey(vec![], vec![], &[]).check(&scope("a_"), "d"), Err(PgError::Empty { .. })));
        let closed = Relation { readable: false, ..relation("dss", "a_t", "ann") };
        let error = survey(vec![closed.clone(), closed], vec![], &[]).check(&scope("a_"), "d on h").unwrap_err();
        assert_eq!(error.to_string(), "the account may not read dss.a_t of d on h and 1 more tables");
    }
}
