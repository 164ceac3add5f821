//! The trait of a way by which a text reaches a session, and what is sent.

use super::outcome::Sent;
use crate::{
    error::Result,
    store::{Tx, ids::NotificationId, sessions::Session},
};
use std::sync::Arc;

/// A text for a session.
#[derive(Debug, Clone)]
pub struct Message {
    /// The text, as the caller gave it.
    pub text: String,
    /// Command that it belongs to.
    pub command_id: Option<String>,
    /// Notification that it carries.
    pub notification_id: Option<NotificationId>,
    /// Clear a draft in the composer instead of waiting for its end.
    pub clear_draft: bool,
}

/// Called once, in the transaction after which something may be sent. Returns false when the claim was lost:
/// then nothing is sent.
pub type BeforeSend = Arc<dyn Fn(&Tx<'_>) -> Result<bool> + Send + Sync>;

/// One way to a session. It proves by the rollout that a text arrived, or says that this is uncertain.
pub trait Carrier {
    /// Sends a text, or says what holds it back. `before` is called right before anything is sent.
    ///
    /// # Errors
    /// Only what happened before anything was sent. From then on the outcome says what is known.
    fn send(
        &self,
        session: &Session,
        message: Message,
        before: BeforeSend,
    ) -> impl Future<Output = Result<Sent>> + Send;
}
