//! The work that this daemon is doing: starts by the name of their session, finishes by their command. A row
//! that says it is being worked on, but is not in here, has lost its worker.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// The keys of the work in progress. Clones share them.
#[derive(Debug, Clone)]
pub struct UnderWay<K: Eq + Hash>(Arc<Mutex<HashSet<K>>>);

/// A key whose work is in progress, until this is dropped.
#[derive(Debug)]
pub struct Running<K: Eq + Hash> {
    under_way: UnderWay<K>,
    key: K,
}

impl<K: Eq + Hash> Default for UnderWay<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash> UnderWay<K> {
    /// Begins the work of a key. `None` if that work is in progress already.
    pub fn begin(&self, key: &K) -> Option<Running<K>> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        new.then(|| Running { under_way: self.clone(), key: key.clone() })
    }

    /// Whether the work of a key is in progress.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl<K: Eq + Hash> Drop for Running<K> {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_once_and_free_again_after_its_work() {
        let under_way = UnderWay::<String>::default();
        let name = "w".to_owned();
        let running = under_way.begin(&name);
        assert!(running.is_some() && under_way.begin(&name).is_none() && under_way.contains(&name));
        drop(running);
        assert!(!under_way.contains(&name));
    }
}
