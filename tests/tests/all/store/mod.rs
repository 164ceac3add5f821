//! The database file, and what may happen to it.

mod disk;
mod failures;
#[cfg(target_os = "linux")]
mod locks;
