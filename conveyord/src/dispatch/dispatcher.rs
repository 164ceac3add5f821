//! A dispatcher: what every part of a pass needs to know.

use super::{courier::Courier, lost::Lost};
use crate::{background::Items, store::Store};

/// Who dispatches, by which ways, and under which rules. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    pub store: Store,
    pub sender: Courier,
    /// The name by which its claims, heartbeats and audit rows are known.
    pub id: String,
    /// Length of a lease, in milliseconds.
    pub lease_ms: i64,
    /// Also take what is backing off; explicit passes do.
    pub ignore_back_off: bool,
    /// Claims whose end could not be written.
    pub lost: Lost,
    /// The items whose work panicked, and how long they rest.
    pub items: Items,
}
