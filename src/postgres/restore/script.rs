//! What stands around the dump in its transaction: removing what is in the way, and going to another schema.
//!
//! A dump names its schema everywhere, and rewriting SQL is guesswork. So for another schema the dump is loaded under
//! its own name, which is renamed afterwards; a schema of that name that is there already steps aside for the time.
//! Nobody sees any of it before the end, and then all at once.

use crate::postgres::error::PgError;
use crate::postgres::record::DatabaseFacts;
use crate::postgres::scope::{Scope, identifier, literal};
use crate::postgres::survey::Survey;

/// SQL around a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    before: Vec<String>,
    after: Vec<String>,
    cleans: bool,
}

/// Catalogs of what belongs to a relation, by the column that names it: a cascade takes single ones of these, and leaves
/// the relation.
const PARTS: [(&str, &str, &str); 6] = [
    ("pg_constraint", "conrelid", "true"),
    ("pg_attribute", "attrelid", "k.attnum > 0 AND NOT k.attisdropped"),
    ("pg_attrdef", "adrelid", "true"),
    ("pg_trigger", "tgrelid", "NOT k.tgisinternal"),
    ("pg_rewrite", "ev_class", "true"),
    ("pg_policy", "polrelid", "true"),
];

/// Counts what belongs to others: none of it may go when what is in the way goes.
fn others(scope: &Scope, in_scope: &str) -> String {
    let relations = format!(
        "(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT ({in_scope}) AND \
         n.nspname !~ '^pg_toast')"
    );
    let parts = PARTS.map(|(catalog, relation, which)| {
        format!(
            " + (SELECT count(*) FROM {catalog} k JOIN pg_class c ON c.oid = k.{relation} JOIN pg_namespace n ON n.oid = \
             c.relnamespace WHERE {which} AND NOT ({in_scope}) AND n.nspname !~ '^pg_toast')"
        )
    });
    // Routines and types have no prefix: with one, all of them are others'.
    let outside = if scope.prefix.is_none() { format!("NOT ({in_scope})") } else { "true".to_owned() };
    let routines = format!(
        " + (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {outside}) + (SELECT \
         count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r') AND {outside})"
    );
    format!("{relations}{}{routines}", parts.concat())
}

impl Script {
    /// Around a dump of which `facts` are known, into a database of which `there` was seen.
    pub fn new(
        facts: &DatabaseFacts,
        there: &Survey,
        schema: Option<String>,
        clean: bool,
        label: &str,
    ) -> Result<Self, PgError> {
        let mut script = Self { before: Vec::new(), after: Vec::new(), cleans: clean };
        let renamed = match (&facts.scope.schema, schema) {
            (Some(old), Some(new)) if *old != new => Some((old.clone(), new)),
            (None, Some(new)) => {
                return Err(PgError::Lacks {
                    name: facts.server.database.clone(),
                    database: label.to_owned(),
                    what: format!("the schema {new} for all its schemas"),
                    hint: "only a dump of one schema can go to another one".to_owned(),
                });
            }
            _ => None,
        };
        let target = match &renamed {
            Some((_, new)) => Scope { schema: Some(new.clone()), ..facts.scope.clone() },
            None => facts.scope.clone(),
        };
        if clean {
            script.before.push(removal(&target));
            script.before.extend(large_objects(facts, there, &target));
        }
        // The dump of a whole schema makes the schema, also the one every database is born with; of some of its tables
        // it does not.
        let dump_makes_it = facts.scope.prefix.is_none();
        match renamed {
            Some((old, new)) => script.rename(&old, &new, there, dump_makes_it),
            None => script.place(&target, there, dump_makes_it),
        }
        Ok(script)
    }

    fn place(&mut self, target: &Scope, there: &Survey, dump_makes_it: bool) {
        let Some(schema) = &target.schema else { return };
        let exists = there.server.schemas.contains(schema);
        match (exists, dump_makes_it) {
            // It is empty, or was emptied: the dump brings it with its owner and rights.
            (true, true) => self.before.push(format!("DROP SCHEMA {}", identifier(schema))),
            (false, false) => self.before.push(format!("CREATE SCHEMA {}", identifier(schema))),
            (true, false) | (false, true) => {}
        }
    }

    fn rename(&mut self, old: &str, new: &str, there: &Survey, dump_makes_it: bool) {
        let (old, new, aside) = (identifier(old), identifier(new), identifier(ASIDE));
        let has = |name: &str| there.server.schemas.iter().any(|schema| identifier(schema) == name);
        if has(&old) {
            self.before.push(format!("ALTER SCHEMA {old} RENAME TO {aside}"));
        }
        match (has(&new), dump_makes_it) {
            (true, true) => self.before.push(format!("DROP SCHEMA {new}")),
            // What is in it besides stays in it.
            (true, false) => self.before.push(format!("ALTER SCHEMA {new} RENAME TO {old}")),
            (false, false) => self.before.push(format!("CREATE SCHEMA {old}")),
            (false, true) => {}
        }
        self.after.push(format!("ALTER SCHEMA {old} RENAME TO {new}"));
        if has(&old) {
            self.after.push(format!("ALTER SCHEMA {aside} RENAME TO {old}"));
        }
    }

    /// Whether anything is removed.
    pub fn cleans(&self) -> bool {
        self.cleans
    }

    /// What is sent before the dump; it opens the transaction that the dump's own end commits.
    pub fn before(&self) -> String {
        lines(BEGINNING.map(str::to_owned).iter().chain(&self.before))
    }

    /// What is sent just before the dump's commit.
    pub fn after(&self) -> String {
        lines([ENCODING.to_owned()].iter().chain(&self.after))
    }
}

/// Names in our statements are UTF-8, whatever the dump or the environment says.
const ENCODING: &str = "SET client_encoding TO 'UTF8'";

/// How the transaction begins. The script of the dump begins one too, and would be warned that there is one. Functions
/// are those of the system, not what somebody made under the same name. Who holds a lock on what is to be removed is
/// not waited for without end; the dump sets all of this anew.
const BEGINNING: [&str; 5] = [
    "SET client_min_messages TO error",
    ENCODING,
    "SET search_path TO pg_catalog",
    "SET lock_timeout TO '60s'",
    "BEGIN",
];

/// The name a schema has while another one needs its own.
const ASIDE: &str = "dssvault set aside";

fn lines<'s>(statements: impl IntoIterator<Item = &'s String>) -> String {
    statements.into_iter().map(|statement| format!("{statement};\n")).collect()
}

/// SQL that tells of a `pg_class c` in a `pg_namespace n` whether it is in the part.
fn in_scope(scope: &Scope) -> String {
    let schema = scope.schema.as_ref().map_or_else(
        || "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'".to_owned(),
        |schema| format!("n.nspname = {}", literal(schema)),
    );
    match &scope.prefix {
        // Indexes and the like are named as one pleases: they belong to what belongs to their table.
        Some(prefix) => format!(
            "{schema} AND (left(c.relname, length({0})) = {0} OR EXISTS (SELECT 1 FROM pg_index x JOIN pg_class t ON \
             t.oid = x.indrelid WHERE x.indexrelid = c.oid AND left(t.relname, length({0})) = {0}))",
            literal(prefix)
        ),
        None => schema,
    }
}

/// Removes everything in the part, and fails if anything else would go with it.
fn removal(scope: &Scope) -> String {
    let in_scope = in_scope(scope);
    let others = others(scope, &in_scope);
    let relations = format!(
        "  FOR one IN SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' \
         WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
         AND {in_scope} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND \
         d.objid = c.oid AND d.deptype = 'e') ORDER BY c.relkind = 'S' LOOP\n    IF EXISTS (SELECT 1 FROM pg_class WHERE oid = one.oid) THEN\n      \
         EXECUTE 'DROP ' || one.kind || ' IF EXISTS ' || one.name || ' CASCADE';\n    END IF;\n  END LOOP;\n"
    );
    // What else a dump without a prefix brings: routines and types of the schemas.
    let mut rest = if scope.prefix.is_none() { REST.replace("IN_SCOPE", &in_scope) } else { String::new() };
    if scope.is_everything() {
        rest.push_str(SCHEMAS);
    }
    format!(
        "DO $dssvault$\nDECLARE\n  one record;\n  others bigint := {others};\nBEGIN\n{relations}{rest}  IF others <> {others} \
         THEN\n    RAISE EXCEPTION 'objects of others depend on what would be removed';\n  END IF;\nEND\n$dssvault$"
    )
}

/// What fell with something before it is passed over; what belongs to an extension, or is a part of a type, stays.
const REST: &str = "  FOR one IN SELECT p.oid, p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = \
    p.pronamespace WHERE IN_SCOPE AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND \
    d.objid = p.oid AND d.deptype IN ('e', 'i')) LOOP\n    IF EXISTS (SELECT 1 FROM pg_proc WHERE oid = one.oid) THEN\n      \
    EXECUTE 'DROP ROUTINE ' || one.name || ' CASCADE';\n    END IF;\n  END LOOP;\n  FOR one IN SELECT t.oid, \
    t.oid::regtype AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE IN_SCOPE AND (t.typtype IN \
    ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')) \
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype IN \
    ('e', 'i')) LOOP\n    IF EXISTS (SELECT 1 FROM pg_type WHERE oid = one.oid) THEN\n      EXECUTE 'DROP TYPE ' || \
    one.name || ' CASCADE';\n    END IF;\n  END LOOP;\n";

/// The schema every database is born with stays: no dump makes it.
const SCHEMAS: &str = "  FOR one IN SELECT quote_ident(n.nspname) AS name FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND \
    n.nspname NOT IN ('information_schema', 'public') AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = \
    'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e') LOOP\n    EXECUTE 'DROP SCHEMA ' || one.name || ' \
    CASCADE';\n  END LOOP;\n";

/// Large objects belong to no schema: those go whose owner owns nothing else there.
fn large_objects(facts: &DatabaseFacts, there: &Survey, scope: &Scope) -> Option<String> {
    if !facts.has_large_objects || there.server.large_objects == 0 || there.owns_large_objects(scope).is_err() {
        return None;
    }
    Some("SELECT count(lo_unlink(oid)) FROM pg_largeobject_metadata".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_what_is_removed_are_no_sql() {
        let odd = Scope { schema: Some("it's".into()), prefix: Some("a_%".into()) };
        let sql = removal(&odd);
        assert!(sql.contains("n.nspname = 'it''s' AND (left(c.relname, length('a_%')) = 'a_%'"));
        assert!(!sql.contains("DROP ROUTINE"), "routines have no prefix");
        assert!(removal(&Scope::default()).contains("DROP ROUTINE"));
    }
}
