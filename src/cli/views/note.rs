//! One sentence that says what was done.

use serde::Serialize;

use crate::cli::output::View;
use crate::cli::text;

/// A sentence.
#[derive(Debug, Serialize)]
pub struct NoteView {
    message_type: &'static str,
    message: String,
}

impl NoteView {
    /// It.
    pub fn new(message: String) -> Self {
        Self { message_type: "done", message }
    }
}

impl View for NoteView {
    fn text(&self) -> String {
        format!("{}\n", text::printable(self.message.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_it_cannot_steer_the_terminal() {
        assert_eq!(NoteView::new("/data/\x1b[31m is removed".to_owned()).text(), "/data/\\x1b[31m is removed\n");
    }
}
