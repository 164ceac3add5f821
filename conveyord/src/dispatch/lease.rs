//! Renewing the lease of a claim while its send lasts, so that a slow pane does not cost the claim.

use super::dispatcher::Dispatcher;
use crate::store::{Durability, StoreError, Tx};
use std::time::Duration;

/// Shortest pause between two renewals.
const SHORTEST: Duration = Duration::from_millis(100);

/// Runs a send. Three times per lease, `renew` is called with the new end of the lease.
pub(super) async fn kept<T, R>(pass: &Dispatcher, renew: R, send: impl Future<Output = T>) -> T
where
    R: Fn(&Tx<'_>, &str) -> Result<(), StoreError> + Clone + Send + 'static,
{
    let every = u64::try_from(pass.lease_ms / 3).map_or(SHORTEST, Duration::from_millis).max(SHORTEST);
    let mut send = std::pin::pin!(send);
    loop {
        tokio::select! {
            done = &mut send => return done,
            () = tokio::time::sleep(every) => {
                let (renew, lease_ms) = (renew.clone(), pass.lease_ms);
                if let Err(error) = pass.store.write(Durability::Normal, move |tx| renew(tx, &tx.due_in(lease_ms))).await {
                    tracing::warn!(%error, "a lease could not be renewed");
                }
            }
        }
    }
}
