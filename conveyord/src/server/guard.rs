//! A panic in one request must not end the daemon, nor leave its client without an answer.

use super::fault;
use futures_util::FutureExt;
use jsonrpsee::types::ErrorObjectOwned;
use std::panic::AssertUnwindSafe;

/// A request's code panicked. What the panic said is left to the panic hook: it may hold untrusted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request failed inside the daemon; its log says where")]
pub struct Panicked;

impl From<Panicked> for ErrorObjectOwned {
    fn from(panicked: Panicked) -> Self {
        fault::internal(&panicked.to_string())
    }
}

/// Runs `work` and turns a panic in it into an error.
///
/// Every call is guarded by the server already. It is needed where work leaves the call's own future, such
/// as the body of a subscription, which runs as a task of its own.
///
/// # Errors
/// [`Panicked`] when `work` panicked. State that it shared with others is theirs to check, as after any
/// early return.
pub async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Panicked)
}
