//! A panic in one piece of work must not end what runs beside it.

use futures_util::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A piece of work panicked. What the panic said is left to the panic hook: it may hold untrusted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it panicked; the log says where")]
pub struct Panicked;

/// Runs `work` and turns a panic in it into an error.
///
/// # Errors
/// [`Panicked`] when `work` panicked. State that it shared with others is theirs to check, as after any
/// early return.
pub async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}

/// The same for work that does not wait.
///
/// # Errors
/// As [`guarded`].
pub fn guarded_now<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}
