//! The targets of a tmux command: servers and panes.

use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

/// A tmux server, identified by the path of its socket.
///
/// The folder of the socket is resolved, so that two spellings of one socket (`/tmp` and `/private/tmp` on
/// macOS) are the same server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TmuxServer(Utf8PathBuf);

impl TmuxServer {
    /// The server with this socket. The socket need not exist yet.
    pub fn at(socket: impl AsRef<Utf8Path>) -> Self {
        let socket = socket.as_ref();
        let resolved = socket.parent().and_then(|folder| folder.canonicalize_utf8().ok());
        match (resolved, socket.file_name()) {
            (Some(folder), Some(name)) => Self(folder.join(name)),
            _ => Self(socket.to_owned()),
        }
    }

    /// The server that a tmux client in this environment would use. Inside a pane it is the one that `TMUX`
    /// names, otherwise the default server of user `uid` below `TMUX_TMPDIR` or `/tmp`. An empty variable
    /// counts as unset.
    pub fn from_env(tmux: Option<&str>, tmux_tmpdir: Option<&str>, uid: u32) -> Self {
        let inside = tmux.and_then(|value| value.split(',').next()).filter(|socket| !socket.is_empty());
        match inside {
            Some(socket) => Self::at(socket),
            None => {
                let folder = tmux_tmpdir.filter(|folder| !folder.is_empty()).unwrap_or("/tmp");
                Self::at(Utf8Path::new(folder).join(format!("tmux-{uid}")).join("default"))
            }
        }
    }

    /// All servers of user `uid` that tmux would find without a path: the sockets below `TMUX_TMPDIR` and `/tmp`. A
    /// socket of a server that has ended is among them. Blocks.
    pub fn of_user(tmux_tmpdir: Option<&str>, uid: u32) -> Vec<Self> {
        let folders = [tmux_tmpdir.filter(|folder| !folder.is_empty()), Some("/tmp")];
        let sockets = |folder: &str| Utf8Path::new(folder).join(format!("tmux-{uid}")).read_dir_utf8();
        let entries =
            folders.into_iter().flatten().filter_map(|folder| sockets(folder).ok()).flatten().flatten();
        let is_socket = |entry: &camino::Utf8DirEntry| entry.file_type().is_ok_and(|kind| kind.is_socket());
        let mut servers: Vec<_> = entries.filter(is_socket).map(|entry| Self::at(entry.path())).collect();
        servers.sort();
        servers.dedup();
        servers
    }

    pub fn socket(&self) -> &Utf8Path {
        &self.0
    }

    pub(super) fn as_std_path(&self) -> &Path {
        self.0.as_std_path()
    }
}

impl fmt::Display for TmuxServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_env(tmux: Option<&str>, tmpdir: Option<&str>, socket: &str) {
        assert_eq!(TmuxServer::from_env(tmux, tmpdir, 1234).socket(), socket);
    }

    #[test]
    fn the_server_comes_from_the_environment() {
        check_env(Some("/no/such/socket,123,0"), Some("/elsewhere"), "/no/such/socket");
        check_env(Some("/no/such/socket"), None, "/no/such/socket");
        check_env(Some(""), Some("/no/such"), "/no/such/tmux-1234/default");
        check_env(None, Some("/no/such"), "/no/such/tmux-1234/default");
    }

    #[test]
    fn without_variables_the_server_is_the_users_default_one() {
        let server = TmuxServer::from_env(None, Some(""), 1234);
        assert!(server.socket().ends_with("tmp/tmux-1234/default"), "{server}");
    }

    #[test]
    fn two_spellings_of_a_socket_are_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::create_dir(folder.join("real")).unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
        assert_eq!(TmuxServer::at(folder.join("real/s")), TmuxServer::at(folder.join("link/s")));
    }
}
