//! How a person attaches a terminal to a worker. The client opens the window, since only the client knows the
//! desktop.

use super::{Subject, Workers, blocking, broken, is_default_server};
use crate::{
    error::{Error, Result},
    process,
    refusal::Kind,
    sessions::pane,
    store::{bindings, event_names::FileEvent, sessions, tasks},
    tmux::stored_name,
    words::{names, shown},
};
use conveyor_proto::types::{
    common::{Caller, Empty, Role},
    worker::{AttachParams, AttachResult, OpenedParams, WorkerKind},
};
use serde_json::json;

impl Workers {
    /// Answers `worker.attach`.
    ///
    /// # Errors
    /// `name_or_task_needed`, `unknown_worker`, `unknown_task`, `task_ambiguous`, `not_bound`,
    /// `no_tmux_session`, `tmux_session_missing`, `already_opened`.
    pub async fn attach(&self, params: AttachParams) -> Result<AttachResult> {
        let AttachParams { name, task, role, force, caller } = params;
        let (name, task) = match (name, task) {
            (Some(name), None) => (name, None),
            (None, Some(task)) => {
                let (name, task) = self.session_of(task, role.unwrap_or(Role::Worker)).await?;
                (name, Some(task))
            }
            _ => return Err(Error::invalid(Kind::NameOrTaskNeeded, "either a name or a task is needed")),
        };
        let subject = self.find(&name, &caller).await?;
        let tmux_session = self.require_running(&subject).await?;
        let socket = subject.session.tmux_socket.as_deref();
        let attach_command = for_a_shell(&words(socket, &tmux_session, &caller));
        let attach_words = words_for_a_window(socket, &tmux_session, &caller);
        if task.is_none() && !force && subject.kind() == WorkerKind::File && self.was_opened(&subject).await?
        {
            let message = format!("a terminal was opened for {name} before");
            return Err(Error::conflict(Kind::AlreadyOpened, message)
                .hint(format!("open another with --force, or attach by hand: {attach_command}")));
        }
        let warning = self.other_version(&subject, &caller).await;
        Ok(AttachResult { name, task, tmux_session, attach_command, attach_words, warning })
    }

    /// What stands in the way of the caller's tmux when it attaches: the server may be of another version.
    async fn other_version(&self, subject: &Subject, caller: &Caller) -> Option<String> {
        let program = process::find("tmux", caller)?;
        let tmux = pane::tmux(&subject.session, self.command_timeout).with_program(program);
        tmux.other_version().await.ok().flatten().map(|other| other.to_string())
    }

    /// The name of the session that is the worker or the manager of a task, and the name of the task.
    async fn session_of(&self, task: String, role: Role) -> Result<(String, String)> {
        self.store
            .read(move |connection| {
                let task = tasks::resolve(connection, &task)?;
                let binding = bindings::open_of_task(connection, &task.id)?;
                let id = binding.map(|binding| match role {
                    Role::Worker => binding.worker,
                    Role::Manager => binding.manager,
                });
                let session = match id {
                    Some(id) => sessions::get(connection, id.as_str())?,
                    None => None,
                };
                let session = session.ok_or_else(|| {
                    let message = format!("task {} has no {} now", shown(&task.name), role.as_str());
                    Error::conflict(Kind::NotBound, message).hint("`bind` gives it one")
                })?;
                Ok((session.name, task.name))
            })
            .await
    }

    async fn was_opened(&self, subject: &Subject) -> Result<bool> {
        let folder = subject.folder.clone();
        let opened = blocking(move || folder.events(Some(FileEvent::Open.as_str()), Some(1))).await?;
        Ok(!opened.map_err(|error| broken(&subject.name, &error))?.events.is_empty())
    }

    /// Answers `worker.opened`. Only a window that did open makes a later `worker.attach` say
    /// `already_opened`.
    ///
    /// # Errors
    /// `unknown_worker`, `invalid_name`.
    pub async fn opened(&self, params: OpenedParams) -> Result<Empty> {
        names::session(&params.name)?;
        let subject = self.find(&params.name, &Caller::default()).await?;
        let terminal = json!({ "terminal": params.terminal, "launched": params.launched });
        self.note(&subject, FileEvent::OpenAttempt, terminal).await;
        if params.launched {
            let facts = json!({ "forced": params.forced, "terminal": params.terminal });
            self.note(&subject, FileEvent::Open, facts).await;
        }
        Ok(Empty {})
    }
}

/// The command by which a person attaches a terminal to exactly this tmux session.
pub(super) fn by_hand(socket: &str, tmux_session: &str, caller: &Caller) -> String {
    for_a_shell(&words(Some(socket), tmux_session, caller))
}

fn words(socket: Option<&str>, tmux_session: &str, caller: &Caller) -> Vec<String> {
    let mut words = vec!["tmux".to_owned()];
    if let Some(socket) = socket.filter(|socket| !is_default_server(socket, caller)) {
        words.extend(["-S".to_owned(), socket.to_owned()]);
    }
    words.extend(attach_to(tmux_session));
    words
}

/// The same for a new window, whose `PATH` and server may be others than the caller's: applications of macOS have the
/// `PATH` of launchd, without Homebrew's folders.
fn words_for_a_window(socket: Option<&str>, tmux_session: &str, caller: &Caller) -> Vec<String> {
    let program = process::find("tmux", caller).and_then(|path| path.into_os_string().into_string().ok());
    let mut words = vec![program.unwrap_or_else(|| "tmux".to_owned())];
    words.extend(socket.into_iter().flat_map(|socket| ["-S".to_owned(), socket.to_owned()]));
    words.extend(attach_to(tmux_session));
    words
}

fn attach_to(tmux_session: &str) -> [String; 3] {
    ["attach".to_owned(), "-t".to_owned(), format!("={}", stored_name(tmux_session))]
}

/// Joins words to one line for a shell. Words with special characters are put in single quotes.
fn for_a_shell(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        let words = ["tmux", "-t", "=codex-w", "it's", "", "$x"].map(str::to_owned);
        assert_eq!(for_a_shell(&words), r"tmux -t '=codex-w' 'it'\''s' '' '$x'");
    }
}
