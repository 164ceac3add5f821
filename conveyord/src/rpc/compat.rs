//! `compat.*`: importing what agent-conveyor 0.1.0 has left.

use super::Methods;
use crate::compat;
use conveyor_proto::registry::CompatImport;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    // An import must run to its end even if the caller disappears.
    methods.add::<CompatImport, _, _>(|app, params| async move {
        let store = app.store.clone();
        app.to_its_end(async move { compat::import(&store, params).await }).await
    })
}
