//! The only place where parts are assembled: locations become stores, settings become an opened repository.

pub mod demo;
pub mod error;
pub mod folders;
pub mod open;
pub mod password;

pub use error::AppError;
