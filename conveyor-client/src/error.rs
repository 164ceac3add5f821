//! What a call can end in besides its answer.

use crate::daemon::Remedy;
use crate::patience::Loss;
use crate::start::StartError;
use camino::Utf8PathBuf;
use conveyor_proto::client::ClientError;
use conveyor_proto::openrpc::PROTOCOL_MAJOR;
use conveyor_proto::settings::StateFiles;
use conveyor_proto::{KnownKind, RpcError};
use std::time::Duration;

/// Why a call, a subscription or a start came to nothing. Its text is a sentence for a person, and names no program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens on the socket, and no daemon may be started.
    #[error(transparent)]
    StartForbidden(ClientError),
    /// A service manager holds the socket without a daemon behind it, and no daemon may be started.
    #[error("no daemon runs that serves {socket}")]
    NotRunning {
        /// The socket, to which connecting would start a daemon.
        socket: Utf8PathBuf,
    },
    /// A state root was named that has no database, and nothing was asked that would begin one.
    #[error("there is no database {}, and nothing was made there", files.database)]
    NoStateRoot {
        /// The files of the daemon that was named.
        files: StateFiles,
    },
    /// The daemon could not be started, or ended.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The daemon took the connection and does not answer what it can answer at once.
    #[error("conveyord at {} does not answer within {} s", files.socket(), limit.as_secs())]
    Silent {
        /// The daemon's files: its lock has the process id, its log may tell more.
        files: StateFiles,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The daemon speaks another protocol; nothing was asked of it.
    #[error(
        "conveyord {version} (pid {pid}) speaks protocol {protocol}, this program speaks {PROTOCOL_MAJOR}"
    )]
    ProtocolMismatch {
        /// The version of the daemon.
        version: String,
        /// The process id of the daemon.
        pid: u32,
        /// The major version of the protocol that it speaks.
        protocol: u32,
    },
    /// The connection had ended before the request was sent. It was not carried out, and may be sent again.
    #[error("the daemon closed the connection before the request was sent")]
    NotSent,
    /// The connection ended before the answer. Whether the request was carried out is not known.
    #[error("the daemon closed the connection before it answered")]
    ConnectionLost(Remedy),
    /// The daemon ends. The same call to the next daemon goes on with what this one had begun.
    #[error(transparent)]
    DaemonEnding(RpcError),
    /// The daemon has no such method: it is older than this program.
    #[error(transparent)]
    UnknownMethod(RpcError),
    /// The daemon refused the request.
    #[error(transparent)]
    Refused(RpcError),
    /// The parameters have no JSON form.
    #[error("failed to encode the parameters")]
    Encode(#[source] serde_json::Error),
    /// The result is not of the type that the method declares.
    #[error("failed to understand the result of {method}")]
    NotUnderstood {
        /// The method that was called.
        method: String,
        /// The fault of a result that cannot be read.
        #[source]
        source: serde_json::Error,
    },
    /// The daemon could not be reached, or does not speak the protocol.
    #[error(transparent)]
    Client(ClientError),
    /// Ctrl-C was pressed.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// How the daemon was lost, when that is what went wrong.
    pub(crate) const fn loss(&self) -> Option<Loss> {
        match self {
            Self::NotSent => Some(Loss::BeforeRequest),
            Self::ConnectionLost(_) => Some(Loss::BeforeAnswer),
            _ => None,
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotSent => Self::NotSent,
            ClientError::Closed => Self::ConnectionLost(Remedy::Unknown),
            ClientError::Rpc(error) => error.into(),
            error => Self::Client(error),
        }
    }
}

impl From<RpcError> for Error {
    fn from(error: RpcError) -> Self {
        match error.known_kind() {
            Some(KnownKind::DaemonEnding) => Self::DaemonEnding(error),
            Some(KnownKind::UnknownMethod) => Self::UnknownMethod(error),
            _ => Self::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_program_reacts_on_is_a_variant() {
        assert!(matches!(Error::from(ClientError::Closed), Error::ConnectionLost(Remedy::Unknown)));
        assert!(matches!(Error::from(ClientError::NotSent), Error::NotSent));
        let refusal = |code, kind: &str| {
            let data = Some(json!({ "kind": kind }));
            Error::from(ClientError::Rpc(RpcError { code, message: String::new(), data }))
        };
        assert!(matches!(refusal(-32005, "daemon_ending"), Error::DaemonEnding(_)));
        assert!(matches!(refusal(-32601, "unknown_method"), Error::UnknownMethod(_)));
        assert!(matches!(refusal(-32001, "unknown_task"), Error::Refused(_)));
    }
}
