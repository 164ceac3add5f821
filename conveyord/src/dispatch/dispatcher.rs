//! A dispatcher: what each part of a pass needs to know of who runs it.

use super::{courier::Courier, lost::Lost};
use crate::{background::Items, store::Store};

/// Who dispatches, with what and how. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    /// Database.
    pub store: Store,
    /// Sender.
    pub sender: Courier,
    /// The name by which its claims, heartbeats and audit rows are known.
    pub id: String,
    /// Length of a lease, in milliseconds.
    pub lease_ms: i64,
    /// Take also what is backing off, as explicit passes do.
    pub ignore_back_off: bool,
    /// Claims whose end could not be written.
    pub lost: Lost,
    /// What is put off because the work on it panicked.
    pub items: Items,
}
