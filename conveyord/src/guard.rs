//! Keeps a panic in one piece of work from ending the work beside it.

use futures_util::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A piece of work panicked. The text of the panic goes only to the panic hook, because it may contain
/// untrusted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it panicked; the log says where")]
pub struct Panicked;

/// Runs `work` and turns a panic in it into an error.
///
/// # Errors
/// [`Panicked`] when `work` panicked. Others must check the state that they share with `work`, as after any
/// early return.
pub async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}

/// Like [`guarded`], for work that is not asynchronous.
pub fn guarded_now<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}
