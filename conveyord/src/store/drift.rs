//! Rows that show that work has stopped: open bindings with the states of their sessions, and rows that were left undone.
//!
//! Reads only. What is wrong about a row is judged by `crate::drift`, not here.

use super::{
    StoreError, Tx,
    bindings::{self, BindingState},
    rows::column,
};
use conveyor_proto::{
    ids::{BindingId, TaskId},
    types::{common::Role, drift::DriftKind, session::SessionState},
};
use rusqlite::{Connection, ToSql, params};

/// How many rows of each kind are listed, the newest; the others are counted.
pub(crate) const LISTED: u32 = 100;

/// One side of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundSide {
    pub role: Role,
    /// Name of the session.
    pub name: String,
    /// State of the session.
    pub state: SessionState,
}

/// An open binding of two sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBinding {
    pub id: BindingId,
    pub task_id: TaskId,
    /// Name of the task.
    pub task_name: String,
    /// When it was made.
    pub created_at: String,
    /// Worker and manager.
    pub sides: [BoundSide; 2],
    /// End of the task's newest completed cycle.
    pub last_cycle_at: Option<String>,
    /// Whether it is marked as ending.
    pub is_ending: bool,
    /// Whether somebody is ending its task now.
    pub is_claimed: bool,
}

impl OpenBinding {
    /// The sides whose sessions are gone.
    pub fn gone_sides(&self) -> impl Iterator<Item = &BoundSide> {
        self.sides.iter().filter(|side| side.state == SessionState::Gone)
    }
}

/// The open bindings, oldest first.
pub fn open_bindings(connection: &Connection) -> Result<Vec<OpenBinding>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select b.id as id, b.task_id as task_id, t.name as task_name, b.created_at as created_at,
             w.name as worker, w.state as worker_state, m.name as manager, m.state as manager_state,
             (select c.completed_at from manager_cycles c
              where c.task_id = b.task_id and c.completed_at is not null order by c.id desc limit 1) as last_cycle_at,
             b.state = 'ending' as is_ending,
             exists (select 1 from commands c where c.task_id = b.task_id
                     and c.state in ('pending', 'attempted') and c.type in ('finish_task', 'stop_task')) as is_claimed
         from bindings b join tasks t on t.id = b.task_id
         join sessions w on w.id = b.worker_session_id join sessions m on m.id = b.manager_session_id
         where b.state in ('active', 'ending') order by b.created_at, b.rowid",
    )?;
    let rows = statement.query_map([], |row| {
        let worker = BoundSide {
            role: Role::Worker,
            name: column(row, "worker")?,
            state: column(row, "worker_state")?,
        };
        let manager = BoundSide {
            role: Role::Manager,
            name: column(row, "manager")?,
            state: column(row, "manager_state")?,
        };
        Ok(OpenBinding {
            id: column(row, "id")?,
            task_id: column(row, "task_id")?,
            task_name: column(row, "task_name")?,
            created_at: column(row, "created_at")?,
            sides: [worker, manager],
            last_cycle_at: column(row, "last_cycle_at")?,
            is_ending: column(row, "is_ending")?,
            is_claimed: column(row, "is_claimed")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Marks an open binding as invalid. The caller ends what waits for it.
pub fn mark_invalid(tx: &Tx<'_>, binding: &OpenBinding) -> Result<(), StoreError> {
    tx.prepare_cached("update bindings set state = 'invalid', ended_at = ?2 where id = ?1")?
        .execute(params![binding.id.as_str(), tx.now()])?;
    bindings::publish(tx, &binding.id, &binding.task_id, BindingState::Invalid);
    Ok(())
}

/// The bindings that are over and still have commands that wait, with their tasks.
pub fn orphaned(connection: &Connection) -> Result<Vec<(BindingId, TaskId)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select distinct b.id as id, b.task_id as task_id from commands c join bindings b on b.id = c.binding_id
         where c.state = 'pending' and b.state in ('ended', 'invalid') order by b.id",
    )?;
    let rows = statement.query_map([], |row| Ok((column(row, "id")?, column(row, "task_id")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A row that was left undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    pub kind: DriftKind,
    /// The table, in a word for people.
    pub what: &'static str,
    /// Id of the row.
    pub id: String,
    pub task_id: Option<String>,
    /// Name of the task.
    pub task_name: Option<String>,
    /// Session that it is meant for, or of.
    pub session: Option<String>,
    pub binding_id: Option<String>,
    pub since: Option<String>,
    /// A word on it: what holds it back, who claimed it.
    pub note: Option<String>,
}

/// What was left undone, and how many there are of each source, also of those that are not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllUndone {
    /// Rows, grouped by their source, newest first within.
    pub rows: Vec<Undone>,
    /// Counts, several of one kind where it has several sources.
    pub counts: Vec<(DriftKind, u64)>,
}

/// The columns of each select: fields of [`Undone`], all as text.
const FIELDS: [&str; 7] = ["id", "task_id", "task_name", "session", "binding_id", "since", "note"];

/// Where undone rows of one kind are found. In `rest`, `?1` is the steady time before which something counts as left, `?2` how
/// many rows are listed, `?3` the same time for cycles.
struct Source {
    kind: DriftKind,
    what: &'static str,
    /// What each of [`FIELDS`] is here.
    values: [&'static str; 7],
    /// The statement from its `from` on.
    rest: &'static str,
}

impl Source {
    fn sql(&self) -> String {
        let columns: Vec<String> =
            FIELDS.iter().zip(self.values).map(|(field, value)| format!("{value} as {field}")).collect();
        format!("select {}, count(*) over () as count {}", columns.join(", "), self.rest)
    }
}

/// Each select repeats the condition of a partial index, without which SQLite would not use that index
/// (https://sqlite.org/partialindex.html).
const SOURCES: [Source; 14] = [
    Source {
        kind: DriftKind::OrphanedCommand,
        what: "command",
        values: ["c.id", "c.task_id", "t.name", "null", "c.binding_id", "c.created_at", "c.type"],
        rest: "from commands c join bindings b on b.id = c.binding_id left join tasks t on t.id = c.task_id
              where c.state = 'pending' and b.state in ('ended', 'invalid') order by c.id desc limit ?2",
    },
    Source {
        kind: DriftKind::ClaimExpired,
        what: "command",
        values: ["c.id", "c.task_id", "t.name", "null", "c.binding_id", "c.claim_expires_at", "c.claimed_by"],
        rest: "from commands c left join tasks t on t.id = c.task_id
              where c.state = 'attempted' and c.claim_expires_at <= ?1 order by c.id desc limit ?2",
    },
    Source {
        kind: DriftKind::ClaimExpired,
        what: "notification",
        values: ["n.id", "n.task_id", "t.name", "g.name", "n.binding_id", "n.claim_expires_at", "n.claimed_by"],
        rest: "from routed_notifications n join tasks t on t.id = n.task_id
              join sessions g on g.id = n.target_session_id
              where n.state = 'pending' and n.claimed_by is not null and n.claim_expires_at <= ?1
              order by n.id desc limit ?2",
    },
    Source {
        kind: DriftKind::LeaseExpired,
        what: "inbox item",
        values: ["n.id", "n.task_id", "t.name", "g.name", "n.binding_id", "n.lease_expires_at", "null"],
        rest: "from routed_notifications n join tasks t on t.id = n.task_id
              join sessions g on g.id = n.target_session_id
              where n.lease_token is not null and n.lease_expires_at <= ?1 and n.consumed_at is null
                and n.state in ('delivered', 'pending') order by n.id desc limit ?2",
    },
    Source {
        kind: DriftKind::RolloutDamaged,
        what: "rollout",
        values: [
            "q.id", "null", "null", "s.name", "null", "q.created_at",
            "replace(q.reason, 'repaired:', 'repaired, ') || ': ' || q.byte_count || ' bytes at offset '
                 || q.byte_offset || ' of ' || r.path",
        ],
        rest: "from sessions s join rollouts r on r.session_id = s.id join ingest_quarantine q on q.rollout_id = r.id
              where s.state = 'active' and r.state = 'active' order by q.id desc limit ?2",
    },
    Source {
        kind: DriftKind::CompletionUnrouted,
        what: "turn",
        values: ["u.id", "b.task_id", "t.name", "s.name", "u.binding_id", "u.ended_at", "u.turn_id"],
        rest: "from turns u join bindings b on b.id = u.binding_id join tasks t on t.id = b.task_id
              join sessions s on s.id = u.session_id
              where u.routing = 'pending' and coalesce(u.route_after, u.ended_at) <= ?1 order by u.id desc limit ?2",
    },
    Source {
        kind: DriftKind::CycleUnfinished,
        what: "cycle",
        values: ["c.id", "c.task_id", "t.name", "null", "null", "c.started_at", "null"],
        rest: "from manager_cycles c join tasks t on t.id = c.task_id
              where c.state = 'started' and c.started_at <= ?3 order by c.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryHeld,
        what: "command",
        values: ["c.id", "c.task_id", "t.name", "null", "c.binding_id", "c.created_at", "c.held_by"],
        rest: "from commands c left join tasks t on t.id = c.task_id
              where c.delivery in ('held', 'uncertain', 'failed') and c.delivery = 'held'
              order by c.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryHeld,
        what: "notification",
        values: ["n.id", "n.task_id", "t.name", "g.name", "n.binding_id", "n.created_at", "n.held_by"],
        rest: "from routed_notifications n join tasks t on t.id = n.task_id
              join sessions g on g.id = n.target_session_id
              where n.state = 'pending' and n.held_by is not null order by n.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryUncertain,
        what: "command",
        values: ["c.id", "c.task_id", "t.name", "null", "c.binding_id", "c.updated_at", "null"],
        rest: "from commands c left join tasks t on t.id = c.task_id
              where c.delivery in ('held', 'uncertain', 'failed') and c.delivery = 'uncertain'
              order by c.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryUncertain,
        what: "delivery",
        values: ["d.id", "null", "null", "s.name", "null", "d.sent_at", "null"],
        rest: "from deliveries d join sessions s on s.id = d.session_id
              where d.outcome in ('sending', 'uncertain') and d.outcome = 'uncertain' and d.command_id is null
              order by d.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryFailed,
        what: "command",
        values: ["c.id", "c.task_id", "t.name", "null", "c.binding_id", "c.updated_at", "null"],
        rest: "from commands c left join tasks t on t.id = c.task_id
              where c.delivery in ('held', 'uncertain', 'failed') and c.delivery = 'failed'
              order by c.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryFailed,
        what: "notification",
        values: ["n.id", "n.task_id", "t.name", "g.name", "n.binding_id", "n.created_at", "null"],
        rest: "from routed_notifications n join tasks t on t.id = n.task_id
              join sessions g on g.id = n.target_session_id
              where n.state = 'failed' and n.command_id is null order by n.id desc limit ?2",
    },
    Source {
        kind: DriftKind::DeliveryUncertain,
        what: "send",
        values: ["d.id", "null", "null", "s.name", "null", "d.sent_at", "null"],
        rest: "from deliveries d join sessions s on s.id = d.session_id
              where d.outcome in ('sending', 'uncertain') and d.outcome = 'sending' and d.sent_at <= ?3
              order by d.id desc limit ?2",
    },
];

/// Reads what was left undone. What the daemon settles by itself counts when it is older than `left_before`; what may run
/// long, such as a cycle, counts when it is older than `long_before`.
pub fn undone(
    connection: &Connection,
    left_before: &str,
    long_before: &str,
) -> Result<AllUndone, StoreError> {
    let mut all = AllUndone::default();
    for source in SOURCES {
        let mut statement = connection.prepare_cached(&source.sql())?;
        // Not every statement has every parameter.
        let given: [&dyn ToSql; 3] = [&left_before, &LISTED, &long_before];
        for (index, value) in (1..=statement.parameter_count()).zip(given) {
            statement.raw_bind_parameter(index, value)?;
        }
        let mut rows = statement.raw_query();
        let mut count = None;
        while let Some(row) = rows.next()? {
            count = Some(column(row, "count")?);
            all.rows.push(Undone {
                kind: source.kind,
                what: source.what,
                id: id(row.get_ref("id")?)?,
                task_id: column(row, "task_id")?,
                task_name: column(row, "task_name")?,
                session: column(row, "session")?,
                binding_id: column(row, "binding_id")?,
                since: column(row, "since")?,
                note: column(row, "note")?,
            });
        }
        all.counts.extend(count.map(|count| (source.kind, count)));
    }
    Ok(all)
}

/// Ids of commands are texts, those of other rows numbers.
fn id(value: rusqlite::types::ValueRef<'_>) -> Result<String, StoreError> {
    Ok(match value.as_i64() {
        Ok(number) => number.to_string(),
        Err(_) => value.as_str().map_err(rusqlite::Error::from)?.to_owned(),
    })
}
