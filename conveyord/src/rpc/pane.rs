//! `pane.*`: the classifiers of pane text.

use super::Methods;
use crate::cycle::classify;
use conveyor_proto::registry::PaneClassify;
use jsonrpsee::core::RegisterMethodError;

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<PaneClassify, _, _>(|_, params| async move { Ok(classify::classify(&params)) })
}
