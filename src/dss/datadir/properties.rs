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

/// The file with these keys set anew, at its end; every other line stays as it is, byte for byte.
pub fn changed(bytes: &[u8], values: &[(&str, String)]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut goes_on = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // A logical line ends where no odd number of backslashes does. Source: java.util.Properties.
        let replaced = goes_on.unwrap_or_else(|| values.iter().any(|(key, _)| is_key(line, key.as_bytes())));
        let end = line.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let text = &line[..line.len() - end];
        let slashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
        let is_comment = goes_on.is_none() && matches!(text.trim_ascii_start().first(), Some(b'#' | b'!'));
        goes_on = (slashes % 2 == 1 && !is_comment).then_some(replaced);
        if !replaced {
            kept.extend_from_slice(line);
        }
    }
    if kept.last().is_some_and(|byte| *byte != b'\n') {
        kept.push(b'\n');
    }
    for (key, value) in values {
        kept.extend_from_slice(format!("{key}={}\n", escaped(value)).as_bytes());
    }
    kept
}

/// A value as a person writes it: the crate's writer would put a backslash before each `:` and `=` too, which Java
/// understands and `grep` does not.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => text.push_str("\\\\"),
            Ok(byte @ b'!'..=b'~') => text.push(byte.into()),
            Ok(b' ') if !text.is_empty() => text.push(' '),
            _ => text.push_str(&format!("\\u{unit:04x}")),
        }
    }
    text
}

fn is_key(line: &[u8], key: &[u8]) -> bool {
    let rest = line.trim_ascii_start().strip_prefix(key);
    rest.is_some_and(|rest| rest.first().is_none_or(|next| b"=: \t\r\n\x0c".contains(next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_set_anew_and_every_other_byte_stays() {
        let old = b"# a comment\nother.key = x\\\r\n  b=y\r\na.name=\xfc\nb = 1\\\n  2\nb: 3\nbc=4";
        let new = changed(old, &[("b", "\u{e9}\u{20ac} c:\\d".to_owned())]);
        assert!(new.starts_with(b"# a comment\nother.key = x\\\r\n  b=y\r\na.name=\xfc\nbc=4\nb="), "{new:?}");
        let read = parse(&new).unwrap();
        assert_eq!((read["a.name"].as_str(), read["b"].as_str()), ("\u{fc}", "\u{e9}\u{20ac} c:\\d"));
        assert_eq!((read["other.key"].as_str(), read["bc"].as_str()), ("xb=y", "4"));
        assert_eq!(changed(b"", &[("b", String::new())]), b"b=\n");
        let no_continuation = changed(b"b=1\\ \nc=2\n# x\\\nb=3\nd=4\n", &[("b", "5".to_owned())]);
        assert_eq!(no_continuation, b"c=2\n# x\\\nd=4\nb=5\n");
        let odd = " a:b=c#!\n\t\u{20ac} ";
        assert_eq!(parse(&changed(b"", &[("b", odd.to_owned())])).unwrap()["b"], odd);
    }

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
