//! `session.*`: registering, starting and stopping sessions, and sending text and keys to them.

use super::{Methods, page};
use crate::{
    pairing,
    sessions::{registration, rename},
    supervision::stop,
};
use conveyor_proto::registry::{
    SessionDeregister, SessionInterrupt, SessionList, SessionNudge, SessionRegister, SessionRename,
    SessionStart, SessionStop,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<SessionRegister, _, _>(|app, params| async move {
        registration::register(&app.store, params, app.config.command_timeout()).await
    })?;
    methods.add::<SessionDeregister, _, _>(|app, params| async move {
        registration::deregister(&app.store, params.name).await
    })?;
    // To its end: between the name of the tmux session and that of the row nobody is to be left.
    methods.add::<SessionRename, _, _>(|app, params| async move {
        let (store, limit) = (app.store.clone(), app.config.command_timeout());
        app.to_its_end(async move { rename::rename(&store, params, limit).await }).await
    })?;
    methods.add::<SessionStop, _, _>(|app, params| async move {
        app.to_its_end(stop::stop(app.finish(), params)).await
    })?;
    // A start runs to its end even if the caller disappears. Otherwise a Codex would be left that nobody
    // knows.
    methods.add::<SessionStart, _, _>(|app, params| async move {
        let spawner = app.spawner();
        app.to_its_end(async move { pairing::start(&spawner, params).await }).await
    })?;
    methods.add::<SessionList, _, _>(|app, params| async move {
        let page = params.page.clone();
        page::of(registration::list(&app.store, params).await?, &page, |row| row.id.clone())
    })?;
    // Both run to their end even if the caller disappears, so that no text is pasted by half.
    methods.add::<SessionNudge, _, _>(|app, params| async move {
        let actuator = app.actuator();
        app.to_its_end(async move { actuator.nudge(params).await }).await
    })?;
    methods.add::<SessionInterrupt, _, _>(|app, params| async move {
        let actuator = app.actuator();
        app.to_its_end(async move { actuator.interrupt(params).await }).await
    })
}
