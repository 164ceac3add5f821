//! `events.*`: committed changes as a subscription.

use super::convert;
use crate::{
    app::App,
    changes::{Change, ChangeKind},
    error::Result,
    store::{sessions, tasks},
};
use conveyor_proto::{Method, registry::EventsSubscribe, types::events::SubscribeParams};
use jsonrpsee::{RpcModule, SubscriptionMessage, core::RegisterMethodError};
use std::sync::Arc;

/// The method that ends a subscription, and the one under which its items come.
const UNSUBSCRIBE: &str = "events.unsubscribe";
const NOTIFICATION: &str = "events.change";

pub(super) fn register(module: &mut RpcModule<Arc<App>>) -> std::result::Result<(), RegisterMethodError> {
    module.register_subscription(
        EventsSubscribe::NAME,
        NOTIFICATION,
        UNSUBSCRIBE,
        |params, pending, app, _| async move {
            let filter = match convert::params::<SubscribeParams>(&params) {
                Ok(params) => filter(&app, params).await,
                Err(error) => return pending.reject(error).await,
            };
            let filter = match filter {
                Ok(filter) => filter,
                Err(error) => return pending.reject(convert::error(EventsSubscribe::NAME, &error)).await,
            };
            // Listening begins before the answer, so that nothing between the two is missed.
            let mut changes = app.store.changes().subscribe();
            let Ok(sink) = pending.accept().await else { return };
            loop {
                tokio::select! {
                    () = sink.closed() => return,
                    () = app.shutdown.cancelled() => return,
                    change = changes.next() => {
                        let Some(change) = change else { return };
                        if !filter.admits(&change) {
                            continue;
                        }
                        let Ok(item) = serde_json::value::to_raw_value(&change) else { continue };
                        if sink.send(SubscriptionMessage::from(item)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        },
    )?;
    Ok(())
}

/// What a subscriber wants to hear of.
struct Filter {
    task_id: Option<String>,
    session_id: Option<String>,
    kinds: Vec<ChangeKind>,
}

impl Filter {
    fn admits(&self, change: &Change) -> bool {
        if change.kind == ChangeKind::Lagged {
            return true;
        }
        let same = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        (self.kinds.is_empty() || self.kinds.contains(&change.kind))
            && same(&self.task_id, &change.task_id)
            && same(&self.session_id, &change.session_id)
    }
}

async fn filter(app: &Arc<App>, params: SubscribeParams) -> Result<Filter> {
    app.store
        .read(move |connection| {
            let task_id = match &params.task {
                Some(task) => Some(tasks::resolve(connection, task)?.id.to_string()),
                None => None,
            };
            let session_id = match &params.session {
                Some(session) => Some(sessions::resolve(connection, session)?.id.to_string()),
                None => None,
            };
            Ok(Filter { task_id, session_id, kinds: params.kinds })
        })
        .await
}
