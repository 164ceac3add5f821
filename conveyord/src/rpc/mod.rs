//! The JSON-RPC methods. Each one parses its parameters, calls one function of the domain and answers. There
//! is one file for each namespace.
//!
//! What must not live here: SQL, and rules of the domain. Only this room turns errors of the domain into
//! JSON-RPC errors.
#![expect(clippy::disallowed_types, reason = "the wire is spoken here")]

mod ack;
mod approval;
mod binding;
mod command;
mod compat;
mod config;
mod convert;
mod criteria;
mod cycle;
mod daemon;
mod db;
mod discover;
mod dispatch;
mod doctor;
mod events;
mod handoff;
mod inbox;
mod manager_config;
mod meta;
mod overview;
mod page;
mod pair;
mod pane;
mod reconcile;
mod rollout;
mod run;
mod session;
mod state;
mod task;
mod worker;

use crate::{app::App, error::Result};
use conveyor_proto::Method;
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use std::sync::Arc;

/// The module that the socket serves.
///
/// # Errors
/// When a method name is registered twice, which is a mistake in the code.
pub fn module(app: Arc<App>) -> std::result::Result<RpcModule<Arc<App>>, RegisterMethodError> {
    let mut methods = Methods { module: RpcModule::new(app) };
    meta::register(&mut methods)?;
    daemon::register(&mut methods)?;
    config::register(&mut methods)?;
    doctor::register(&mut methods)?;
    discover::register(&mut methods)?;
    db::register(&mut methods)?;
    reconcile::register(&mut methods)?;
    compat::register(&mut methods)?;
    session::register(&mut methods)?;
    worker::register(&mut methods)?;
    task::register(&mut methods)?;
    binding::register(&mut methods)?;
    overview::register(&mut methods)?;
    pair::register(&mut methods)?;
    manager_config::register(&mut methods)?;
    criteria::register(&mut methods)?;
    handoff::register(&mut methods)?;
    ack::register(&mut methods)?;
    rollout::register(&mut methods)?;
    pane::register(&mut methods)?;
    cycle::register(&mut methods)?;
    run::register(&mut methods)?;
    dispatch::register(&mut methods)?;
    command::register(&mut methods)?;
    inbox::register(&mut methods)?;
    approval::register(&mut methods)?;
    state::register(&mut methods)?;
    events::register(&mut methods.module)?;
    Ok(methods.module)
}

/// Registers handlers with typed parameters and results.
struct Methods {
    module: RpcModule<Arc<App>>,
}

impl Methods {
    /// Registers the handler of a declared method.
    fn add<M, F, R>(&mut self, handler: F) -> std::result::Result<(), RegisterMethodError>
    where
        M: Method,
        M::Result: Clone,
        F: Fn(Arc<App>, M::Params) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<M::Result>> + Send + 'static,
    {
        self.module.register_async_method(M::NAME, move |params, app, _| {
            let handler = handler.clone();
            async move {
                let params: M::Params = convert::params(&params)?;
                let result = handler(Arc::clone(&app), params).await;
                result.map_err(|error| convert::error(M::NAME, &error))
            }
        })?;
        Ok::<(), RegisterMethodError>(())
    }
}

/// The result of a handler in the form of the wire.
type Answer<T> = std::result::Result<T, ErrorObjectOwned>;
