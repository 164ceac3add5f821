//! Which process serves a Codex home: its app-server in its generations.
//!
//! Codex's shared daemon ends and begins anew when its user restarts it, when it updates itself, and after a crash.
//! Nothing of one generation holds in the next: subscriptions and open requests are gone, ids of requests begin anew,
//! and a turn that ran has no end. So each connection subscribes by itself, and nothing of an earlier one is kept but
//! the number here, by which a person sees that it has happened. What was asked or told before is known by thread, turn
//! and item (`approvals`, `turns`), never by the id of a request, so that nothing is told twice.

use crate::codex::app_server::client::Peer;
use conveyor_proto::types::daemon::AppServerStatus;
use std::collections::BTreeMap;

/// The app-server of a Codex home that was seen last.
#[derive(Debug, Clone)]
pub(super) struct Generation {
    /// Counts the app-servers that this daemon has seen there, from 1 on.
    pub(super) number: u64,
    pub(super) peer: Peer,
}

/// The app-servers by Codex home, also those that are gone.
#[derive(Debug, Default)]
pub(super) struct Generations(BTreeMap<String, Generation>);

impl Generations {
    /// Notes who has answered a new connection. Returns the generation before, if it is another one.
    pub(super) fn connected(&mut self, home: &str, peer: &Peer) -> Option<Generation> {
        let before = self.0.get(home).filter(|known| known.peer != *peer).cloned();
        let number = match (&before, self.0.get(home)) {
            (Some(before), _) => before.number + 1,
            // The same one: only the connection was lost.
            (None, Some(known)) => known.number,
            (None, None) => 1,
        };
        self.0.insert(home.to_owned(), Generation { number, peer: peer.clone() });
        before
    }

    /// What is told of them, given whether there is a connection to each now.
    pub(super) fn told(&self, is_connected: impl Fn(&str) -> bool) -> Vec<AppServerStatus> {
        let told = self.0.iter().map(|(home, generation)| AppServerStatus {
            codex_home: home.clone(),
            connected: is_connected(home),
            generation: generation.number,
            pid: generation.peer.pid,
            version: generation.peer.version.clone(),
            since: crate::clock::text(generation.peer.listens_since),
        });
        told.collect()
    }
}
