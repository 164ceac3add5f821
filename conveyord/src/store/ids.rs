//! Ids of rows that have no other name than their number, and the tokens of claims.
//!
//! Ids that clients know as texts are the protocol's, see `conveyor_proto::ids`. A number of these reaches a client only
//! as a number.

use super::rows::FromColumn;
use rusqlite::{
    ToSql,
    types::{FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::Serialize;
use std::fmt;

macro_rules! numbers {
    ($( $(#[doc = $doc:literal])+ $name:ident; )+) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromColumn for $name {
            fn from_column(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::from_column(value).map(Self)
            }
        }
    )+ };
}

impl FencingToken {
    /// The token of a row that is claimed by its insert.
    pub const FIRST: Self = Self(1);
}

numbers! {
    /// A record of a rollout (`codex_events`). Later records have greater ids; 0 stands before the first.
    EventId;
    /// A turn (`turns`). Rows are in the order in which the turns were first told of.
    TurnRow;
    /// A rollout file in one generation (`rollouts`).
    RolloutId;
    /// A notification to a session (`routed_notifications`).
    NotificationId;
    /// A text that was sent to a session (`deliveries`).
    DeliveryId;
    /// An execution of a command (`command_attempts`).
    AttemptId;
    /// An observation of a task (`manager_cycles`).
    CycleId;
    /// A manager's decision (`manager_decisions`).
    DecisionId;
    /// A stored pane (`terminal_captures`).
    CaptureId;
    /// Counts the claims of a row. Who claimed it earlier and comes back late holds a lower one, and can write nothing.
    FencingToken;
}
