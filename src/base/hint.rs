//! What the person at the terminal can do next.

/// An error that can name a next step.
pub trait Hint: std::error::Error {
    /// One imperative sentence without a final stop, or `None` when nothing sensible can be advised.
    fn hint(&self) -> Option<String> {
        None
    }
}
