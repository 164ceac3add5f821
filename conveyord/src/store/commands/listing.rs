//! Listings of commands. A listing of what is held or uncertain has notifications and direct nudges, too.

use crate::store::{
    StoreError,
    rows::{FromRow, all, column, columns},
};
use conveyor_proto::types::{
    command::{AttemptRow, CommandRow, CommandState, ListState},
    dispatch::SignalType,
};
use rusqlite::{Connection, Row, ToSql, types::Value};
use serde_json::json;
use std::collections::HashMap;

/// Which commands a listing shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this task.
    pub task_id: Option<String>,
    /// Only those that stand so.
    pub state: Option<ListState>,
    /// Only this type.
    pub kind: Option<String>,
    /// Only this legacy worker.
    pub worker: Option<String>,
    /// Only this legacy manager.
    pub manager: Option<String>,
    /// Only those that were made at this time or later.
    pub since: Option<String>,
    /// Only those before this one: its creation and id.
    pub before: Option<(String, String)>,
    /// Only the newest so many.
    pub limit: Option<u64>,
}

/// The condition of a filter, with its parameters. A part that was not asked for is left out: SQLite does not use an
/// index for `?1 is null or column = ?1`.
struct Condition {
    sql: String,
    parameters: Vec<Value>,
}

impl Condition {
    fn new() -> Self {
        Self { sql: "1".to_owned(), parameters: Vec::new() }
    }

    /// Adds `column OPERATOR value`.
    fn and(&mut self, comparison: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.parameters.push(Value::from(value.clone()));
            self.sql.push_str(&format!(" and {comparison} ?{}", self.parameters.len()));
        }
    }

    fn and_before(&mut self, columns: &str, before: Option<&(String, String)>) {
        if let Some((created_at, id)) = before {
            self.parameters.extend([Value::from(created_at.clone()), Value::from(id.clone())]);
            let last = self.parameters.len();
            self.sql.push_str(&format!(" and ({columns}) < (?{}, ?{last})", last - 1));
        }
    }

    /// Adds the limit of a filter, and returns the name of its parameter.
    fn limit(&mut self, filter: &Filter) -> String {
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        self.parameters.push(Value::from(limit));
        format!("?{}", self.parameters.len())
    }

    fn bind(&self) -> Vec<&dyn ToSql> {
        self.parameters.iter().map(|value| value as &dyn ToSql).collect()
    }
}

/// Lists commands in the order of their creation. The states `held` and `uncertain` also list texts without a command.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<CommandRow>, StoreError> {
    let mut rows = commands(connection, filter)?;
    // Only commands know workers and managers of the reference.
    if filter.worker.is_none() && filter.manager.is_none() {
        match filter.state {
            Some(ListState::Held) => rows.extend(held_completions(connection, filter)?),
            Some(ListState::Uncertain) => rows.extend(uncertain_texts(connection, filter)?),
            _ => {}
        }
    }
    rows.sort_by(|a, b| (&a.created_at, a.id.as_str()).cmp(&(&b.created_at, b.id.as_str())));
    if let Some(limit) = filter.limit.and_then(|limit| usize::try_from(limit).ok()) {
        rows.drain(..rows.len().saturating_sub(limit));
    }
    Ok(rows)
}

fn commands(connection: &Connection, filter: &Filter) -> Result<Vec<CommandRow>, StoreError> {
    let mut condition = Condition::new();
    match filter.state {
        // SQLite uses a partial index only where its condition is repeated (https://sqlite.org/partialindex.html).
        Some(state @ (ListState::Held | ListState::Uncertain)) => {
            let word = if state == ListState::Held { "held" } else { "uncertain" };
            condition.sql =
                format!("c.delivery in ('held', 'uncertain', 'failed') and c.delivery = '{word}'");
        }
        Some(state) => {
            let word = state.command_state().map(|state| state.as_str().to_owned());
            condition.and("c.state =", word.as_ref());
        }
        None => {}
    }
    condition.and("c.task_id =", filter.task_id.as_ref());
    condition.and("c.type =", filter.kind.as_ref());
    condition.and("c.worker_id =", filter.worker.as_ref());
    condition.and("c.manager_id =", filter.manager.as_ref());
    condition.and("c.created_at >=", filter.since.as_ref());
    condition.and_before("c.created_at, c.id", filter.before.as_ref());
    let limit = condition.limit(filter);
    let rest = format!(
        "from commands c left join tasks t on t.id = c.task_id where {}
         order by c.created_at desc, c.id desc limit {limit}",
        condition.sql,
    );
    all(connection, &rest, &condition.bind()[..])
}

/// Completions that are held back from a pane.
fn held_completions(connection: &Connection, filter: &Filter) -> Result<Vec<CommandRow>, StoreError> {
    let mut condition = Condition::new();
    // The plus keeps SQLite from the index by task (https://sqlite.org/optoverview.html, "unary +"): that index has
    // every notification that the task ever had, the one of pending rows only a few.
    condition.and("+n.task_id =", filter.task_id.as_ref());
    condition.and("n.signal_type =", filter.kind.as_ref());
    condition.and("n.created_at >=", filter.since.as_ref());
    condition.and_before("n.created_at, 'notification-' || n.id", filter.before.as_ref());
    let limit = condition.limit(filter);
    let mut statement = connection.prepare_cached(&format!(
        "select 'notification-' || n.id as id, n.created_at as created_at, n.error as error, g.name as session,
             n.id as notification_id, n.task_id as task_id, t.name as task_name, n.signal_type as kind,
             n.correlation_id as correlation_id, n.held_by as held_by, n.tries as attempts
         from routed_notifications n left join sessions g on g.id = n.target_session_id
             left join tasks t on t.id = n.task_id
         where n.state = 'pending' and n.held_by is not null and n.command_id is null and {}
         order by n.created_at desc, 'notification-' || n.id desc limit {limit}",
        condition.sql,
    ))?;
    let rows =
        statement.query_map(&condition.bind()[..], |row| no_command(row, CommandState::Pending, "held"))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Texts that may have arrived and belong to no command: completions, and those of direct nudges.
fn uncertain_texts(connection: &Connection, filter: &Filter) -> Result<Vec<CommandRow>, StoreError> {
    let nudge = SignalType::SessionNudge.as_str();
    let id = "case when d.notification_id is null then 'delivery-' || d.id
        else 'notification-' || d.notification_id end";
    // The time of the notification, not that of its last send: a page begins where `dispatch::listing` places the item.
    let made_at = "coalesce(n.created_at, d.sent_at)";
    let mut condition = Condition::new();
    condition.and("n.task_id =", filter.task_id.as_ref());
    condition.and(&format!("coalesce(n.signal_type, '{nudge}') ="), filter.kind.as_ref());
    condition.and(&format!("{made_at} >="), filter.since.as_ref());
    condition.and_before(&format!("{made_at}, {id}"), filter.before.as_ref());
    let limit = condition.limit(filter);
    let mut statement = connection.prepare_cached(&format!(
        "select {id} as id, {made_at} as created_at, d.note as error, s.name as session,
             d.notification_id as notification_id, n.task_id as task_id, t.name as task_name,
             coalesce(n.signal_type, '{nudge}') as kind, n.correlation_id as correlation_id, null as held_by,
             1 as attempts
         from deliveries d left join sessions s on s.id = d.session_id
             left join routed_notifications n on n.id = d.notification_id left join tasks t on t.id = n.task_id
         where d.outcome in ('sending', 'uncertain') and d.outcome = 'uncertain' and d.command_id is null and {}
         order by {made_at} desc, {id} desc limit {limit}",
        condition.sql,
    ))?;
    let row = |row: &Row<'_>| no_command(row, CommandState::Succeeded, "uncertain");
    let rows = statement.query_map(&condition.bind()[..], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A text without a command, in the form of a command.
fn no_command(row: &Row<'_>, state: CommandState, delivery: &str) -> rusqlite::Result<CommandRow> {
    let created_at: String = column(row, "created_at")?;
    let session: Option<String> = column(row, "session")?;
    let notification: Option<i64> = column(row, "notification_id")?;
    Ok(CommandRow {
        attempts: column(row, "attempts")?,
        available_at: None,
        claim_expires_at: None,
        claimed_at: None,
        claimed_by: None,
        correlation_id: column(row, "correlation_id")?,
        updated_at: created_at.clone(),
        created_at,
        error: column(row, "error")?,
        id: column(row, "id")?,
        manager_id: None,
        max_attempts: 1,
        payload: json!({ "session": session, "notification_id": notification }),
        required_permission: None,
        result: None,
        state,
        task_id: column(row, "task_id")?,
        task_name: column(row, "task_name")?,
        kind: column(row, "kind")?,
        worker_id: None,
        delivery: Some(delivery.to_owned()),
        held_by: column(row, "held_by")?,
        retry_of: None,
        retried_as: None,
        attempt_history: None,
    })
}

columns! {
    AttemptRow {
        correlation_id, dispatcher_id, error, finished_at, id, result = "result_json", side_effect_completed,
        side_effect_started, started_at, state,
    }
}

/// The executions of the listed commands, by command.
pub fn attempts(
    connection: &Connection,
    commands: &[CommandRow],
) -> Result<HashMap<String, Vec<AttemptRow>>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "select {} from command_attempts where command_id = ?1 order by id",
        AttemptRow::COLUMNS
    ))?;
    let mut all = HashMap::new();
    for command in commands {
        let rows = statement.query_map([command.id.as_str()], AttemptRow::from_row)?;
        all.insert(command.id.to_string(), rows.collect::<Result<_, _>>()?);
    }
    Ok(all)
}
