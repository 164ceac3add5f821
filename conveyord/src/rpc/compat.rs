//! `compat.*`: what the reference left, brought over.

use super::Methods;
use crate::compat;
use conveyor_proto::registry::CompatImport;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    // What is half done when its caller leaves goes on to its end.
    methods.add::<CompatImport, _, _>(|app, params| async move {
        let store = app.store.clone();
        app.to_its_end(async move { compat::import(&store, params).await }).await
    })
}
