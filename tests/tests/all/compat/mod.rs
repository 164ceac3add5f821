//! What the reference left behind.

mod import;
mod import_reference;
