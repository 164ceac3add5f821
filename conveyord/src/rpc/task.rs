//! `task.*`: creating, listing and ending tasks, and their history.

use super::Methods;
use crate::{
    bindings::{self, put_away},
    history::{audit, replay},
    store::tasks::{self, Scope, Shelf},
    supervision::finish,
};
use conveyor_proto::registry::{
    TaskArchive, TaskAudit, TaskAuditRows, TaskCreate, TaskDelete, TaskFinish, TaskList, TaskReplay,
    TaskRestore, TaskStop,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<TaskCreate, _, _>(|app, params| async move {
        bindings::create_task(&app.store, params).await
    })?;
    methods.add::<TaskList, _, _>(|app, params| async move {
        let scope = Scope::current_if(params.active);
        let shelf = if params.archived { Shelf::Archive } else { Shelf::Open };
        app.store.read(move |connection| tasks::list(connection, scope, shelf, &params.page)).await
    })?;
    methods
        .add::<TaskArchive, _, _>(|app, params| async move { put_away::archive(&app.store, params).await })?;
    methods
        .add::<TaskRestore, _, _>(|app, params| async move { put_away::restore(&app.store, params).await })?;
    methods
        .add::<TaskDelete, _, _>(|app, params| async move { put_away::delete(&app.store, params).await })?;
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
