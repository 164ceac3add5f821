//! `dispatch.*`: explicit passes.

use super::Methods;
use crate::dispatch::pass;
use conveyor_proto::registry::DispatchRun;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<DispatchRun, _, _>(|app, params| async move {
        // What a pass has claimed it also ends, whether its caller stays or not.
        let (store, sender) = (app.store.clone(), app.courier.clone());
        app.to_its_end(async move { pass::run(&store, &sender, &params).await }).await
    })
}
