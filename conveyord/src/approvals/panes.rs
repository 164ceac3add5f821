//! Approvals of sessions without an app-server. A pending approval leaves no record in the rollout. So the
//! pane is looked at while the rollout shows a tool call without its output. The call tells what the pane does
//! not show ([`whole`](super::whole)). The answer is the key that the menu names.

use super::{
    Approvals, Decision,
    calls::Calls,
    decide::{changed, cut},
    until,
    whole::{Known, Question, question},
};
use crate::{
    background::Items,
    changes::{Change, ChangeKind},
    clock,
    codex::screen::{ApprovalMenu, PaneShows, approval_menu},
    error::{Error, Result},
    faults::{self, CrashPoint},
    ingest::Shrunk,
    refusal::Kind,
    sessions::{looks::PaneSeen, pane},
    store::{
        approvals::{self, Approval, Ended, NewApproval, PaneSubject},
        sessions::{self, Session},
    },
    tmux::{CaptureStyle, Key, Tmux},
};
use conveyor_proto::{
    ids::{SessionId, TurnId},
    types::{approval::ApprovalSource, session::SessionState},
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
/// How long a menu may be seen before the record of its call is read.
const UNREAD_LIMIT: Duration = Duration::from_millis(1500);
/// How long Codex may take to draw a menu anew.
const REDRAW: Duration = Duration::from_millis(300);
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
        let (read, calls) = (id.clone(), self.calls.clone());
        let found = self.store.read(move |connection| {
            let Some(session) = sessions::get(connection, read.as_str())? else { return Ok(None) };
            let any = approvals::any_open(connection, &read)?;
            Ok::<_, Error>(Some((session, calls.of(connection, &read)?.open, any)))
        });
        let Some((session, calls, any)) = found.await? else { return Ok(false) };
        // The app-server reports approvals by itself, with more detail than the screen has.
        let told_by_others = self.app_servers.status(&session).is_some();
        if !session.has_tmux() || session.state == SessionState::Gone || told_by_others {
            return Ok(false);
        }
        if calls.is_empty() && !any {
            return Ok(false);
        }
        let Some(mut seen) = self.looks.look(&session, FRESH).await? else { return Ok(true) };
        let mut now = self.standing(&session, &seen).await?;
        if matches!(now, Standing::Over { .. }) {
            // Codex may be drawing the same question again, for another size of the pane.
            tokio::time::sleep(REDRAW).await;
            let Some(again) = self.looks.look(&session, Duration::ZERO).await? else { return Ok(true) };
            now = self.standing(&session, &again).await?;
            seen = again;
        }
        let asked = match now {
            Standing::Same => return Ok(true),
            Standing::New(asked) => asked,
            // A pane shows one menu at a time, so the earlier approval of this pane is over.
            Standing::Over { next } => {
                self.ended(session.id.clone(), Ended::Of(ApprovalSource::Pane)).await?;
                next
            }
        };
        let Some(asked) = asked else { return Ok(true) };
        let is_young = clock::is_within(&seen.since, UNREAD_LIMIT);
        let is_whole = matches!(asked.subject, PaneSubject::Call { .. } | PaneSubject::Screen(_));
        // The menu may be half drawn, or the record of its call not read yet.
        if is_whole || !is_young {
            self.asked_now(&session, asked).await?;
        }
        Ok(true)
    }

    /// Stores a question if the pane still asks it. The look that found it may be older than an answer to the same
    /// question, and older than the records that tell what asks.
    async fn asked_now(&self, session: &Session, asked: Question) -> Result<()> {
        let rows = self.known(session).await?;
        let known = rows.of(session);
        let Some(seen) = self.looks.look(session, Duration::ZERO).await? else { return Ok(()) };
        let menu = seen.menu.as_ref().filter(|_| seen.look.shows == PaneShows::Approval);
        let still = menu.map(|menu| question(menu, &known)).filter(|now| now.subject == asked.subject);
        match still {
            Some(now) => self.opened(new_approval(session, rows.calls.turn_id.clone(), now)).await,
            None => Ok(()),
        }
    }

    /// How the approval of a pane stands by a look at it.
    async fn standing(&self, session: &Session, seen: &PaneSeen) -> Result<Standing> {
        let rows = self.known(session).await?;
        let known = rows.of(session);
        let menu = seen.menu.as_ref().filter(|_| seen.look.shows == PaneShows::Approval);
        let asked = menu.map(|menu| question(menu, &known));
        Ok(match (&rows.open, asked) {
            (None, asked) => Standing::New(asked),
            // An approval never changes what it shows. A manager may have read it already.
            (Some(open), Some(asked)) if asked.may_be(open, &known) => Standing::Same,
            (Some(_), next) => Standing::Over { next },
        })
    }

    /// What the rows know of what a session's pane may ask.
    async fn known(&self, session: &Session) -> Result<Rows> {
        let (id, calls) = (session.id.clone(), self.calls.clone());
        self.store
            .read(move |connection| {
                Ok(Rows {
                    calls: calls.of(connection, &id)?,
                    answered: approvals::answered(connection, &id)?,
                    open: approvals::of_pane(connection, &id)?,
                })
            })
            .await
    }

    /// Presses the key in the menu of a pane if the menu still asks for what the approval shows, and waits until it
    /// has gone. `claim` runs before the last look; if it fails, nothing is pressed. Returns whether the menu has gone.
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
        if self.key_for(&tmux, session, approval, decision).await.is_err() {
            // Codex may be drawing the same question again, for another size of the pane.
            tokio::time::sleep(REDRAW).await;
            self.key_for(&tmux, session, approval, decision).await?;
        }
        claim.await?;
        faults::reach(CrashPoint::ApprovalClaimed);
        // A person may have answered while the claim was stored, and Codex may ask the next thing by now. So nothing
        // but this look comes before the key.
        let key = self.key_for(&tmux, session, approval, decision).await?;
        let pressed = tmux.press(&first.pane, &key).await;
        faults::reach(CrashPoint::ApprovalAnswered);
        if let Err(error) = pressed {
            // The key may have been pressed although tmux failed. It must not be pressed again.
            return if error.may_have_acted() { Ok(false) } else { Err(error.into()) };
        }
        let deadline = Instant::now() + GONE_LIMIT;
        loop {
            let menu = self.menu_of(&tmux, session).await.ok().flatten();
            let known = self.known(session).await?;
            let known = known.of(session);
            if menu.is_none_or(|menu| !question(&menu, &known).may_be(approval, &known)) {
                drop(turn);
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(GONE_TICK).await;
        }
    }

    /// The key that answers an approval, by a look at the pane and at the open calls.
    async fn key_for(
        &self,
        tmux: &Tmux,
        session: &Session,
        approval: &Approval,
        decision: Decision,
    ) -> Result<Key> {
        let Some(menu) = self.menu_of(tmux, session).await? else {
            let message = format!("the pane of {} does not show this question any more", session.name);
            return Err(Error::conflict(Kind::ApprovalResolved, message)
                .hint("`approvals list` shows what is asked for now"));
        };
        // Codex writes the call before it asks. So what is read now holds the call of this menu.
        match self.ingest.run(&session.id, Shrunk::Refuse).await {
            // Without the newest records another call could be taken for the one that is asked about.
            Err(error) if decision == Decision::Accept => return Err(error),
            Err(error) => {
                tracing::debug!(%error, session = %session.id, "the rollout could not be read before an answer");
            }
            Ok(_) => {}
        }
        let known = self.known(session).await?;
        let known = known.of(session);
        let asked = question(&menu, &known);
        let key = match decision {
            Decision::Accept if asked.is_what_is_shown(approval) => {
                menu.accept_key.map(|key| key.to_string()).ok_or_else(|| {
                    Error::conflict(Kind::ApprovalNeedsPerson, "the menu names no key that accepts this once")
                        .hint(format!("answer it in the pane of {}", session.name))
                })?
            }
            Decision::Accept if asked.may_be(approval, &known) => {
                return Err(cut(&approval.row).hint(format!(
                    "enlarge the pane of {} so that it shows the question, or answer it there",
                    session.name
                )));
            }
            // Every approval menu of Codex 0.130, 0.169 and 0.171 declines by Escape.
            Decision::Decline if asked.may_be(approval, &known) => "Escape".to_owned(),
            Decision::Accept | Decision::Decline => return Err(changed(&approval.row)),
        };
        Key::parse(&key).map_err(|error| Error::invalid(Kind::UnknownKey, error.to_string()))
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

/// How the approval of a pane stands.
enum Standing {
    /// The pane still asks for what the approval is about.
    Same,
    /// No approval is kept for what the pane asks, if it asks anything.
    New(Option<Question>),
    /// The pane asks nothing, or something else.
    Over { next: Option<Question> },
}

/// What the rows know of what a session's pane may ask.
struct Rows {
    calls: Calls,
    answered: Vec<String>,
    /// The approval of the pane that waits for an answer.
    open: Option<Approval>,
}

impl Rows {
    fn of<'a>(&'a self, session: &'a Session) -> Known<'a> {
        Known { calls: &self.calls.open, answered: &self.answered, cwd: &session.cwd }
    }
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

fn new_approval(session: &Session, turn_id: Option<TurnId>, asked: Question) -> NewApproval {
    NewApproval {
        session: session.id.clone(),
        source: ApprovalSource::Pane,
        kind: asked.kind,
        thread_id: session.codex_session_id.clone(),
        turn_id,
        subject: asked.subject.to_string(),
        occasion: asked.occasion,
        command: asked.command,
        cwd: asked.cwd,
        reason: asked.reason,
    }
}
