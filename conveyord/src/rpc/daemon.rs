//! `daemon.*`: status and stop. These methods answer clients of every version.

use super::Methods;
use conveyor_proto::{
    registry::{DaemonStatus, DaemonStop},
    types::daemon::StopResult,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DaemonStatus, _, _>(|app, _| async move { app.status().await })?;
    methods.add::<DaemonStop, _, _>(|app, _| async move {
        // The answer is still written: the daemon finishes its running calls before it ends.
        app.shutdown.cancel();
        Ok(StopResult { stopping: true, pid: std::process::id(), origin: app.config.origin.clone() })
    })
}
