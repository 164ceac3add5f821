//! Claims whose holder could not write how they ended, as on a full disk: they are given up as soon as the store
//! takes writes again, and recovery settles them then. Else they would stand until their leases run out.

use crate::store::{
    Durability, Store, StoreError,
    commands::claims::{self, Claim},
    notifications,
};
use std::sync::{Arc, Mutex, PoisonError};

/// A claim that nobody works on any more.
#[derive(Debug, Clone)]
pub(super) enum LostClaim {
    /// Of a command.
    Command(Box<Claim>),
    /// Of a completion: notification and fencing token.
    Completion(i64, i64),
}

/// The lost claims of one dispatcher; never more than it serves at a time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<Mutex<Vec<LostClaim>>>);

impl Lost {
    pub(super) fn add(&self, claim: LostClaim) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
    }

    /// Ends the leases, so that recovery finds them.
    ///
    /// # Errors
    /// Those of SQLite; the claims are kept then.
    pub(super) async fn give_up(&self, store: &Store) -> Result<(), StoreError> {
        let claims = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if claims.is_empty() {
            return Ok(());
        }
        let lost = claims.clone();
        let given_up = store
            .write(Durability::Normal, move |tx| {
                for claim in &lost {
                    match claim {
                        LostClaim::Command(claim) => claims::renew(tx, claim, tx.now()).map(drop)?,
                        LostClaim::Completion(id, token) => notifications::renew(tx, *id, *token, tx.now())?,
                    }
                }
                Ok(())
            })
            .await;
        if given_up.is_err() {
            claims.into_iter().for_each(|claim| self.add(claim));
        }
        given_up
    }
}
