//! The choice between the ways to a session.
//!
//! By default it is the pane, as long as the session has one: what is typed there is seen, and held back, with the
//! eyes of its user. A session without a pane is reached by Codex's app-server, if that has its thread in memory; else
//! its messages wait in the inbox.

use super::{
    app_server::AppServerSender,
    outcome::Sent,
    pane::PaneSender,
    transport::{BeforeSend, Carrier, Message},
};
use crate::{error::Result, store::sessions::Session};
use conveyor_proto::types::common::{DeliveryMode, Transport};

/// The ways together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Courier {
    /// By the pane.
    pub pane: PaneSender,
    /// By Codex's app-server.
    pub app_server: AppServerSender,
}

impl Courier {
    /// The way that a text takes which was asked to take this one: never `auto`.
    #[must_use]
    pub fn way(&self, session: &Session, asked: Transport) -> Transport {
        match asked {
            Transport::Auto if session.has_tmux() => Transport::Tmux,
            Transport::Auto if self.app_server.reaches(session) => Transport::AppServer,
            Transport::Auto => Transport::Inbox,
            asked => asked,
        }
    }

    /// Sends a text by a way. The inbox is none: nothing is sent there.
    ///
    /// # Errors
    /// As [`Carrier::send`].
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

/// Push or pull.
#[must_use]
pub const fn mode(way: Transport) -> DeliveryMode {
    match way {
        Transport::Inbox => DeliveryMode::PullRequired,
        Transport::Tmux | Transport::AppServer | Transport::Auto => DeliveryMode::Push,
    }
}
