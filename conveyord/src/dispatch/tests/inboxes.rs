//! Inboxes: every item goes to one consumer, and none is lost with a consumer that dies.

use super::*;
use std::collections::HashSet;
use tokio::task::JoinSet;

async fn fill(world: &World, count: usize) {
    for number in 0..count {
        world.queue(SignalType::NotifyManager, json!({"message": number.to_string()})).await;
    }
    assert_eq!(world.dispatch(json!({"limit": count})).await.len(), count);
}

#[tokio::test]
async fn concurrent_consumers_never_get_the_same_item() {
    let world = World::new();
    fill(&world, 200).await;
    let mut consumers = JoinSet::new();
    for number in 0..50 {
        let store = world.store.clone();
        consumers.spawn(async move {
            let lease = number % 2 == 0;
            let mut got = Vec::new();
            loop {
                let params = json!({"session": "manager", "consume_next": true, "lease": lease});
                let params: TakeParams = serde_json::from_value(params).unwrap();
                let taken = inbox::take(&store, params, &CancellationToken::new()).await.unwrap();
                let Some(item) = taken.consumed else { return got };
                if let Some(lease) = taken.lease {
                    assert!(inbox::acknowledge(&store, acknowledged(&lease)).await.unwrap().consumed_now);
                }
                got.push(item.id);
            }
        });
    }
    let got = consumers.join_all().await.concat();
    assert_eq!((got.len(), got.iter().collect::<HashSet<_>>().len()), (200, 200));
    assert_eq!(world.words("select count(*) x from routed_notifications where consumed_at is null"), ["0"]);
    let receipts = "select count(*) x from telemetry_events where event_type = 'dispatch_inbox_consumed'";
    assert_eq!(world.words(receipts), ["200"]);
}

#[tokio::test]
async fn an_item_returns_when_its_taker_died() {
    let world = World::new();
    fill(&world, 2).await;
    let take = json!({"session": "manager", "consume_next": true, "lease": true});
    let first = world.take(take.clone()).await;
    let (item, lease) = (first.consumed.unwrap(), first.lease.unwrap());
    assert_eq!(item.payload["message"], "0");
    let second = world.take(take.clone()).await.consumed.unwrap();
    assert_eq!(second.payload["message"], "1", "the next taker gets the next item");
    assert_eq!(world.take(take.clone()).await.consumed, None);

    world.sql("update routed_notifications set lease_expires_at = '2000-01-01T00:00:00.000Z' where id = 1");
    let again = world.take(take).await;
    assert_eq!(again.consumed.unwrap().id, item.id);
    let late = inbox::acknowledge(&world.store, acknowledged(&lease)).await.unwrap_err();
    assert_eq!(late.kind(), "unknown_lease");
    assert!(
        inbox::acknowledge(&world.store, acknowledged(again.lease.as_ref().unwrap()))
            .await
            .unwrap()
            .consumed_now
    );
    assert!(
        !inbox::acknowledge(&world.store, acknowledged(again.lease.as_ref().unwrap()))
            .await
            .unwrap()
            .consumed_now
    );
}

#[tokio::test]
async fn a_waiting_call_wakes_for_the_end_of_a_lease() {
    let world = World::new();
    fill(&world, 1).await;
    let take =
        json!({"session": "manager", "consume_next": true, "lease": true, "wait": true, "timeout": 60.0});
    world.take(take.clone()).await.consumed.unwrap();
    // The taker has died; its lease has a moment left.
    world.sql(
        "update routed_notifications set lease_expires_at =
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+0.3 seconds')",
    );
    let waited = world.take(take).await;
    assert_eq!(waited.consumed.unwrap().payload["message"], "0");
    assert!(!waited.wait.timed_out);
}

#[tokio::test]
async fn a_waiting_call_is_woken_by_a_delivery() {
    let world = World::new();
    let waiting = world.take(json!({"task": "demo", "role": "manager", "wait": true, "timeout": 60.0}));
    let deliver = async {
        // The waiting call is polled first and takes its first look in that poll, so the message comes after
        // that look.
        world.queue(SignalType::NotifyManager, json!({})).await;
        world.dispatch(json!({})).await;
    };
    let (found, ()) = tokio::join!(biased; waiting, deliver);
    assert_eq!(found.items.len(), 1);
    assert_eq!((found.wait.timed_out, found.items[0].foreign_task), (false, Some(false)));
}

#[tokio::test]
async fn the_receipt_of_a_leased_item_tells_how_it_was_awaited() {
    let world = World::new();
    fill(&world, 1).await;
    let taken = world.take(json!({"session": "manager", "consume_next": true, "lease": true})).await;
    let params = json!({"lease": taken.lease, "poll_count": 3, "waited": true});
    inbox::acknowledge(&world.store, serde_json::from_value(params).unwrap()).await.unwrap();
    let told = "select json_extract(attributes_json, '$.poll_count') || ' '
                    || json_extract(attributes_json, '$.wait_enabled') x
                from telemetry_events where event_type = 'dispatch_inbox_consumed'";
    assert_eq!(world.words(told), ["3 1"]);
}

#[tokio::test]
async fn checks_are_counted() {
    let world = World::new();
    let count = async |params: Value| {
        let mut all = json!({"session": "manager", "wait": true, "timeout": 0.0});
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        let taken = world.take(all).await;
        (taken.wait.poll_count, taken.wait.timed_out)
    };
    assert_eq!(count(json!({})).await, (1, true));
    assert_eq!(count(json!({"timeout": 0.05})).await, (2, true));
    assert_eq!(count(json!({"wait": false})).await, (1, false));
    fill(&world, 1).await;
    assert_eq!(count(json!({"timeout": 60.0})).await, (1, false));
}

#[tokio::test]
async fn a_daemon_that_ends_lets_its_callers_go() {
    let world = World::new();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let params = json!({"session": "manager", "wait": true, "timeout": 60.0});
    let taken = inbox::take(&world.store, serde_json::from_value(params).unwrap(), &shutdown).await.unwrap();
    assert!(taken.wait.draining && !taken.wait.timed_out);
}
