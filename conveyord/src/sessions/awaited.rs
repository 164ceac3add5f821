//! Why a registered session has no rollout yet, in words for whoever registered it.

use super::{locate::Survey, others::Others};
use crate::{
    clock,
    error::Result,
    store::{Store, sessions::Session},
    words::shown,
};
use std::fmt;

/// How long a Codex may wait for its first input before `doctor` and `reconcile` say so, in seconds.
const LONG_WITHOUT_INPUT: f64 = 600.0;
/// The same of a session of which it is not certain that it will ever be found.
const LONG_UNCERTAIN: f64 = 60.0;

/// What a session without a rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    /// Codex runs and has written nothing: it begins its rollout with the first input.
    FirstInput,
    /// The folder of Codex's files is not known, so nothing can be looked for.
    HomeUnknown,
    /// The shared daemon of this Codex home serves the session's terminal, and which of its threads is the session's
    /// is not certain.
    Uncertain(String),
}

impl Awaited {
    /// What a session waits for, by a look at its pane and processes now.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn now(store: &Store, session: Session) -> Result<Self> {
        let others = Others::now(store, None).await?;
        let look = move || Self::of(&session, others.title_of(&session), &mut Survey::default(), &others);
        Ok(tokio::task::spawn_blocking(look).await?)
    }

    /// Looks why a session has no rollout. `title` is the title of its pane, if that was looked at. Blocks.
    pub fn of(session: &Session, title: Option<&str>, survey: &mut Survey, others: &Others) -> Self {
        let Some(home) = session.codex_home.clone() else { return Self::HomeUnknown };
        if survey.locate(session, title, others).is_none() && survey.is_served_by_daemon(session) {
            return Self::Uncertain(home);
        }
        Self::FirstInput
    }

    /// For how many seconds a session has been waiting for its rollout, and for what. `None` while that is no long
    /// time, and of a session that has one. Blocks.
    pub fn long(session: &Session, survey: &mut Survey, others: &Others) -> Option<(f64, Self)> {
        let waiting = clock::seconds_since(session.last_heartbeat_at.as_ref()?)?;
        if !session.is_pending() || waiting < LONG_UNCERTAIN {
            return None;
        }
        let awaited = Self::of(session, others.title_of(session), survey, others);
        let long = if awaited == Self::FirstInput { LONG_WITHOUT_INPUT } else { LONG_UNCERTAIN };
        (waiting >= long).then_some((waiting, awaited))
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstInput => f.write_str("Codex begins its rollout with the first input: type something into it"),
            Self::HomeUnknown => f.write_str(
                "the folder of Codex's files is not known: name it as CODEX_HOME (caller.codex_home of a request), or \
                 give the rollout with --codex-session FILE",
            ),
            Self::Uncertain(home) => write!(
                f,
                "Codex's shared daemon in {} serves this terminal, and which of its threads is shown here is not \
                 certain: type something into it, or give the rollout with --codex-session FILE",
                shown(home)
            ),
        }
    }
}
