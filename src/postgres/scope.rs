//! What of a database is meant. Several DSS installations may share one database and even one schema, told apart by
//! what the names of their tables begin with. Source: DSS docs, operations/runtime-databases.

use serde::{Deserialize, Serialize};

/// A part of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// The schema; none: all of them.
    pub schema: Option<String>,
    /// What the names of tables begin with; none: anything.
    pub prefix: Option<String>,
}

impl Scope {
    /// Whether it is all of the database.
    pub fn is_everything(&self) -> bool {
        self.schema.is_none() && self.prefix.is_none()
    }

    /// Whether a table, view or sequence belongs to it.
    pub fn has(&self, schema: &str, name: &str) -> bool {
        self.schema.as_deref().is_none_or(|wanted| wanted == schema)
            && self.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
    }

    /// The arguments that limit `pg_dump` to it.
    pub fn arguments(&self) -> Vec<String> {
        match (&self.schema, &self.prefix) {
            (None, None) => Vec::new(),
            (Some(schema), None) => vec![format!("--schema={}", exactly(schema))],
            (Some(schema), Some(prefix)) => vec![format!("--table={}.{}*", exactly(schema), exactly(prefix))],
            (None, Some(prefix)) => vec![format!("--table=*.{}*", exactly(prefix))],
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.schema, &self.prefix) {
            (None, None) => write!(formatter, "everything"),
            (Some(schema), None) => write!(formatter, "schema {schema}"),
            (Some(schema), Some(prefix)) => write!(formatter, "tables {prefix}* of schema {schema}"),
            (None, Some(prefix)) => write!(formatter, "tables {prefix}*"),
        }
    }
}

/// A pattern of `psql` that means this text and nothing else: quotes take their meaning from `*`, `?` and capitals.
fn exactly(text: &str) -> String {
    identifier(text)
}

/// A name as SQL reads it back.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it back, whatever the server's settings are.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') { format!(" E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(schema: Option<&str>, prefix: Option<&str>) -> Scope {
        Scope { schema: schema.map(Into::into), prefix: prefix.map(Into::into) }
    }

    #[test]
    fn signs_that_mean_something_to_others_mean_themselves() {
        let odd = scope(Some("My \"sch.ema\""), Some("a_%*?b"));
        assert_eq!(odd.arguments(), ["--table=\"My \"\"sch.ema\"\"\".\"a_%*?b\"*"]);
        assert!(odd.has("My \"sch.ema\"", "a_%*?bc") && !odd.has("My \"sch.ema\"", "aX%*?bc"));
        assert_eq!(literal("O'Hara"), "'O''Hara'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
    }

    #[test]
    fn a_neighbour_with_a_longer_name_is_no_part_of_it() {
        let own = scope(Some("dss"), Some("prod_"));
        assert!(own.has("dss", "prod_jobs") && !own.has("dss", "prod2_jobs") && !own.has("dss2", "prod_jobs"));
        assert_eq!(scope(Some("s"), None).arguments(), ["--schema=\"s\""]);
        assert!(scope(None, None).is_everything() && scope(None, None).arguments().is_empty());
    }
}
