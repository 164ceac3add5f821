//! `events.*`: a subscription to committed changes.

use super::convert;
use crate::{app::App, feed::Feed};
use conveyor_proto::{Method, registry::EventsSubscribe, types::events::SubscribeParams};
use jsonrpsee::{RpcModule, SubscriptionMessage, core::RegisterMethodError};
use std::sync::Arc;

/// The method that ends a subscription, and the method name of its notifications.
const UNSUBSCRIBE: &str = "events.unsubscribe";
const NOTIFICATION: &str = "events.change";

pub(super) fn register(module: &mut RpcModule<Arc<App>>) -> std::result::Result<(), RegisterMethodError> {
    module.register_subscription(
        EventsSubscribe::NAME,
        NOTIFICATION,
        UNSUBSCRIBE,
        |params, pending, app, _| async move {
            // The feed is opened before the subscription is accepted, so that no change between the two is
            // missed.
            let feed = match convert::params::<SubscribeParams>(&params) {
                Ok(params) => Feed::open(&app.store, params).await,
                Err(error) => return pending.reject(error).await,
            };
            let mut feed = match feed {
                Ok(feed) => feed,
                Err(error) => return pending.reject(convert::error(EventsSubscribe::NAME, &error)).await,
            };
            let Ok(sink) = pending.accept().await else { return };
            loop {
                tokio::select! {
                    () = sink.closed() => return,
                    () = app.shutdown.cancelled() => return,
                    change = feed.next() => {
                        let Some(change) = change else { return };
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
