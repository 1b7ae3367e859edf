//! Commands, tables, JSON, progress bars: everything that speaks to people.
