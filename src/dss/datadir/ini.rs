//! `install.ini` as DSS itself reads it: Python's RawConfigParser. The only door to the `configparser` crate.

use std::collections::HashMap;

use configparser::ini::{Ini as Parser, IniDefault};

/// A read INI file. Keys are lower-cased, values taken literally (no interpolation), `#` and `;` begin comments only
/// at the start of a line, an indented line continues the value above, `[DEFAULT]` fills what a section lacks.
#[derive(Debug, Clone, Default)]
pub struct Ini(HashMap<String, HashMap<String, Option<String>>>);

/// The section whose keys count in all others.
const DEFAULTS: &str = "default";

impl Ini {
    /// Reads text. The error says which line is wrong, and nothing of its content.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = IniDefault::default();
        rules.multiline = true;
        rules.enable_inline_comments = false;
        let mut parser = Parser::new_from_defaults(rules);
        match parser.read(text.trim_start_matches('\u{feff}').to_owned()) {
            Ok(sections) => Ok(Self(sections)),
            Err(why) => Err(why.split(['`', '"', '\'']).next().unwrap_or_default().trim().to_owned()),
        }
    }

    /// A value; an empty one counts as absent.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let own = |section: &str| self.0.get(section)?.get(key)?.as_deref();
        own(section).or_else(|| own(DEFAULTS)).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A switch: what Python's `getboolean` takes for true or false.
    pub fn flag(&self, section: &str, key: &str) -> Option<bool> {
        match self.get(section, key)?.to_ascii_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Some(true),
            "0" | "no" | "false" | "off" => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_literal_and_keys_are_not_sensitive_to_case() {
        let ini = Ini::parse(
            "# written by the installer\n[general]\nNodeType = design\ninstallid=AbCd ; not a comment\n\n\
             [server]\nport = 11000\n[javaopts]\nbackend.xmx = 8g\nopts = -Da=%(b)s\n  -Dc=${d}#e\n",
        )
        .unwrap();
        assert_eq!(ini.get("general", "nodetype"), Some("design"));
        assert_eq!(ini.get("general", "installid"), Some("AbCd ; not a comment"));
        assert_eq!(ini.get("server", "port"), Some("11000"));
        assert_eq!(ini.get("javaopts", "opts").unwrap().lines().collect::<Vec<_>>(), ["-Da=%(b)s", "-Dc=${d}#e"]);
        assert_eq!(ini.get("server", "absent").or(ini.get("absent", "port")), None);
    }

    #[test]
    fn defaults_fill_what_a_section_lacks() {
        let ini = Ini::parse("[DEFAULT]\nport = 1\nhost=x\n[server]\nport = 2\n").unwrap();
        assert_eq!((ini.get("server", "port"), ini.get("server", "host")), (Some("2"), Some("x")));
    }

    #[test]
    fn switches_are_read_as_python_reads_them() {
        let ini = Ini::parse("[modules]\nprojects = False\na = ON\nb = maybe\nc =\n").unwrap();
        let flags = ["projects", "a", "b", "c"].map(|key| ini.flag("modules", key));
        assert_eq!(flags, [Some(false), Some(true), None, None]);
    }

    #[test]
    fn hostile_text_is_an_error_or_nothing_but_never_a_panic() {
        assert!(Ini::parse("[general\nsecret = hunter2").unwrap_err().contains("line 1"));
        assert!(!Ini::parse("[a]\n= hunter2\n").unwrap_err().contains("hunter2"));
        for text in
            ["", "\u{feff}[a]", "[]", "]", "[\u{fffd}]=", "  continued", "key", "[a]\n  x\n \ty", &"[".repeat(9000)]
        {
            let _ = Ini::parse(text).map(|ini| ini.get("a", "x").is_some());
        }
    }
}
