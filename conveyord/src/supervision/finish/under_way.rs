//! Which finishes run in this daemon. A claim in the database that is not among them has lost its holder: its end
//! could not be written, as on a full disk.

use conveyor_proto::ids::CommandId;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The finishes that run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<CommandId>>>);

/// A finish that runs; it counts as such until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    under_way: UnderWay,
    command_id: CommandId,
}

impl UnderWay {
    pub(super) fn begin(&self, command_id: CommandId) -> Running {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(command_id.clone());
        Running { under_way: self.clone(), command_id }
    }

    pub(super) fn contains(&self, command_id: &CommandId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(command_id)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.command_id);
    }
}
