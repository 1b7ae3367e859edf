//! Just enough of Rust's grammar to see what a source file refers to: comments, literals and test modules are
//! blanked, then paths are found by their first names. Not a parser; `layers.rs` feeds it hard cases.

use std::path::Path;

/// A source file of the library, without what is only text or only test.
pub struct SourceFile {
    /// Path below `src`, with `/`.
    pub path: String,
    /// Lines of the file as it stands.
    pub lines: usize,
    code: String,
}

impl SourceFile {
    pub fn new(path: &str, text: &str) -> Self {
        let code = without_test_modules(&without_text(text));
        Self { path: path.to_owned(), lines: text.lines().count(), code }
    }

    /// Every file below a folder that is not a test module's own file.
    pub fn below(root: &Path) -> Vec<Self> {
        let mut files: Vec<Self> = rust_files(root)
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path).unwrap();
                Self::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &text)
            })
            .filter(|file| !file.is_test_module())
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    fn is_test_module(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The top-level folder (or file, at the top) the file belongs to.
    pub fn folder(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// First names of all paths that begin at the crate's root, `crate::…` and `super::super::…` alike.
    pub fn crate_paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (at, word) in self.words() {
            let rest = &self.code[at + word.len()..];
            if word == "crate" {
                found.extend(after_colons(rest).map(heads).unwrap_or_default());
            } else if word == "super" && !self.code[..at].trim_end().ends_with("::") {
                let (supers, rest) = climb(rest);
                if supers >= self.depth() {
                    found.extend(after_colons(rest).map(heads).unwrap_or_default());
                }
            }
        }
        found
    }

    /// Whether the file refers to an external crate by name.
    pub fn uses_crate(&self, name: &str) -> bool {
        self.words().any(|(at, word)| {
            let before = self.code[..at].trim_end();
            let path = self.code[at + word.len()..].trim_start().starts_with("::");
            let import = before.ends_with("use") || before.ends_with("extern crate");
            let absolute = before.ends_with("::") && !ends_with_name(before.trim_end_matches("::"));
            let inner = (before.ends_with("::") && !absolute) || before.ends_with('.');
            word == name && !inner && (path || import)
        })
    }

    /// Whether the file calls a macro.
    pub fn calls_macro(&self, name: &str) -> bool {
        self.words().any(|(at, word)| word == name && self.code[at + word.len()..].starts_with('!'))
    }

    fn depth(&self) -> usize {
        let names = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        names.split('/').count()
    }

    fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        self.code.split(|c: char| !is_name(c)).filter_map(move |word| {
            let start = at;
            at += word.len();
            at += self.code[at..].chars().next().map_or(0, char::len_utf8);
            (!word.is_empty()).then_some((start, word))
        })
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn ends_with_name(text: &str) -> bool {
    text.trim_end().ends_with(|c: char| is_name(c) || c == '>')
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn after_colons(rest: &str) -> Option<&str> {
    rest.trim_start().strip_prefix("::").map(str::trim_start)
}

/// Counts how many `super` stand in a row, the first one already read.
fn climb(mut rest: &str) -> (usize, &str) {
    let mut supers = 1;
    while let Some(next) = after_colons(rest).and_then(|next| next.strip_prefix("super")) {
        if next.starts_with(is_name) {
            break;
        }
        supers += 1;
        rest = next;
    }
    (supers, rest)
}

/// The first names of a path or of a `{…}` group of paths.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|&c| is_name(c)).collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut start, mut found) = (1usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            found.push(name(group[start..at].trim()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|name| !name.is_empty() && name != "self");
    found
}

/// Blanks comments, strings and character literals; line breaks stay.
fn without_text(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let named = code.ends_with(is_name);
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + quoted(&rest[1..], '"'),
            'r' if !named || code.ends_with('b') => raw_string(rest),
            '\'' => char_literal(rest),
            _ => 0,
        };
        if skip == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..skip].chars().filter(|&c| c == '\n'));
            rest = &rest[skip..];
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|&c| c == '#').count();
    let Some(body) = text[1 + hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    body.find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len())
}

/// A character literal's length, or 0 for a lifetime.
fn char_literal(text: &str) -> usize {
    let mut inside = text[1..].chars();
    match inside.next() {
        Some('\\') => 1 + quoted(&text[1..], '\''),
        Some(c) if inside.next() == Some('\'') => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// Cuts every item behind `#[cfg(test)]` that has a body.
fn without_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        let end = rest.find([';', '{']).unwrap_or(rest.len());
        rest = if rest[end..].starts_with('{') { &rest[end + matching_brace(&rest[end..])..] } else { &rest[end..] };
    }
    kept + rest
}

fn matching_brace(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}
