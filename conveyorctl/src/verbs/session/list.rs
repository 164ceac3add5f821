//! `sessions`: list registered sessions.

use crate::error::CommandError;
use crate::helper::Helper;
use crate::page::{Line, Page, faint, left, right, row, spans, state, whole};
use crate::ui::Ui;
use crate::values::word;
use clap::Args;
use conveyor_proto::registry::SessionList;
use conveyor_proto::types::common::{self, Role};
use conveyor_proto::types::session::{ListParams, RolloutState, SessionRow, StateFilter};

/// List registered sessions
#[derive(Debug, Args)]
pub(crate) struct SessionsArgs {
    /// Only this role
    #[arg(long, value_name = "ROLE", value_parser = word::<Role>(&["worker", "manager"]))]
    role: Option<Role>,
    /// Only this state [default: active ones]
    #[arg(long, value_name = "STATE", value_parser = word::<StateFilter>(&["active", "gone", "all"]))]
    state: Option<StateFilter>,
    /// Also sessions without a process
    #[arg(long)]
    include_legacy: bool,
    /// Only the session of this name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,
    /// Hide identity tokens, which is the default
    #[arg(long, conflicts_with = "show_identity_token")]
    redact_identity_token: bool,
    /// Show identity tokens
    #[arg(long)]
    show_identity_token: bool,
}

pub(crate) async fn run(ui: &mut Ui, helper: &Helper, args: &SessionsArgs) -> Result<(), CommandError> {
    let params = ListParams {
        role: args.role,
        state: args.state,
        include_legacy: args.include_legacy,
        names: args.name.clone(),
        show_identity_token: args.show_identity_token,
        caller: helper.caller(),
        page: common::Page::default(),
    };
    let sessions = helper.call_json::<SessionList>(ui, &params).await?;
    ui.answer(&sessions, |sessions: &Vec<SessionRow>, page| table(sessions, page))
}

fn table(sessions: &[SessionRow], page: &mut Page) {
    let seen = |session: &SessionRow| session.last_heartbeat_at.as_deref().map(|at| page.age(at));
    let rows: Vec<_> = sessions
        .iter()
        .map(|session| {
            let pane =
                session.tmux_session.as_deref().map_or_else(|| faint("none, polls").into(), Line::from);
            row![
                &session.name,
                session.role.as_str(),
                standing(session),
                seen(session),
                pane,
                session.codex_session_id.as_deref(),
                &session.cwd,
            ]
        })
        .collect();
    let columns = [
        whole("NAME"),
        left("ROLE"),
        left("STATE"),
        right("SEEN"),
        left("TMUX"),
        left("THREAD"),
        left("FOLDER"),
    ];
    page.table(columns, rows, "no sessions: `pair`, `start-worker` or `register-worker` makes one");
    // Nobody asks for a token to have it cut.
    for session in sessions.iter().filter(|session| session.identity_token != REDACTED) {
        page.fact(&session.name, &session.identity_token);
    }
}

/// What a listing has in the place of a token.
const REDACTED: &str = "[REDACTED]";

fn standing(session: &SessionRow) -> Line {
    let standing = Line::from(state(session.state.as_str()));
    match (&session.gone_reason, session.rollout_state) {
        (Some(reason), _) => spans![standing, faint(format!(" ({reason})"))],
        (None, RolloutState::Pending) => spans![standing, faint(" (no rollout yet)")],
        (None, RolloutState::Ready) => standing,
    }
}
