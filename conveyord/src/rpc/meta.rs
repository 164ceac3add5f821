//! `rpc.*`: the version and the capabilities of this daemon, and its methods.

use super::Methods;
use crate::error::Error;
use crate::refusal::Kind;
use conveyor_proto::{
    openrpc::{self, PROTOCOL_MAJOR, PROTOCOL_MINOR},
    registry::{RpcDiscover, RpcHello},
    types::daemon::{HelloResult, Protocol},
};
use jsonrpsee::core::RegisterMethodError;
use serde_json::Value;
use std::sync::LazyLock;

/// Stable words for what this daemon can do beyond the minimum of its protocol.
const CAPABILITIES: [&str; 3] = ["lines", "inbox_lease", "events"];

pub(super) fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    methods.add::<RpcHello, _, _>(|app, params| async move {
        if params.protocol.is_some_and(|major| major != PROTOCOL_MAJOR) {
            let message = format!(
                "the client speaks protocol {}, this conveyord {} speaks {PROTOCOL_MAJOR}",
                params.protocol.unwrap_or_default(),
                app.version
            );
            return Err(Error::refused(Kind::ProtocolMismatch, message)
                .hint("install both of one version, then: conveyorctl daemon restart"));
        }
        Ok(HelloResult {
            server_version: app.version.to_owned(),
            protocol: Protocol { major: PROTOCOL_MAJOR, minor: PROTOCOL_MINOR },
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            pid: std::process::id(),
            started_at: app.started_at.clone(),
            schema_version: crate::store::SCHEMA_VERSION,
            state_root: app.config.files.root.to_string(),
        })
    })?;
    // Deriving the document takes many times longer than any other answer, so it is done once.
    static DOCUMENT: LazyLock<Value> = LazyLock::new(openrpc::document);
    methods.add::<RpcDiscover, _, _>(|_, _| async move { Ok(DOCUMENT.clone()) })
}
