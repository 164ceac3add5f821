//! The open calls of the sessions. Each record of a turn is read once, however often a pane is looked at.

use crate::{
    codex::rollout::call::Call,
    error::Result,
    store::{
        approvals::{self, OpenTurn},
        ids::EventId,
    },
};
use conveyor_proto::ids::{SessionId, TurnId};
use rusqlite::Connection;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The calls of a session's open turn that have no output yet: each runs, or waits for an approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// The turn, if one is open and Codex names it.
    pub turn_id: Option<TurnId>,
    /// Oldest first.
    pub open: Vec<Call>,
}

/// The records of a session's open turn, as far as they were read.
#[derive(Debug)]
struct Read {
    turn: OpenTurn,
    /// The newest record that was read.
    last: EventId,
    open: Vec<Call>,
}

/// The calls of the open turns, as far as their records were read. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OpenCalls {
    read: Arc<Mutex<HashMap<SessionId, Read>>>,
}

impl OpenCalls {
    /// The open calls of a session. Only the records that were not read before are read.
    pub(super) fn of(&self, connection: &Connection, session: &SessionId) -> Result<Calls> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(turn) = approvals::open_turn(connection, session)? else {
            read.remove(session);
            return Ok(Calls::default());
        };
        let known = read.remove(session).filter(|read| read.turn == turn);
        let mut known = known.unwrap_or_else(|| Read { last: turn.start, turn, open: Vec::new() });
        for record in approvals::records_after(connection, session, known.last)? {
            known.last = record.id;
            let Some(payload) = record.payload else { continue };
            if let Some(call) = Call::read(&payload) {
                known.open.push(call);
            } else if let Some(answered) = payload["call_id"].as_str() {
                known.open.retain(|call| call.id != answered);
            }
        }
        let calls = Calls { turn_id: known.turn.turn_id.clone(), open: known.open.clone() };
        read.insert(session.clone(), known);
        Ok(calls)
    }
}
