//! Claims whose holder could not write how they ended, for example on a full disk. As soon as the store takes
//! writes again their leases are ended, so that recovery settles them. Otherwise they would stand until their
//! leases run out.
//!
//! A claim whose work panicked is given up in the same way, after a pause.

use super::milliseconds;
use crate::store::{
    Durability, Store, StoreError,
    commands::claims::{self, Claim},
    ids::{FencingToken, NotificationId},
    notifications,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A claim that nobody works on any more.
#[derive(Debug, Clone)]
pub(super) enum LostClaim {
    Command(Box<Claim>),
    /// The notification of a completion, and the fencing token of its claim.
    Completion(NotificationId, FencingToken),
}

/// A lost claim, and until when nobody takes its item up; at once where no time is named.
type Until = (LostClaim, Option<Instant>);

/// The lost claims of one dispatcher, never more than it serves at a time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<Mutex<Vec<Until>>>);

impl Lost {
    /// Notes a claim whose end could not be written.
    pub(super) fn add(&self, claim: LostClaim) {
        self.push(claim, None);
    }

    /// Notes a claim whose work panicked. Nobody takes its item up before this pause is over.
    pub(super) fn add_after(&self, claim: LostClaim, pause: Duration) {
        self.push(claim, Some(Instant::now() + pause));
    }

    fn push(&self, claim: LostClaim, until: Option<Instant>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((claim, until));
    }

    /// Ends the leases of the lost claims, so that recovery takes them back. If that cannot be written, the
    /// claims are kept for the next call.
    pub(super) async fn give_up(&self, store: &Store) -> Result<(), StoreError> {
        let claims = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if claims.is_empty() {
            return Ok(());
        }
        let lost = claims.clone();
        let given_up = store
            .write(Durability::Normal, move |tx| {
                for (claim, until) in &lost {
                    // A lease that is "renewed" until now has ended.
                    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                    let until = tx.due_in(milliseconds(left.unwrap_or_default()));
                    match claim {
                        LostClaim::Command(claim) => claims::renew(tx, claim, &until)?,
                        LostClaim::Completion(id, token) => notifications::renew(tx, *id, *token, &until)?,
                    }
                }
                Ok(())
            })
            .await;
        if given_up.is_err() {
            claims.into_iter().for_each(|(claim, until)| self.push(claim, until));
        }
        given_up
    }
}
