//! Which starts run in this daemon. A start in the journal that is not among them was cut off.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The names of the sessions that are being started. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<String>>>);

/// A name that is being started; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    under_way: UnderWay,
    name: String,
}

impl UnderWay {
    /// Takes a name; none when it is taken.
    pub(super) fn take(&self, name: &str) -> Option<Running> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        new.then(|| Running { under_way: self.clone(), name: name.to_owned() })
    }

    /// Whether a session of this name is being started.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
