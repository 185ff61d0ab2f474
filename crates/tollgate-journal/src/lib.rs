//! The log of records and events: JSON Lines, appended and never changed.
//!
//! An entry is handed to the operating system in one write before `append` returns, so that a killed process
//! loses none; what a power cut may take is up to the file system. Hash chain, signatures, rotation and recovery
//! are not part of it yet.

mod lines;

pub use lines::JsonLines;
