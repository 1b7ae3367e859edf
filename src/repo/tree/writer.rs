//! Writing trees.
