//! What is special about Dataiku DSS.

pub mod control;
