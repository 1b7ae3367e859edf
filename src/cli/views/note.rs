//! One sentence that says what was done.

use serde::Serialize;

use crate::cli::output::View;

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
        format!("{}\n", self.message)
    }
}
