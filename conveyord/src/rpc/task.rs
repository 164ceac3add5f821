//! `task.*`: creating, listing and ending tasks, and their history.

use super::Methods;
use crate::{
    bindings,
    history::{audit, replay},
    store::tasks::{self, Scope},
    supervision::finish,
};
use conveyor_proto::registry::{
    TaskAudit, TaskAuditRows, TaskCreate, TaskFinish, TaskList, TaskReplay, TaskStop,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<TaskCreate, _, _>(|app, params| async move {
        bindings::create_task(&app.store, params).await
    })?;
    methods.add::<TaskList, _, _>(|app, params| async move {
        app.store
            .read(move |connection| tasks::list(connection, Scope::current_if(params.active), &params.page))
            .await
    })?;
    // A manager may end its own pane by this, and so disappear as the caller.
    methods.add::<TaskFinish, _, _>(|app, params| async move {
        app.to_its_end(finish::finish(app.finish(), params)).await
    })?;
    methods.add::<TaskStop, _, _>(|app, params| async move {
        app.to_its_end(finish::stop(app.finish(), params)).await
    })?;
    methods.add::<TaskAudit, _, _>(|app, params| async move {
        app.store.read(move |connection| audit::audit(connection, &params)).await
    })?;
    methods.add::<TaskAuditRows, _, _>(|app, params| async move {
        app.store.read(move |connection| audit::rows(connection, &params)).await
    })?;
    methods.add::<TaskReplay, _, _>(|app, params| async move {
        app.store.read(move |connection| replay::replay(connection, &params)).await
    })
}
