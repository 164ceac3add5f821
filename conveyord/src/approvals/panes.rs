//! Approvals of sessions without an app-server. A pending approval leaves no record in the rollout. So the
//! pane is looked at while the rollout shows a tool call without its output. The answer is the key that the
//! menu names.

use super::{Approvals, Decision, until};
use crate::{
    background::Items,
    changes::{Change, ChangeKind},
    codex::screen::{ApprovalMenu, PaneShows, approval_menu},
    error::{Error, Result},
    faults::{self, CrashPoint},
    refusal::Kind,
    sessions::pane,
    store::{
        approvals::{self, Approval, Ended, NewApproval},
        sessions::{self, Session},
    },
    tmux::{CaptureStyle, Key, Tmux},
    words::sha256,
};
use conveyor_proto::{
    ids::SessionId,
    types::{
        approval::{ApprovalKind, ApprovalSource},
        session::SessionState,
    },
};
use std::{collections::HashMap, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// Time from the record of a tool call to the first look. After this time the menu is on the screen.
const SETTLE: Duration = Duration::from_millis(150);
/// Longest pause between two looks while a tool call has no output. A tool may run for hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A look that is not older is not taken again.
const FRESH: Duration = Duration::from_millis(100);
/// How long a menu may stay on the screen after its key was pressed.
const GONE_LIMIT: Duration = Duration::from_secs(3);
/// Pause between two looks for this.
const GONE_TICK: Duration = Duration::from_millis(50);

/// When a session's pane is looked at next, and the pause that follows.
struct Due {
    at: Instant,
    pause: Duration,
}

impl Due {
    fn soon() -> Self {
        Self { at: Instant::now() + SETTLE, pause: SETTLE * 2 }
    }

    fn next(pause: Duration) -> Self {
        Self { at: Instant::now() + pause, pause: (pause * 2).min(LONGEST_PAUSE) }
    }
}

impl Approvals {
    /// Looks at the panes of sessions that may ask for an approval, until cancelled. Each session has one
    /// look at a time. The pauses grow while nothing changes. A session without an open tool call is not
    /// looked at.
    pub async fn watch_panes(self, cancel: CancellationToken, items: Items) {
        let mut changes = self.store.changes().subscribe();
        // Every session is looked at once, to find what changed before this run or was missed.
        let mut due = self.all_due().await;
        let mut looks: JoinSet<(SessionId, Duration, bool)> = JoinSet::new();
        loop {
            let next = due.values().map(|due| due.at).min();
            tokio::select! {
                () = cancel.cancelled() => break,
                change = changes.next() => match change {
                    None => break,
                    Some(change) if change.kind == ChangeKind::Lagged => due.extend(self.all_due().await),
                    Some(change) => {
                        if let Some(session) = may_ask(&change) {
                            due.insert(SessionId(session.to_owned()), Due::soon());
                        }
                    }
                },
                () = until(next) => {
                    let now = Instant::now();
                    for (session, was) in due.extract_if(|_, due| due.at <= now) {
                        let (approvals, items) = (self.clone(), items.clone());
                        looks.spawn(async move {
                            let (pause, again) = match items.attempt(session.as_str(), approvals.look(&session)).await {
                                Ok(Ok(again)) => (was.pause, again),
                                Ok(Err(error)) => {
                                    tracing::warn!(%error, %session, "a pane's approval could not be looked for");
                                    (was.pause, false)
                                }
                                Err(pause) => (pause, true),
                            };
                            (session, pause, again)
                        });
                    }
                }
                Some(looked) = looks.join_next(), if !looks.is_empty() => {
                    // A newer record may have set an earlier look already; it stays.
                    if let Ok((session, pause, true)) = looked {
                        due.entry(session).or_insert_with(|| Due::next(pause));
                    }
                }
            }
        }
    }

    /// Schedules an early look for every active session. For a session without an open tool call this costs
    /// one read of its rows.
    async fn all_due(&self) -> HashMap<SessionId, Due> {
        let active = self.store.read(|connection| Ok::<_, Error>(sessions::active(connection)?)).await;
        let active = active.unwrap_or_else(|error| {
            tracing::warn!(%error, "the sessions that may ask for an approval could not be read");
            Vec::new()
        });
        active.into_iter().map(|session| (session.id, Due::soon())).collect()
    }

    /// Looks once. Returns whether the pane must be looked at again.
    async fn look(&self, id: &SessionId) -> Result<bool> {
        faults::may_panic("item", "approval_panes");
        let read = id.clone();
        let found = self.store.read(move |connection| {
            let Some(session) = sessions::get(connection, read.as_str())? else { return Ok(None) };
            let call = approvals::open_call(connection, &read)?;
            let any = approvals::any_open(connection, &read)?;
            Ok::<_, Error>(Some((session, call, any)))
        });
        let Some((session, call, any)) = found.await? else { return Ok(false) };
        // The app-server reports approvals by itself, with more detail than the screen has.
        let told_by_others = self.app_servers.status(&session).is_some();
        if !session.has_tmux() || session.state == SessionState::Gone || told_by_others {
            return Ok(false);
        }
        if call.is_none() && !any {
            return Ok(false);
        }
        let Some(seen) = self.looks.look(&session, FRESH).await? else { return Ok(true) };
        match seen.menu.filter(|_| seen.look.shows == PaneShows::Approval) {
            Some(menu) => {
                let new = asked(&session, call.as_deref(), &menu);
                let others = approvals_but(self, &session.id, &new.subject).await?;
                // A pane shows one menu at a time, so the earlier approvals of this pane are over.
                if others {
                    self.ended(session.id.clone(), Ended::Of(ApprovalSource::Pane)).await?;
                }
                self.opened(new).await?;
            }
            None if any => self.ended(session.id.clone(), Ended::Of(ApprovalSource::Pane)).await?,
            None => {}
        }
        Ok(true)
    }

    /// Presses the key in the menu of a pane if the menu is still there, and waits until it has gone. `claim`
    /// runs right before the key is pressed; if it fails, nothing is pressed. Returns whether the menu has
    /// gone.
    pub(super) async fn press_for(
        &self,
        session: &Session,
        approval: &Approval,
        decision: Decision,
        claim: impl Future<Output = Result<()>>,
    ) -> Result<bool> {
        let tmux = self.sender.tmux(session);
        let first = pane::find(&tmux, session).await?;
        // While this turn is held, no other sender types into the pane.
        let turn = self.sender.turn_at(&tmux, first.pane.pane_id).await;
        // The pane is verified again, because the sender before this one may have changed it.
        let menu = self.menu_of(&tmux, session).await?;
        let Some(menu) = menu.filter(|menu| approval.subject.ends_with(&fingerprint(menu))) else {
            let message = format!("the pane of {} does not show this question any more", session.name);
            return Err(Error::conflict(Kind::ApprovalResolved, message)
                .hint("`approvals list` shows what is asked for now"));
        };
        let key = match decision {
            Decision::Accept => menu.accept_key.map(|key| key.to_string()).ok_or_else(|| {
                Error::conflict(Kind::ApprovalNeedsPerson, "the menu names no key that accepts this once")
                    .hint(format!("answer it in the pane of {}", session.name))
            })?,
            // Every approval menu of Codex 0.130, 0.169 and 0.171 declines by Escape.
            Decision::Decline => "Escape".to_owned(),
        };
        let key = Key::parse(&key).map_err(|error| Error::invalid(Kind::UnknownKey, error.to_string()))?;
        claim.await?;
        faults::reach(CrashPoint::ApprovalClaimed);
        let pressed = tmux.press(&first.pane, &key).await;
        faults::reach(CrashPoint::ApprovalAnswered);
        if let Err(error) = pressed {
            // The key may have been pressed although tmux failed. It must not be pressed again.
            return if error.may_have_acted() { Ok(false) } else { Err(error.into()) };
        }
        let deadline = Instant::now() + GONE_LIMIT;
        loop {
            let same = self.menu_of(&tmux, session).await.ok().flatten();
            if same.is_none_or(|menu| !approval.subject.ends_with(&fingerprint(&menu))) {
                drop(turn);
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(GONE_TICK).await;
        }
    }

    async fn menu_of(&self, tmux: &Tmux, session: &Session) -> Result<Option<ApprovalMenu>> {
        let target = pane::find(tmux, session).await?;
        // In copy mode and the like, tmux handles the keys itself and Codex does not get them (tmux(1),
        // WINDOWS AND PANES).
        if target.pane.in_mode {
            return Ok(None);
        }
        let text = tmux.capture(target.pane.pane_id, 0, CaptureStyle::Plain).await?;
        Ok(approval_menu(&target.pane.title, &text))
    }
}

/// Whether the pane has open approvals other than this one. Those are over.
async fn approvals_but(approvals: &Approvals, session: &SessionId, subject: &str) -> Result<bool> {
    let (session, subject) = (session.clone(), subject.to_owned());
    approvals
        .store
        .read(move |connection| {
            Ok(approvals::any_other_open(connection, &session, ApprovalSource::Pane, &subject)?)
        })
        .await
}

/// The session for which this change may begin or end an approval.
fn may_ask(change: &Change) -> Option<&str> {
    let is_so = match change.kind {
        ChangeKind::Ingested => true,
        ChangeKind::SessionStatus => change.state.as_deref() == Some(PaneShows::Approval.name()),
        _ => false,
    };
    change.session_id.as_deref().filter(|_| is_so)
}

fn asked(session: &Session, call: Option<&str>, menu: &ApprovalMenu) -> NewApproval {
    let question = menu.question.to_lowercase();
    let kind = if question.contains("following command") {
        ApprovalKind::Command
    } else if question.contains("following edits") {
        ApprovalKind::FileChange
    } else if question.contains("permissions") {
        ApprovalKind::Permissions
    } else if question.starts_with("allow the ") {
        ApprovalKind::Tool
    } else {
        ApprovalKind::Other
    };
    NewApproval {
        session: session.id.clone(),
        source: ApprovalSource::Pane,
        kind,
        thread_id: session.codex_session_id.clone(),
        turn_id: None,
        subject: format!("{}/{}", call.unwrap_or_default(), fingerprint(menu)),
        command: menu.command.clone().or_else(|| Some(menu.body.clone()).filter(|body| !body.is_empty())),
        cwd: Some(session.cwd.clone()),
        reason: menu.reason.clone().or_else(|| Some(menu.question.clone())),
    }
}

/// Identifies a question on the screen by its text.
fn fingerprint(menu: &ApprovalMenu) -> String {
    sha256(format!("{}\n{}", menu.question, menu.body))
}
