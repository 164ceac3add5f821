//! Giving a session the thread and file that it shows now.
//!
//! Which thread and file that are is found out in `sessions/locate`. A session is changed only while it
//! stands as it was looked at, and it never gets a thread that another session has.

use super::{Ingest, Shrunk};
use crate::{
    attention,
    background::Items,
    codex::rollout::{
        discovery::{matches_thread, read_session_meta, thread_id_in_title},
        file,
        located::Located,
    },
    error::{Error, Result},
    sessions::{
        locate::{Conversations, Survey},
        others::Others,
    },
    store::{
        Durability, Store, Tx,
        event_names::AuditEvent,
        log,
        sessions::{self, Session},
    },
};
use conveyor_proto::ids::ThreadId;
use conveyor_proto::types::session::SessionState;
use serde_json::json;

/// Brings a session to the thread and file that it shows now. `title` is the title of its pane, if one was
/// looked at. Returns whether anything changed.
pub async fn follow(
    store: &Store,
    ingest: &Ingest,
    session: &Session,
    title: Option<String>,
) -> Result<bool> {
    let known = session.codex_session_id.as_ref();
    let named = title.as_deref().and_then(thread_id_in_title);
    let stays = known.is_some_and(|known| named.is_none_or(|named| matches_thread(named, known)));
    // Titles of other panes matter only for a thread that is not the session's yet.
    let others = if stays { Others::known(store).await? } else { Others::now(store, None).await? };
    let looked_at = session.clone();
    let locate = move || Survey::default().locate(&looked_at, title.as_deref(), &others);
    let located = tokio::task::spawn_blocking(locate).await?;
    match located {
        Some(located) => adopt(store, ingest, session, located).await,
        None => Ok(false),
    }
}

/// The same for many sessions in one look. A session whose look panicked rests for a while.
pub async fn follow_all(
    store: &Store,
    ingest: &Ingest,
    items: &Items,
    conversations: Conversations,
    sessions: Vec<Session>,
) -> Result<()> {
    let looking = items.clone();
    let others = Others::now(store, None).await?;
    let look = move || {
        // The oldest thread comes first, because the folders that are listed for it include those of the
        // others.
        let mut sessions = sessions;
        sessions.sort_by(|a, b| a.codex_session_id.cmp(&b.codex_session_id));
        let mut survey = Survey::knowing(conversations);
        let locate = |session: Session| {
            let item = item(&session);
            if looking.rests(&item) {
                return None;
            }
            let title = others.title_of(&session);
            let located = looking.attempt_now(&item, || survey.locate(&session, title, &others));
            located.ok().flatten().map(|located| (session, located))
        };
        sessions.into_iter().filter_map(locate).collect::<Vec<_>>()
    };
    for (session, located) in tokio::task::spawn_blocking(look).await? {
        if let Ok(adopted) = items.attempt(&item(&session), adopt(store, ingest, &session, located)).await {
            adopted?;
        }
    }
    Ok(())
}

/// The name of this look among the items of the loop; the reading of the session's rollout has another.
fn item(session: &Session) -> String {
    format!("thread of {}", session.id)
}

/// Gives a session the thread and file that were found for it. Returns whether anything changed.
pub async fn adopt(store: &Store, ingest: &Ingest, session: &Session, located: Located) -> Result<bool> {
    // Codex makes the file of a new thread at its first input. Until then the session keeps the old file.
    let Some(path) = located.path else { return Ok(false) };
    // Resolve links, so that a file has one name.
    let path = file::canonical(&path);
    if session.codex_session_path.as_deref() == Some(path.as_str()) {
        return Ok(false);
    }
    // Whatever led here: a side chat, a sub-agent's thread or another thread of Codex's own is never a session's.
    let meta = read_session_meta(&path).ok();
    if meta.as_ref().is_some_and(|meta| !meta.is_of_user()) {
        return Ok(false);
    }
    if !session.is_pending()
        && let Err(error) = ingest.run(&session.id, Shrunk::Refuse).await
    {
        // The last lines of the old file could not be read, perhaps because it is gone. The session moves on
        // all the same.
        tracing::debug!(%error, session = %session.id, "the file before was not read to its end");
    }
    let change = Change {
        cwd: meta.and_then(|meta| meta.cwd),
        path: path.into_string(),
        thread_id: located.thread_id,
        before: session.clone(),
    };
    store.write(Durability::Full, move |tx| change.apply(tx)).await
}

/// The change of a session to another thread and file.
struct Change {
    before: Session,
    thread_id: ThreadId,
    path: String,
    cwd: Option<String>,
}

impl Change {
    fn apply(&self, tx: &Tx<'_>) -> Result<bool> {
        let Self { before, thread_id, path, cwd } = self;
        let Some(now) = sessions::get(tx, before.id.as_str())? else { return Ok(false) };
        // The session was changed since it was looked at.
        if now.state != SessionState::Active
            || now.codex_session_path != before.codex_session_path
            || now.codex_session_id != before.codex_session_id
        {
            return Ok(false);
        }
        // Another session has this thread.
        if sessions::active_on_thread(tx, thread_id)?.iter().any(|other| other.id != before.id) {
            return Ok(false);
        }
        sessions::adopt_thread(tx, &before.id, thread_id, path, cwd.as_deref())?;
        sessions::take_offset_of(tx, &before.id, path)?;
        attention::thread_changed(tx, before, thread_id)?;
        let event = log::Event {
            actor: log::Actor::System,
            kind: AuditEvent::SessionThreadAdopted,
            task_id: None,
            command_id: None,
            correlation_id: None,
            payload: json!({
                "name": before.name,
                "session_id": before.id,
                "codex_session_id": thread_id,
                "codex_session_path": path,
                "previous_codex_session_id": before.codex_session_id,
                "previous_codex_session_path": before.codex_session_path,
            }),
        };
        log::event(tx, &event)?;
        Ok::<_, Error>(true)
    }
}
