//! Sending by Codex's app-server: a turn for an idle thread, a steer of the running turn, then the rollout's
//! receipt.
//!
//! A text is held while Codex asks for an approval, although it would not answer the question: Codex is to
//! get its answer before anything new.

use super::{
    outcome::{Held, Sent},
    pane::behind_others,
    receipts::{Awaited, Receipts},
    transport::{BeforeSend, Carrier, Message},
};
use crate::{
    clock,
    codex::{
        app_server::{CallError, Client, ThreadStatus, protocol::ActiveFlag},
        rollout::receipt::receipt_key,
    },
    error::{Error, Result},
    faults::{self, CrashPoint},
    refusal::Kind,
    sessions::{app_servers::AppServers, state},
    store::{
        Durability,
        deliveries::{self, NewDelivery, Unproven},
        sessions::Session,
    },
    tmux::sanitize,
};
use conveyor_proto::types::{common::Transport, pane::BlockedBy};

/// Sends by the app-servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppServerSender {
    app_servers: AppServers,
    receipts: Receipts,
}

impl AppServerSender {
    #[must_use]
    pub const fn new(app_servers: AppServers, receipts: Receipts) -> Self {
        Self { app_servers, receipts }
    }

    /// Whether an app-server that the daemon is connected to has the session's thread in memory.
    #[must_use]
    pub fn reaches(&self, session: &Session) -> bool {
        self.app_servers.client(session).is_some()
    }

    /// The connection and the thread of a session.
    ///
    /// # Errors
    /// `no_app_server`.
    pub fn target(&self, session: &Session) -> Result<(std::sync::Arc<Client>, String)> {
        self.app_servers.client(session).ok_or_else(|| {
            let message = format!("no app-server of Codex has the thread of session {}", session.name);
            Error::unavailable(Kind::NoAppServer, message)
                .hint("--transport auto takes the way that there is; `cycle` shows the session's state")
        })
    }

    /// What the session's turn asks its user for, in the same words as for panes.
    #[must_use]
    pub fn asks(&self, session: &Session) -> Option<BlockedBy> {
        let status = self.app_servers.status(session)?.status;
        if status.waits_on(ActiveFlag::WaitingOnApproval) {
            return Some(BlockedBy::Approval);
        }
        status.waits_on(ActiveFlag::WaitingOnUserInput).then_some(BlockedBy::Question)
    }

    /// The id of the running turn, as the rollout tells it.
    async fn running_turn(&self, session: &Session) -> Result<Option<String>> {
        self.receipts.read(session).await;
        let session = session.clone();
        self.receipts
            .store
            .read(move |connection| {
                let turn = state::stored(connection, &session)?.turn;
                Ok(turn.filter(|turn| turn.outcome.is_none()).and_then(|turn| turn.turn_id))
            })
            .await
    }

    /// Interrupts the turn that an app-server runs for a session that is to end. That also withdraws what the
    /// turn asks its user.
    pub async fn end_turn(&self, session: &Session) {
        let Some((client, thread)) = self.app_servers.client(session) else { return };
        let turn = match self.running_turn(session).await {
            Ok(Some(turn)) => turn,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, session = %session.name, "the turn of a session that ends is not known");
                return;
            }
        };
        if let Err(error) = client.interrupt_turn(&thread, &turn).await {
            tracing::warn!(%error, session = %session.name, "the turn of a session that ends may run on");
        }
    }

    async fn send_now(&self, session: &Session, message: Message, before: BeforeSend) -> Result<Sent> {
        let accepted_at = clock::now();
        let (client, thread) = self.target(session)?;
        let text = sanitize(&message.text);
        if text.as_str().trim().is_empty() {
            return Err(Error::invalid(Kind::BlankMessage, "the message is blank: Enter alone is for panes"));
        }
        let of = (message.command_id.clone(), message.notification_id);
        if let Some(held) = behind_others(&self.receipts.store, session, of, &accepted_at).await? {
            return Ok(Sent { transport: Transport::AppServer, ..Sent::held(held) });
        }
        // Ask now, because the last status that Codex told may be old.
        let status = client.thread_status(&thread).await.map_err(refused)?;
        if let Some(by) = self.asks(session).filter(|_| status.waits_on_user()) {
            return Ok(Sent { transport: Transport::AppServer, ..Sent::held(Held { by, question: None }) });
        }
        // A thread that is active is steered; an idle one gets a new turn.
        let running = match status {
            ThreadStatus::Active { .. } => self.running_turn(session).await?,
            _ => None,
        };
        let stripped = text.stripped() as u64;
        let key = receipt_key(text.as_str());
        let new = (session.id.clone(), message, key.clone());
        let begin = self.receipts.store.write(Durability::Full, move |tx| {
            if !before(tx)? {
                return Ok(None);
            }
            let (session, message, key) = &new;
            let new = NewDelivery {
                session,
                command_id: message.command_id.as_deref(),
                notification_id: message.notification_id,
                transport: Transport::AppServer,
                text_sha256: key,
            };
            Ok::<_, Error>(Some(deliveries::begin(tx, &new)?))
        });
        let Some(delivery) = begin.await? else {
            return Err(Error::conflict(Kind::ClaimLost, "another dispatcher has taken this delivery over"));
        };
        let sent_at = clock::system_time();
        let message_id = deliveries::client_id(&session.id, delivery);
        let asked = ask(&client, &thread, running.as_deref(), text.as_str(), &message_id).await;
        faults::reach(CrashPoint::TurnAsked);
        let complete = match asked {
            Ok(_) => true,
            // The request may have arrived although its answer did not.
            Err(error) if error.may_have_acted() => false,
            Err(error) => {
                self.receipts.settle(delivery, Unproven::Failed, "nothing was sent").await?;
                return Err(refused(error));
            }
        };
        let awaited = Awaited { delivery, key, sent_at };
        let note = match self.receipts.receipt(session, &awaited).await {
            Ok(Some(proof)) => {
                faults::reach(CrashPoint::ReceiptSeen);
                let sent = Sent::complete(delivery, Some(proof), stripped, None);
                return Ok(Sent { transport: Transport::AppServer, ..sent });
            }
            Ok(None) if running.is_some() => {
                "sent while a turn runs; Codex takes it in after the running step, and the receipt is noted then"
                    .to_owned()
            }
            Ok(None) => "no receipt in the rollout in time; look at the session before sending it again".to_owned(),
            Err(error) => format!("the receipt could not be looked for: {error}"),
        };
        if let Err(error) = self.receipts.settle(delivery, Unproven::Uncertain, &note).await {
            tracing::error!(%error, %delivery, "the end of a delivery could not be recorded");
        }
        let sent = if complete {
            Sent::complete(delivery, None, stripped, Some(note))
        } else {
            Sent::interrupted(Some(delivery), stripped, note)
        };
        Ok(Sent { transport: Transport::AppServer, ..sent })
    }
}

impl Carrier for AppServerSender {
    async fn send(&self, session: &Session, message: Message, before: BeforeSend) -> Result<Sent> {
        let (sender, session) = (self.clone(), session.clone());
        let sent = tokio::spawn(async move { sender.send_now(&session, message, before).await }).await;
        sent.unwrap_or_else(|_| Ok(Sent { transport: Transport::AppServer, ..Sent::panicked() }))
    }
}

/// Steers the running turn, or begins a turn. `turn/steer` names the turn that it expects and is refused when
/// that has ended, so a refused text was not taken and may begin a turn of its own.
async fn ask(
    client: &Client,
    thread: &str,
    running: Option<&str>,
    text: &str,
    message_id: &str,
) -> std::result::Result<String, CallError> {
    if let Some(turn) = running {
        match client.steer_turn(thread, turn, text, message_id).await {
            Err(CallError::Refused(_)) => {}
            other => return other,
        }
    }
    client.start_turn(thread, text, message_id).await
}

fn refused(error: CallError) -> Error {
    Error::unavailable(Kind::NoAppServer, error.to_string())
        .hint("--transport tmux types into the pane instead")
}
