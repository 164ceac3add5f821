//! Every order in which dispatchers, consumers, crashes and ends of leases can follow one another.
//!
//! Claims, leases and consumption are rows, and each step on them is one `begin immediate` transaction on the
//! one writer connection. Steps can therefore never overlap: what can happen is exactly the orders of whole
//! steps. [`explore`] walks all of them, on a real database; a step is a savepoint that is rolled back on the
//! way to the next order. States that were reached before, by their rows and by what each actor knows, are
//! not walked from again.
//!
//! `loom` and `shuttle` would have nothing to take apart here: they replace the locks and atomics of `std`,
//! and the rows live in SQLite. Between a look at the rows and the wait for their change the order matters
//! too: there the code waits on tokio's primitives, which neither replaces, so [`waits`] has the change come
//! at each point at which the real code can be suspended.

mod claims;
mod consumption;
mod waits;

use super::*;
use rusqlite::types::Value as Cell;
use std::collections::HashSet;
use std::fmt::Debug;

/// Actors on one database. `Debug` tells all that they know: it is part of the state.
trait System: Clone + Debug {
    /// The number of actors.
    fn actors(&self) -> usize;

    /// The next step of an actor; false when it has none, or waits and changed nothing.
    fn step(&mut self, tx: &Tx<'_>, actor: usize) -> bool;

    /// What must hold after each step.
    fn check(&self, tx: &Tx<'_>);

    /// What must hold when all actors die here and the daemon starts again. May write.
    fn check_restarted(&mut self, tx: &Tx<'_>);
}

/// Walks all orders of the steps of a system, and returns how many different states there were.
fn explore<S: System>(world: &World, system: &S) -> usize {
    struct Rollback;
    impl From<StoreError> for Rollback {
        fn from(error: StoreError) -> Self {
            panic!("{error}")
        }
    }
    let mut walk = Walk { seen: HashSet::new(), path: Vec::new() };
    let all = |tx: &Tx<'_>| {
        walk.from(tx, system);
        Err::<(), _>(Rollback)
    };
    assert!(world.store.write_blocking(Durability::Normal, all).is_err());
    walk.seen.len()
}

struct Walk {
    seen: HashSet<String>,
    /// The actors of the steps so far.
    path: Vec<usize>,
}

/// Tells the order of steps at which a check failed.
impl Drop for Walk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in this order of the actors: {:?}", self.path);
        }
    }
}

impl Walk {
    fn from<S: System>(&mut self, tx: &Tx<'_>, system: &S) {
        if !self.seen.insert(format!("{system:?} {:?}", rows(tx))) {
            return;
        }
        system.check(tx);
        undone(tx, || system.clone().check_restarted(tx));
        for actor in 0..system.actors() {
            undone(tx, || {
                let mut next = system.clone();
                self.path.push(actor);
                if next.step(tx, actor) {
                    self.from(tx, &next);
                }
                self.path.pop();
            });
        }
    }
}

/// Runs `work` and rolls its rows back.
fn undone(tx: &Tx<'_>, work: impl FnOnce()) {
    tx.execute_batch("savepoint step").unwrap();
    work();
    tx.execute_batch("rollback to step; release step").unwrap();
}

/// All that the database knows of commands, deliveries and inboxes, and how much is on record of them.
fn rows(tx: &Tx<'_>) -> Vec<Cell> {
    let records =
        ["events", "telemetry_events"].map(|table| count(tx, &format!("select count(*) from {table}")));
    let tables = ["commands", "command_attempts", "routed_notifications", "deliveries"];
    tables
        .iter()
        .flat_map(|table| {
            let mut statement = tx.prepare_cached(&format!("select * from {table} order by id")).unwrap();
            let columns = statement.column_count();
            let mut cells = Vec::new();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                cells.extend((0..columns).map(|column| row.get::<_, Cell>(column).unwrap()));
            }
            cells
        })
        .chain(records.map(Cell::Integer))
        .collect()
}

fn count(tx: &Tx<'_>, sql: &str) -> i64 {
    tx.prepare_cached(sql).unwrap().query_row([], |row| row.get(0)).unwrap()
}

/// Makes time pass: every lease of a column has run out.
fn expire(tx: &Tx<'_>, table: &str, column: &str) {
    let past = "2000-01-01T00:00:00.000Z";
    tx.execute(&format!("update {table} set {column} = ?1 where {column} is not null"), [past]).unwrap();
}

/// The end of a lease that has not run out.
const FUTURE: &str = "2999-01-01T00:00:00.000Z";
