//! Shell text that is parsed and never run: `env-default.sh`, boot files, command lines of the install log. The only
//! door to the `shlex` crate.

use std::collections::BTreeMap;

/// Variables a script of plain assignments sets: `export NAME="value"` or `NAME=value`, the last one counts. What
/// needs a shell to know (`$(…)`, loops) is left as it is written or passed over.
pub fn assignments(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let words = shlex::split(line.trim()).unwrap_or_default();
        let words = words.iter().map(String::as_str).skip_while(|&word| word == "export");
        for (name, value) in words.map_while(|word| word.split_once('=')) {
            if !is_name(name) {
                break;
            }
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    found
}

/// The words of a command line; if its quotes do not close, what stands between blanks.
pub fn words(line: &str) -> Vec<String> {
    shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect())
}

fn is_name(text: &str) -> bool {
    let mut signs = text.chars();
    signs.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && signs.all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_without_running_anything() {
        let read = assignments(
            "#!/bin/sh\n# DKUINSTALLDIR=\"/commented\"\nexport DKUINSTALLDIR=\"/opt/dataiku dss\"\n  export DKU_NODE_TYPE='design'\n\
             DKU_BASE_PORT=11000 DKU_BACKEND_PORT=11001\nexport DKUJAVABIN=\"$JAVA_HOME/bin/java\"\n\
             if [ -z \"$X\" ]; then Y=1; fi\nrm -rf / A=b\nexport NOTHING\n",
        );
        assert_eq!(read["DKUINSTALLDIR"], "/opt/dataiku dss");
        assert_eq!(read["DKU_NODE_TYPE"], "design");
        assert_eq!((read["DKU_BASE_PORT"].as_str(), read["DKU_BACKEND_PORT"].as_str()), ("11000", "11001"));
        assert_eq!(read["DKUJAVABIN"], "$JAVA_HOME/bin/java");
        assert_eq!(read.len(), 5);
    }

    #[test]
    fn hostile_scripts_give_nothing() {
        for text in ["", "=", "export", "export =x", "A", "1A=b", "A='open", "\u{0}=\u{0}", &"=".repeat(9000)] {
            assert!(assignments(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_command_line_is_split_as_a_shell_would() {
        assert_eq!(
            words("installer.sh -d '/data/my dss' -p 11000"),
            ["installer.sh", "-d", "/data/my dss", "-p", "11000"]
        );
        assert_eq!(
            words("install-hadoop-integration -principal it's"),
            ["install-hadoop-integration", "-principal", "it's"]
        );
    }
}
