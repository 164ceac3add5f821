//! Deadlines: until when a claim or a lease is held, and when something is tried again. They are columns in steady time
//! (see `clock`), which agrees with the wall clock but for a second, so that people can read them.
//!
//! No deadline is compared over a restart: how long the daemon was away, and what became of the clock meanwhile, is not
//! known. So nothing of a clock is stored.

use super::{StoreError, Tx, rows::scalar};
use rusqlite::{Connection, OptionalExtension, params};

/// The deadlines of rows that are open: table, column, and which rows are.
const OPEN: [(&str, &str, &str); 8] = [
    ("commands", "claim_expires_at", "state = 'attempted'"),
    ("commands", "next_try_at", "state = 'pending'"),
    ("commands", "available_at", "state = 'pending'"),
    ("routed_notifications", "claim_expires_at", "state = 'pending'"),
    ("routed_notifications", "next_try_at", "state = 'pending'"),
    ("routed_notifications", "lease_expires_at", LEASED),
    ("turns", "route_after", "routing = 'pending'"),
    // No deadline, but one is compared with it at the next start.
    ("dispatchers", "heartbeat_at", "true"),
];

/// The items that somebody has taken from an inbox and not acknowledged. The plus keeps SQLite from the index of leases,
/// which has every lease there ever was (https://sqlite.org/optoverview.html, "unary +").
const LEASED: &str = "consumed_at is null and state in ('delivered', 'pending') and +lease_token is not null";

/// Moves all open deadlines by so many milliseconds, and lets the steady time follow with the commit: what was left of
/// each is left. Returns how many there were.
pub fn follow_wall_clock(tx: &Tx<'_>, milliseconds: i64) -> Result<usize, StoreError> {
    let moved = move_all(tx, milliseconds)?;
    tx.followed.set(tx.followed.get().saturating_add(milliseconds));
    Ok(moved)
}

fn move_all(tx: &Tx<'_>, milliseconds: i64) -> Result<usize, StoreError> {
    // A modifier of SQLite (https://sqlite.org/lang_datefunc.html, section 3).
    let sign = if milliseconds < 0 { '-' } else { '+' };
    let (seconds, below) = (milliseconds.unsigned_abs() / 1000, milliseconds.unsigned_abs() % 1000);
    let by = format!("{sign}{seconds}.{below:03} seconds");
    let mut moved = 0;
    for (table, column, open) in OPEN {
        // A text that SQLite cannot read as a time stays as it is.
        let sql = format!(
            "update {table} set {column} = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', {column}, ?1), {column})
             where {open} and {column} is not null"
        );
        moved += tx.execute(&sql, [&by])?;
    }
    Ok(moved)
}

/// Settles the deadlines of an earlier daemon, whose claims are settled already. What waited is due: whatever it waited
/// for may have happened. A lease begins anew, since the client that holds it may live on; what it says of its end
/// cannot be held against a clock that may have been set. Leases that had ended while the earlier daemon was known to be
/// alive stay ended.
pub fn begin_anew(tx: &Tx<'_>, lease_ends_at: &str) -> Result<(), StoreError> {
    tx.execute(
        "update commands set next_try_at = null where state = 'pending' and next_try_at is not null",
        [],
    )?;
    tx.execute(
        "update routed_notifications set next_try_at = null where state = 'pending' and next_try_at is not null",
        [],
    )?;
    tx.execute(
        "update turns set route_after = null where routing = 'pending' and route_after is not null",
        [],
    )?;
    tx.execute(
        &format!(
            "update routed_notifications set lease_expires_at = case
                 when lease_expires_at > coalesce((select max(heartbeat_at) from dispatchers), '') then ?1
                 else ?2 end
             where {LEASED}"
        ),
        [lease_ends_at, tx.due_now()],
    )?;
    Ok(())
}

/// The id of the newest command. Ids of commands are compared: that is the order in which they are executed.
pub fn newest_command(connection: &Connection) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare("select id from commands order by rowid desc limit 1")?;
    Ok(statement.query_row(params![], scalar).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, testing};

    /// One row of each kind whose deadline counts, and beside each one whose deadline is over.
    const ROWS: &str = "
        insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'managed', '1', '1');
        insert into sessions (id, name, role, identity_token, cwd, registered_at, state)
            values ('w', 'worker', 'worker', 'a', '/', '1', 'active'), ('m', 'manager', 'manager', 'b', '/', '1', 'active');
        insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at)
            values ('b', 't', 'w', 'm', 'active', '1');
        insert into commands (id, idempotency_key, created_at, updated_at, type, state, payload_json, result_json,
                available_at, next_try_at, claim_expires_at)
            values ('1', '1', 'T', 'T', 'nudge_worker', 'pending', '{}', null, 'T', 'T', null),
                ('2', '2', 'T', 'T', 'nudge_worker', 'attempted', '{}', null, null, null, 'T'),
                ('3', '3', 'T', 'T', 'nudge_worker', 'succeeded', '{}', '{}', 'T', null, null),
                ('4', '4', 'T', 'T', 'nudge_worker', 'pending', '{}', null, 'soon', null, null);
        insert into routed_notifications (id, task_id, binding_id, correlation_id, source_session_id, target_session_id,
                signal_type, dedupe_key, created_at, delivered_at, state, payload_json, claim_expires_at, next_try_at,
                lease_token, lease_expires_at, consumed_at)
            values (1, 't', 'b', 'c', 'w', 'm', 's', '1', 'T', null, 'pending', '{}', 'T', 'T', null, null, null),
                (2, 't', 'b', 'c', 'w', 'm', 's', '2', 'T', 'T', 'delivered', '{}', null, null, 'l2', 'T', null),
                (3, 't', 'b', 'c', 'w', 'm', 's', '3', 'T', 'T', 'delivered', '{}', null, null, 'l3', 'T', 'T');
        insert into codex_events (id, session_id, timestamp, type, subtype, payload_json, byte_offset, ingested_at)
            values (1, 'w', '1', 'event_msg', 'task_complete', '{}', 0, '1');
        insert into turns (id, session_id, thread_id, turn_key, kind, end_event_id, binding_id, routing, route_after)
            values (1, 'w', 'th', '1', 'user', 1, 'b', 'pending', 'T'),
                (2, 'w', 'th', '2', 'user', 1, 'b', 'skipped', 'T');";

    fn world(at: &str) -> (tempfile::TempDir, crate::store::Store) {
        let (dir, store) = testing::store();
        let fill =
            |tx: &Tx<'_>| Ok::<_, StoreError>(tx.execute_batch(&ROWS.replace("'T'", &format!("'{at}'")))?);
        store.write_blocking(Durability::Full, fill).unwrap();
        (dir, store)
    }

    #[track_caller]
    fn check(store: &crate::store::Store, commands: &[&str], notifications: &[&str], turns: &[&str]) {
        let all = |table, columns| {
            testing::rows(store, table, columns, "true")
                .into_iter()
                .map(|row| row.join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(all("commands", "available_at, next_try_at, claim_expires_at"), commands);
        assert_eq!(
            all("routed_notifications", "claim_expires_at, next_try_at, lease_expires_at"),
            notifications
        );
        assert_eq!(all("turns", "route_after"), turns);
    }

    #[test]
    fn open_deadlines_move_and_nothing_else_does() {
        const THEN: &str = "2026-05-01T10:00:00.250Z";
        for (by, now) in [(-3_600_250, "2026-05-01T09:00:00.000Z"), (86_400_500, "2026-05-02T10:00:00.750Z")]
        {
            let (_dir, store) = world(THEN);
            let moved =
                store.write_blocking::<_, StoreError>(Durability::Normal, |tx| move_all(tx, by)).unwrap();
            assert_eq!(moved, 8, "with the one that is no time");
            let commands =
                [format!("{now} {now} -"), format!("- - {now}"), format!("{THEN} - -"), "soon - -".into()];
            let notifications = [format!("{now} {now} -"), format!("- - {now}"), format!("- - {THEN}")];
            check(
                &store,
                &commands.each_ref().map(String::as_str),
                &notifications.each_ref().map(String::as_str),
                &[now, THEN],
            );
        }
    }

    #[test]
    fn after_a_start_what_waited_is_due_and_leases_begin_anew() {
        const ENDS: &str = "2026-05-01T10:00:15.000Z";
        // Set back by hours, or forward.
        for then in ["2026-05-01T13:00:00.000Z", "2026-05-01T07:00:00.000Z"] {
            let (_dir, store) = world(then);
            store.write_blocking(Durability::Normal, |tx| begin_anew(tx, ENDS)).unwrap();
            let available = format!("{then} - -");
            let taken = format!("- - {ENDS}");
            let consumed = format!("- - {then}");
            let claimed = format!("- - {then}");
            let pending = format!("{then} - -");
            check(
                &store,
                &[&available, &claimed, &available, "soon - -"],
                &[&pending, &taken, &consumed],
                &["-", then],
            );
        }
    }

    #[test]
    fn a_lease_that_had_ended_while_a_daemon_lived_stays_ended() {
        let (_dir, store) = world("2026-05-01T10:00:00.000Z");
        let alive = "insert into dispatchers values ('d', '2026-05-01T10:00:01.000Z', 1, 0)";
        store
            .write_blocking(Durability::Normal, |tx| {
                tx.execute_batch(alive)?;
                begin_anew(tx, "2026-05-01T12:00:15.000Z")
            })
            .unwrap();
        let leases = testing::rows(&store, "routed_notifications", "lease_expires_at", "id = 2");
        let ended = leases[0][0].clone();
        assert!(ended != "2026-05-01T12:00:15.000Z" && ended <= crate::clock::due_now(), "{ended}");
    }

    #[test]
    fn the_steady_time_follows_with_the_commit_alone() {
        let (_dir, store) = world("2026-05-01T10:00:00.000Z");
        let failed = store.write_blocking::<(), StoreError>(Durability::Normal, |tx| {
            follow_wall_clock(tx, 3_600_000)?;
            Err(StoreError::from(rusqlite::Error::InvalidQuery))
        });
        assert!(failed.is_err() && crate::clock::parted().abs() < 60_000, "{}", crate::clock::parted());
        assert_eq!(testing::rows(&store, "turns", "route_after", "id = 1"), [["2026-05-01T10:00:00.000Z"]]);
    }
}
