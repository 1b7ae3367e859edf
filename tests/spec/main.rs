//! Every behaviour test of the project, one file each, in one binary.
