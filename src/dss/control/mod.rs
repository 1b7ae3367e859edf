//! Whether a node runs, and stopping and starting it so that it is never left stopped.

pub mod curl;
pub mod error;
pub mod evidence;
pub mod guard;
pub mod health;
pub mod http;
pub mod instance;
pub mod journal;
pub mod lock;
pub mod proc;
pub mod recover;
pub mod rotation;
pub mod service;
mod sudo;
pub mod swap_journal;
pub mod window;

pub use error::ControlError;
pub use evidence::{Evidence, Running, Signal};
pub use instance::Instance;
