//! What the reference and the version before left behind.

mod import;
mod import_reference;
mod outside;
mod version_before;
