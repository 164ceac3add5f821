//! `dispatch.*`: passes that a caller asks for.

use super::Methods;
use crate::dispatch::pass;
use conveyor_proto::registry::DispatchRun;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DispatchRun, _, _>(|app, params| async move {
        // A pass must finish what it has claimed, so it runs to its end even if the caller disappears.
        let (store, sender) = (app.store.clone(), app.courier.clone());
        app.to_its_end(async move { pass::run(&store, &sender, &params).await }).await
    })
}
