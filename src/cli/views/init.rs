//! What `init` made.

use std::path::PathBuf;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::base::id::RepositoryId;
use crate::cli::output::View;
use crate::cli::text;

/// A new repository.
#[derive(Serialize)]
pub struct InitView {
    message_type: &'static str,
    id: RepositoryId,
    repository: String,
    /// Where the recovery words were written, if they were.
    pub recovery_key_file: Option<PathBuf>,
    /// Words to show; never part of the JSON, which is only ever written where no terminal shows it.
    #[serde(skip)]
    pub words: Option<Zeroizing<String>>,
}

impl InitView {
    /// A repository made in a place.
    pub fn new(id: RepositoryId, repository: String) -> Self {
        Self { message_type: "initialized", id, repository, recovery_key_file: None, words: None }
    }
}

impl View for InitView {
    fn text(&self) -> String {
        let mut text = format!("created repository {} at {}\n", self.id.short(), self.repository);
        if let Some(words) = &self.words {
            text.push_str("\nThe recovery key opens the repository when the password is lost. It is shown only now:\n");
            text.push_str("write the words down in order, and keep them where the repository is not.\n\n");
            text.push_str(&numbered(words));
            text.push('\n');
        }
        match (&self.words, &self.recovery_key_file) {
            (_, Some(file)) => {
                text.push_str(&format!("recovery key written to {}; move it to a safe place\n", text::path(file)));
            }
            (None, None) => text.push_str("no recovery key: a lost password is lost data\n"),
            _ => {}
        }
        text
    }
}

/// Words in four columns, numbered from 1 down each column, so that they can be read back over a telephone.
pub fn numbered(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    let rows = words.len().div_ceil(4);
    let mut text = String::new();
    for row in 0..rows {
        let mut line = String::new();
        for (at, word) in words.iter().enumerate().skip(row).step_by(rows) {
            line.push_str(&format!("  {:>2}. {word:<10}", at + 1));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbered_down_the_columns() {
        let words: Vec<String> = (1..=24).map(|n| format!("word{n}")).collect();
        let text = numbered(&words.join(" "));
        assert_eq!(text.lines().count(), 6);
        assert_eq!(text.lines().next().unwrap(), "   1. word1        7. word7       13. word13      19. word19");
        assert!(text.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn words_never_reach_json() {
        let mut view = InitView::new(RepositoryId::from_bytes([1; 16]), "/srv/vault".into());
        view.words = Some(Zeroizing::new("abandon".into()));
        assert!(!serde_json::to_string(&view).unwrap().contains("abandon"));
    }
}
