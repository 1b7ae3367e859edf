//! Reading trees back.
