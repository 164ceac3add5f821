//! `cycle.divergences`: the cycles of a task whose pane showed something notable.

use crate::{
    error::{Error, Result},
    refusal::Kind,
    store::{cycles, tasks},
};
use conveyor_proto::types::cycle::{Divergence, DivergencesParams};
use rusqlite::Connection;

/// The most cycles of one answer. Each contains all that the cycle observed.
const MAX_LIMIT: i64 = 10_000;

/// Answers `cycle.divergences`.
///
/// # Errors
/// `invalid_limit`, `unknown_task`, `ambiguous_task`.
pub fn list(connection: &Connection, params: &DivergencesParams) -> Result<Vec<Divergence>> {
    let limit =
        usize::try_from(params.limit).ok().filter(|_| params.limit <= MAX_LIMIT).ok_or_else(|| {
            let message = format!("--limit is {}: it must be between 0 and {MAX_LIMIT}", params.limit);
            Error::invalid(Kind::InvalidLimit, message)
        })?;
    let task = tasks::resolve(connection, &params.task)?;
    Ok(cycles::divergences(connection, &task.id, limit)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, StoreError, testing::store};

    #[test]
    fn notable_cycles_come_newest_first_within_the_limit() {
        let (_dir, store) = store();
        store
            .write_blocking(Durability::Full, |tx| {
                tx.execute_batch(
                    r#"insert into tasks (id, name, goal, summary, state, created_at, updated_at) values ('t', 'demo', 'goal', null, 'candidate', '1', '1'),
                           ('u', 'other', 'goal', null, 'candidate', '1', '1');
                       insert into manager_cycles (task_id, started_at, completed_at, state, status_json) values
                           ('t', '1', '2', 'succeeded', '{"notable_pane_pattern": "plan_prompt", "state": "busy"}'),
                           ('t', '2', '3', 'succeeded', '{"notable_pane_pattern": null}'),
                           ('t', '3', '4', 'failed', '{"notable_pane_pattern": "plan_prompt"}'),
                           ('u', '4', '5', 'succeeded', '{"notable_pane_pattern": "plan_prompt"}'),
                           ('t', '5', null, 'started', null),
                           ('t', '6', '7', 'succeeded', '{"notable_pane_pattern": "trust_prompt"}')"#,
                )?;
                Ok::<_, StoreError>(())
            })
            .unwrap();
        let ask = |task: &str, limit| {
            store.read_blocking(|connection| {
                list(connection, &DivergencesParams { task: task.to_owned(), limit })
            })
        };
        let found = ask("demo", 50).unwrap();
        let patterns: Vec<_> = found.iter().map(|cycle| cycle.notable_pane_pattern.as_str()).collect();
        assert_eq!(patterns, ["trust_prompt", "plan_prompt"]);
        assert_eq!(found[1].status["state"], "busy");
        assert_eq!(ask("t", 1).unwrap().len(), 1);
        assert_eq!(ask("t", 0).unwrap(), []);
        assert_eq!(ask("nosuch", 1).unwrap_err().kind(), "unknown_task");
        for limit in [-1, MAX_LIMIT + 1] {
            assert_eq!(ask("t", limit).unwrap_err().kind(), "invalid_limit");
        }
    }
}
