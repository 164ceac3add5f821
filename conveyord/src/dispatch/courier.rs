//! The courier: the choice between the carriers for one session.
//!
//! By default a text goes to the session's pane: there its user sees it, and a draft or a menu holds it back.
//! A session without a pane is reached by Codex's app-server, if that has the thread in memory. Otherwise the
//! text waits in the inbox.

use super::{
    app_server::AppServerSender,
    outcome::Sent,
    pane::PaneSender,
    transport::{BeforeSend, Carrier, Message},
};
use crate::{error::Result, store::sessions::Session};
use conveyor_proto::types::common::{DeliveryMode, Transport};

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

    /// Sends a text by this way. Callers put a text for the inbox there themselves.
    pub async fn send(
        &self,
        way: Transport,
        session: &Session,
        message: Message,
        before: BeforeSend,
    ) -> Result<Sent> {
        match way {
            Transport::AppServer => self.app_server.send(session, message, before).await,
            Transport::Tmux | Transport::Auto | Transport::Inbox => {
                self.pane.send(session, message, before).await
            }
        }
    }
}

/// Whether a way pushes the text, or leaves it in the inbox until the session pulls it.
#[must_use]
pub const fn mode(way: Transport) -> DeliveryMode {
    match way {
        Transport::Inbox => DeliveryMode::PullRequired,
        Transport::Tmux | Transport::AppServer | Transport::Auto => DeliveryMode::Push,
    }
}
