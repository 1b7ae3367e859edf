//! Small tools on bytes: cutting, compressing, sealing, signing, padding. Each heavy crate has one door here.

pub mod chunk;
pub mod compress;
pub mod erasure;
pub mod gzip;
pub mod kdf;
pub mod padme;
pub mod seal;
pub mod sign;
pub mod wire;
