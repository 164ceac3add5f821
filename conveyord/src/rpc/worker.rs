//! `worker.*`: workers by name, with a folder or as registered sessions.

use super::Methods;
use conveyor_proto::registry::{
    WorkerAttach, WorkerCapture, WorkerCreate, WorkerEvents, WorkerIdleCheck, WorkerInterrupt, WorkerList,
    WorkerNudge, WorkerOpened, WorkerStart, WorkerStatus, WorkerStop, WorkerUpdateStatus,
};
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<WorkerList, _, _>(|app, params| async move { app.workers.list(params).await })?;
    methods.add::<WorkerStatus, _, _>(|app, params| async move { app.workers.status(params).await })?;
    methods.add::<WorkerUpdateStatus, _, _>(|app, params| async move {
        app.workers.update_status(params).await
    })?;
    methods
        .add::<WorkerIdleCheck, _, _>(|app, params| async move { app.workers.idle_check(params).await })?;
    methods.add::<WorkerEvents, _, _>(|app, params| async move { app.workers.events(params).await })?;
    methods.add::<WorkerCapture, _, _>(|app, params| async move { app.workers.capture(params).await })?;
    methods.add::<WorkerAttach, _, _>(|app, params| async move { app.workers.attach(params).await })?;
    methods.add::<WorkerOpened, _, _>(|app, params| async move { app.workers.opened(params).await })?;
    methods.add::<WorkerStart, _, _>(|app, params| async move {
        let workers = app.workers.clone();
        app.to_its_end(async move { workers.start(params).await }).await
    })?;
    methods.add::<WorkerCreate, _, _>(|app, params| async move {
        let (workers, context) = (app.workers.clone(), app.finish());
        app.to_its_end(async move { workers.create(context, params).await }).await
    })?;
    // These run to their end even if the caller disappears, so that no text is pasted by half.
    methods.add::<WorkerNudge, _, _>(|app, params| async move {
        let (workers, actuator) = (app.workers.clone(), app.actuator());
        app.to_its_end(async move { workers.nudge(&actuator, params).await }).await
    })?;
    methods.add::<WorkerInterrupt, _, _>(|app, params| async move {
        let (workers, actuator) = (app.workers.clone(), app.actuator());
        app.to_its_end(async move { workers.interrupt(&actuator, params).await }).await
    })?;
    methods.add::<WorkerStop, _, _>(|app, params| async move {
        let (workers, context) = (app.workers.clone(), app.finish());
        app.to_its_end(async move { workers.stop(context, params).await }).await
    })
}
