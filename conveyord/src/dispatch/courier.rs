//! The courier: the choice between the carriers for one session.
//!
//! By default a text goes to the session's pane: there its user sees it, and a draft or a menu holds it back.
//! A pane that is in copy mode, synchronized or taken by a side chat is passed over if the app-server has the
//! thread.
//! A session without a pane is reached by Codex's app-server, if that has the thread in memory. Otherwise the
//! text waits in the inbox.

use super::{
    app_server::AppServerSender,
    outcome::Sent,
    pane::PaneSender,
    transport::{BeforeSend, Carrier, Message},
};
use crate::{error::Result, store::sessions::Session};
use conveyor_proto::types::{
    common::{DeliveryMode, Transport},
    pane::BlockedBy,
};
use std::sync::Arc;

/// All carriers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Courier {
    pub pane: PaneSender,
    pub app_server: AppServerSender,
}

impl Courier {
    /// Resolves the way that was asked for. The answer is never `auto`.
    #[must_use]
    pub fn way(&self, session: &Session, asked: Transport) -> Transport {
        match asked {
            Transport::Auto if session.has_tmux() => Transport::Tmux,
            Transport::Auto if self.app_server.reaches(session) => Transport::AppServer,
            Transport::Auto => Transport::Inbox,
            asked => asked,
        }
    }

    /// Whether the app-server takes the place of a pane that this holds back.
    #[must_use]
    pub fn passes_over(&self, session: &Session, asked: Transport, by: BlockedBy) -> bool {
        asked == Transport::Auto && is_of_the_pane(by) && self.app_server.reaches(session)
    }

    /// Sends a text by this way. Where `auto` was asked for and the pane of the session cannot take a text at
    /// this moment, although its conversation could, the app-server takes its place. Callers put a text for
    /// the inbox there themselves.
    pub async fn send(
        &self,
        way: Transport,
        asked: Transport,
        session: &Session,
        message: Message,
        before: BeforeSend,
    ) -> Result<Sent> {
        match way {
            Transport::AppServer => self.app_server.send(session, message, before).await,
            Transport::Tmux | Transport::Auto | Transport::Inbox => {
                let sent = self.pane.send(session, message.clone(), Arc::clone(&before)).await?;
                match &sent.held {
                    Some(held) if self.passes_over(session, asked, held.by) => {
                        self.app_server.send(session, message, before).await
                    }
                    _ => Ok(sent),
                }
            }
        }
    }
}

/// Whether what holds a text back concerns the pane alone. A draft, a question and a list are of the
/// conversation too: somebody is about to say something in it.
const fn is_of_the_pane(by: BlockedBy) -> bool {
    matches!(
        by,
        BlockedBy::SideChat | BlockedBy::CopyMode | BlockedBy::SynchronizedPanes | BlockedBy::InputOff
    )
}

/// Whether a way pushes the text, or leaves it in the inbox until the session pulls it.
#[must_use]
pub const fn mode(way: Transport) -> DeliveryMode {
    match way {
        Transport::Inbox => DeliveryMode::PullRequired,
        Transport::Tmux | Transport::AppServer | Transport::Auto => DeliveryMode::Push,
    }
}
