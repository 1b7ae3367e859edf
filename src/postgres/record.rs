//! What stands beside a dump in the snapshot, for the person who restores by hand and for `restore`.

use serde::{Deserialize, Serialize};

use crate::postgres::address::Address;
use crate::postgres::scope::Scope;
use crate::postgres::survey::{Relation, ServerFacts};

/// `postgresql/NAME/database.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// The server and the database.
    #[serde(flatten)]
    pub server: ServerFacts,
    /// Where it was.
    pub address: Address,
    /// Which part was dumped.
    pub scope: Scope,
    /// Whether large objects are in the dump.
    pub has_large_objects: bool,
    /// What describes the database in the data directory: `govern`, `runtime`, `fleet_manager`; absent for others.
    pub kind: Option<String>,
    /// Tables, views and sequences in the dump.
    pub relations: Vec<Relation>,
    /// Version of `pg_dump`.
    pub client: String,
}

/// A folder for a database: its name, and the part of it, with signs a file name cannot have written in hexadecimal.
pub fn folder_name(database: &str, scope: &Scope, taken: &[String]) -> String {
    let parts = [Some(database), scope.schema.as_deref(), scope.prefix.as_deref()];
    let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
    let mut name = String::new();
    for sign in joined.chars() {
        let fits = !sign.is_control() && sign != '/' && sign != '%' && !(name.is_empty() && sign == '.');
        if fits {
            name.push(sign)
        } else {
            name.push_str(&format!("%{:02X}", u32::from(sign)))
        }
        if name.len() > NAME_BYTES {
            break;
        }
    }
    let mut number = 2;
    let mut free = name.clone();
    while free.is_empty() || taken.contains(&free) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}

/// Longer names are cut; a file name has at most 255 bytes.
const NAME_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_like_its_database_and_part() {
        let everything = Scope::default();
        let part = Scope { schema: Some("dss".into()), prefix: Some("prod_".into()) };
        assert_eq!(folder_name("gov", &everything, &[]), "gov");
        assert_eq!(folder_name("my \"b\u{e4}se\"", &part, &[]), "my \"b\u{e4}se\".dss.prod_");
        assert_eq!(folder_name("../a/b%\n", &everything, &[]), "%2E.%2Fa%2Fb%25%0A");
        assert_eq!(folder_name("gov", &everything, &["gov".into(), "gov-2".into()]), "gov-3");
        assert!(folder_name(&"\u{4e00}".repeat(300), &everything, &[]).len() < 255);
    }
}
