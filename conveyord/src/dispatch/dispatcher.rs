//! A dispatcher: what every part of a pass needs to know.

use super::{courier::Courier, lost::Lost};
use crate::{
    background::Items,
    store::{Durability, Store},
};

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

/// Which completions of a round are routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first ones. Their managers may wait for them.
    First,
    /// Those after the first ones: a backlog, before which others write.
    Further,
}

impl Part {
    // The commit need not be flushed: a power cut takes back the turn's mark together with its notification, and the
    // turn is routed again. What tells somebody of it for good (a consumption, the beginning of a push) is flushed,
    // and this commit with it.
    pub(super) const fn durability(self) -> Durability {
        match self {
            Self::First => Durability::Normal,
            Self::Further => Durability::Backlog,
        }
    }
}
