//! Sending again and closing what failed or may not have arrived.

use super::*;
use crate::dispatch::{listing, mend, pass::command_types};
use crate::error::{Error, Result};
use crate::store::commands::claims;
use conveyor_proto::types::command::{DiscardResult, ListParams, RetryResult};

fn params(id: &str) -> conveyor_proto::types::command::MendParams {
    serde_json::from_value(json!({"id": id, "reason": "looked at the pane"})).unwrap()
}

async fn retry(world: &World, id: &str) -> Result<RetryResult> {
    mend::retry(&world.store, params(id)).await
}

async fn discard(world: &World, id: &str) -> Result<DiscardResult> {
    mend::discard(&world.store, params(id)).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(matches!(&error, Error::Refused(refusal) if refusal.hint.is_some()), "{error} has no hint");
}

/// A command whose daemon died after the send had begun: it is uncertain, and its message is in the inbox.
async fn uncertain(world: &World) -> String {
    let id = world.queue(SignalType::NudgeWorker, json!({"message": "perhaps"})).await;
    let claim = world.dispatcher("dead").claim(&command_types(None), &[]).await.unwrap().unwrap();
    let typed = id.clone();
    world
        .store
        .write(Durability::Full, move |tx| {
            claims::start_side_effect(tx, &claim)?;
            tx.execute(
                "insert into deliveries (session_id, command_id, text_sha256, sent_at, outcome)
                 values ('w', ?1, 'hash', '2026-01-01T00:00:00.000Z', 'sending')",
                [&typed],
            )?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    world.restart().await;
    assert_eq!(world.counts().await.uncertain, 1);
    id
}

/// A completion that was typed into the manager's pane, and may not have arrived.
async fn uncertain_completion(world: &World) -> i64 {
    world.complete_turn("turn");
    world.dispatch(json!({})).await;
    world.sql(
        "update routed_notifications set delivery_uncertain = 1, delivery_mode = 'push';
         insert into deliveries (session_id, notification_id, text_sha256, sent_at, outcome)
           values ('m', (select max(id) from routed_notifications), 'hash', '2026-01-01T00:00:00.000Z', 'uncertain')",
    );
    world.words("select max(id) x from routed_notifications")[0].parse().unwrap()
}

impl World {
    async fn counts(&self) -> conveyor_proto::types::daemon::DeliveryCounts {
        let counts = |connection: &rusqlite::Connection| crate::store::deliveries::counts(connection);
        self.store.read(counts).await.unwrap()
    }

    async fn listed(&self, filter: Value) -> Vec<String> {
        let rows = listing::commands(&self.store, serde_json::from_value(filter).unwrap()).await.unwrap();
        rows.iter().map(|row| row.id.to_string()).collect()
    }
}

#[tokio::test]
async fn a_retry_is_another_command_that_is_linked_and_audited() {
    let world = World::new();
    let id = uncertain(&world).await;
    let retried = retry(&world, &id).await.unwrap();
    assert_eq!((retried.id.as_str(), retried.delivery_before.as_deref()), (id.as_str(), Some("uncertain")));
    let chain =
        "select id || ' ' || state || ' ' || coalesce(delivery, '-') || ' ' || coalesce(retry_of, '-') x
                 from commands order by id";
    let again = &retried.retried_as;
    assert_eq!(world.words(chain), [format!("{id} failed retried -"), format!("{again} pending - {id}")]);
    assert_eq!(world.words("select count(distinct correlation_id) x from commands"), ["1"]);
    assert_eq!(world.words("select outcome x from deliveries"), ["discarded"], "a late receipt is another's");
    assert_eq!(world.take(json!({"session": "worker"})).await.items, [], "the message is not there twice");
    assert_eq!(world.counts().await.uncertain, 0);
    for table in ["events", "telemetry_events"] {
        let kind = if table == "events" { "type" } else { "event_type" };
        let told = world.words(&format!("select count(*) x from {table} where {kind} = 'delivery_retried'"));
        assert_eq!(told, ["1"], "{table}");
    }
    let reason =
        "select json_extract(payload_json, '$.reason') x from events where type = 'delivery_retried'";
    assert_eq!(world.words(reason), ["looked at the pane"]);

    assert_eq!(world.dispatch(json!({})).await[0]["command_id"], json!(again));
    let item = &world.take(json!({"session": "worker", "consume_next": true})).await.consumed.unwrap();
    assert_eq!(item.payload["message"], "perhaps");
    refused(retry(&world, &id).await, "already_retried");
    refused(discard(&world, &id).await, "already_retried");
    refused(retry(&world, again).await, "not_mendable");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_retries_that_race_one_wins() {
    let world = World::new();
    let id = uncertain(&world).await;
    let race = |_| {
        let (store, id) = (world.store.clone(), id.clone());
        tokio::spawn(async move { mend::retry(&store, params(&id)).await })
    };
    let mut won = 0;
    for racing in (0..8).map(race).collect::<Vec<_>>() {
        match racing.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.kind(), "already_retried", "{error}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(world.words("select count(*) x from commands where retry_of is not null"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_retry_and_a_discard_that_race_one_wins() {
    let world = World::new();
    let id = uncertain(&world).await;
    let (again, closed) = tokio::join!(retry(&world, &id), discard(&world, &id));
    assert!(again.is_ok() != closed.is_ok(), "{again:?} {closed:?}");
    let left = world.words("select delivery x from commands where delivery is not null");
    assert!(left == ["retried"] || left == ["discarded"], "{left:?}");
}

#[tokio::test]
async fn what_is_discarded_is_kept_and_counted_no_more() {
    let world = World::new();
    let id = uncertain(&world).await;
    let discarded = discard(&world, &id).await.unwrap();
    assert!(!discarded.already_discarded);
    assert_eq!(world.words("select state || ' ' || delivery x from commands"), ["failed discarded"]);
    assert_eq!(world.words("select state x from routed_notifications"), ["suppressed"]);
    assert_eq!(
        world.words("select outcome || ' ' || note x from deliveries"),
        ["discarded looked at the pane"]
    );
    assert_eq!(world.counts().await.uncertain, 0);
    assert!(discard(&world, &id).await.unwrap().already_discarded);
    assert_eq!(world.words("select count(*) x from events where type = 'delivery_discarded'"), ["1"]);
    refused(retry(&world, &id).await, "already_discarded");
}

#[tokio::test]
async fn what_is_under_way_or_has_arrived_is_refused() {
    let world = World::new();
    let id = world.queue(SignalType::NudgeWorker, json!({})).await;
    refused(retry(&world, &id).await, "not_mendable");
    let claim = world.dispatcher("one").claim(&command_types(None), &[]).await.unwrap().unwrap();
    refused(discard(&world, &id).await, "not_mendable");
    assert_eq!(world.words("select state x from commands"), ["attempted"], "a refusal changes nothing");
    crate::dispatch::commands::execute(&world.dispatcher("one"), claim).await.unwrap();
    refused(retry(&world, &id).await, "not_mendable");
    for id in
        ["command-none", "delivery-9", "notification-9", "9", "what", "+1", "delivery-+1", "notification--1"]
    {
        refused(retry(&world, id).await, "unknown_delivery");
    }
    let blank = serde_json::from_value(json!({"id": id, "reason": " "})).unwrap();
    refused(mend::retry(&world.store, blank).await, "blank_reason");
    let long = serde_json::from_value(json!({"id": id, "reason": "x".repeat(70_000)})).unwrap();
    refused(mend::retry(&world.store, long).await, "reason_too_long");
    world.sql(
        "insert into commands (id, idempotency_key, created_at, updated_at, type, state, payload_json)
         values ('command-finish', 'f', '1', '1', 'finish_task', 'failed', '{}')",
    );
    refused(retry(&world, "command-finish").await, "not_mendable");
}

#[tokio::test]
async fn a_retry_is_checked_as_queueing_is() {
    let world = World::new();
    let id = uncertain(&world).await;
    world.sql("update sessions set state = 'gone', gone_reason = 'process_exited' where id = 'w'");
    refused(retry(&world, &id).await, "session_gone");
    world.sql("update sessions set state = 'active'; update tasks set state = 'done'");
    refused(retry(&world, &id).await, "task_over");
    world.sql("update tasks set state = 'managed'; update bindings set state = 'ended'");
    let unbound = retry(&world, &id).await.unwrap_err();
    assert!(unbound.to_string().contains("not bound any more"), "{unbound}");
    refused(Err::<(), _>(unbound), "binding_changed");
    world.sql(
        "insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
           values ('b2', 't', 'w', 'm', 'active', '2');",
    );
    refused(retry(&world, &id).await, "binding_changed");
    assert_eq!(world.words("select count(*) x from commands"), ["1"], "a refusal changes nothing");
    assert_eq!(world.take(json!({"session": "worker"})).await.items.len(), 1);
}

#[tokio::test]
async fn an_item_that_somebody_takes_is_left_to_them() {
    let world = World::new();
    let id = uncertain(&world).await;
    let taken = world.take(json!({"session": "worker", "consume_next": true, "lease": true})).await;
    refused(retry(&world, &id).await, "item_lent");
    refused(discard(&world, &id).await, "item_lent");
    inbox::acknowledge(&world.store, acknowledged(taken.lease.as_ref().unwrap())).await.unwrap();
    // Consumption proves the delivery.
    assert_eq!(world.words("select delivery x from commands"), ["delivered"]);
    assert_eq!(
        world.words("select outcome || ' ' || proof_kind x from deliveries"),
        ["delivered consumption"]
    );
    assert_eq!(world.counts().await.uncertain, 0);
    refused(retry(&world, &id).await, "not_mendable");
}

#[tokio::test]
async fn a_completion_is_sent_again_under_its_own_id() {
    let world = World::new();
    let number = uncertain_completion(&world).await;
    let id = format!("notification-{number}");
    assert_eq!(world.listed(json!({"state": "uncertain"})).await[..], [id.as_str()]);
    assert_eq!(world.counts().await.uncertain, 1);
    // The id as an inbox shows it.
    let retried = retry(&world, &format!("#{number}")).await.unwrap();
    assert_eq!((retried.id, retried.retried_as), (id.clone(), id.clone()));
    refused(retry(&world, &id).await, "not_mendable");
    let sent = world.dispatch(json!({})).await;
    assert_eq!([&sent[0]["notification_id"], &sent[0]["recovered"]], [&json!(number), &json!(true)]);
    assert_eq!(world.counts().await.uncertain, 0);
    assert_eq!(world.take(json!({"session": "manager"})).await.items.len(), 1);
}

#[tokio::test]
async fn a_completion_can_be_discarded() {
    let world = World::new();
    let id = uncertain_completion(&world).await.to_string();
    assert!(!discard(&world, &id).await.unwrap().already_discarded);
    assert!(discard(&world, &id).await.unwrap().already_discarded);
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    assert_eq!(world.take(json!({"session": "manager"})).await.items, []);
    refused(retry(&world, &id).await, "already_discarded");
}

#[tokio::test]
async fn what_is_still_to_be_sent_can_be_taken_back() {
    let world = World::new();
    let id = world.queue(SignalType::NudgeWorker, json!({})).await;
    world.sql("update commands set delivery = 'held', held_by = 'menu'");
    assert_eq!(discard(&world, &id).await.unwrap().delivery_before.as_deref(), Some("held"));
    assert!(discard(&world, &id).await.unwrap().already_discarded);
    let row = "select state || ' ' || delivery || ' ' || error x from commands";
    assert_eq!(world.words(row), ["failed discarded discarded"]);

    world.in_tmux("manager");
    world.complete_turn("turn");
    assert_eq!(world.dispatch(json!({})).await[0]["state"], "failed", "its pane does not exist");
    discard(&world, "notification-1").await.unwrap();
    assert_eq!(world.counts().await.held, 0);
    assert_eq!(world.take(json!({"session": "manager"})).await.items, []);

    let (worker, manager) = (world.start_pane("worker"), world.start_pane("manager"));
    assert_eq!(world.dispatch(json!({})).await, Vec::<Value>::new());
    assert_eq!([std::fs::read(worker).unwrap(), std::fs::read(manager).unwrap()], [b"", b""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_discard_and_a_dispatcher_that_race_one_wins() {
    for _ in 0..10 {
        let world = World::new();
        let id = world.queue(SignalType::NudgeWorker, json!({})).await;
        let (closed, sent) = tokio::join!(discard(&world, &id), world.dispatch(json!({})));
        assert!(closed.is_ok() == sent.is_empty(), "{closed:?} {sent:?}");
        let items = world.take(json!({"session": "worker"})).await.items;
        assert_eq!(items.is_empty(), closed.is_ok());
    }
}

#[tokio::test]
async fn a_text_that_is_not_stored_can_only_be_closed() {
    let world = World::new();
    world.sql(
        "insert into deliveries (session_id, text_sha256, sent_at, outcome)
         values ('w', 'hash', '2026-01-01T00:00:00.000Z', 'uncertain')",
    );
    let ids = world.listed(json!({"state": "uncertain"})).await;
    assert_eq!(ids, ["delivery-1"]);
    assert!(world.counts().await.oldest_uncertain_seconds.is_some());
    refused(retry(&world, &ids[0]).await, "not_retryable");
    discard(&world, &ids[0]).await.unwrap();
    assert_eq!(world.listed(json!({"state": "uncertain"})).await, Vec::<String>::new());
    assert_eq!(world.counts().await.oldest_uncertain_seconds, None);
}

#[tokio::test]
async fn a_listing_has_pages() {
    let world = World::new();
    let mut queued = Vec::new();
    for _ in 0..5 {
        queued.push(world.queue(SignalType::NudgeWorker, json!({})).await);
    }
    assert_eq!(world.listed(json!({})).await, queued);
    assert_eq!(world.listed(json!({"limit": 2, "task": "demo"})).await, queued[3..]);
    assert_eq!(world.listed(json!({"limit": 2, "before": queued[3]})).await, queued[1..3]);
    assert_eq!(world.listed(json!({"limit": 2, "before": queued[1], "state": "pending"})).await, queued[..1]);
    world.sql("update commands set created_at = '2026-05-01T10:00:00.000Z' where rowid <= 2");
    assert_eq!(world.listed(json!({"since": "2026-05-01T12:00:01+02:00"})).await, queued[2..]);
    assert!(serde_json::from_value::<ListParams>(json!({"limit": 0})).is_err(), "as the command line says");
    let odd = serde_json::from_value(json!({"since": "yesterday"})).unwrap();
    refused(listing::commands(&world.store, odd).await, "invalid_time");
}

#[tokio::test]
async fn pages_of_what_is_no_command_leave_nothing_out() {
    let world = World::new();
    // Items of the same time, typed in another order than they were made.
    world.sql(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 12)
         insert into routed_notifications (task_id, binding_id, correlation_id, source_session_id, target_session_id,
             signal_type, dedupe_key, created_at, delivered_at, state, delivery_uncertain, payload_json)
         select 't', 'b', 'x', 'w', 'm', 'worker_task_complete', i, '2026-01-01T00:00:00.000Z', '2', 'delivered', 1, '{}'
         from n;
         insert into deliveries (session_id, notification_id, text_sha256, sent_at, outcome)
         select 'm', id, 'hash', format('2026-02-%02dT00:00:00.000Z', 20 - id), 'uncertain'
         from routed_notifications;
         insert into deliveries (session_id, text_sha256, sent_at, outcome)
         values ('w', 'hash', '2026-01-15T00:00:00.000Z', 'uncertain');",
    );
    let paged = async |state: &str| {
        let mut pages: Vec<String> = Vec::new();
        loop {
            let page = world.listed(json!({"state": state, "limit": 5, "before": pages.first()})).await;
            if page.is_empty() {
                return pages;
            }
            pages.splice(0..0, page);
        }
    };
    let all = world.listed(json!({"state": "uncertain"})).await;
    assert_eq!((all.len(), all.last().map(String::as_str)), (13, Some("delivery-13")));
    assert_eq!(paged("uncertain").await, all);
    // The id of the delivery's row names the same place.
    let before = async |id: &str| world.listed(json!({"state": "uncertain", "before": id})).await;
    assert_eq!(before("delivery-7").await, before("notification-7").await);
    world.sql(
        "update deliveries set outcome = 'discarded';
         update routed_notifications set state = 'pending', held_by = 'menu', delivered_at = null",
    );
    let held = world.listed(json!({"state": "held"})).await;
    assert_eq!((held.len(), paged("held").await), (12, held));
}
