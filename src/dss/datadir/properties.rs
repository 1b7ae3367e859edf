//! `dip.properties` as Java reads it. The only door to the `java-properties` crate.

use std::collections::HashMap;

/// A read properties file.
pub type Properties = HashMap<String, String>;

/// Reads a properties file in Java's encoding. The error says which line is wrong, and nothing of its content.
pub fn parse(bytes: &[u8]) -> Result<Properties, String> {
    java_properties::read(bytes).map_err(|error| match error.line_number() {
        Some(line) => format!("line {line}: it cannot be read as Java properties"),
        None => "it cannot be read as Java properties".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_continuations_and_both_separators_are_understood() {
        let read = parse(
            b"# comment\n! another\npsql.jdbc.url=jdbc:postgresql://db1:5432/gov?currentSchema=a\\=b\n\
              psql.jdbc.user: go\\\n   vern\npsql.jdbc.password = p\\u00e4ss word\n",
        )
        .unwrap();
        assert_eq!(read["psql.jdbc.url"], "jdbc:postgresql://db1:5432/gov?currentSchema=a=b");
        assert_eq!(read["psql.jdbc.user"], "govern");
        assert_eq!(read["psql.jdbc.password"], "päss word");
    }

    #[test]
    fn hostile_bytes_are_an_error_without_their_content_or_nothing() {
        assert!(!parse(b"psql.jdbc.password = hunter2\\u00zz").unwrap_err().contains("hunter2"));
        for bytes in [b"".as_slice(), b"\xff\xfe=\x00", b"\\", b"a\\\n", b"====", &[b'='; 9000]] {
            let _ = parse(bytes).map(|read| read.len());
        }
    }
}
