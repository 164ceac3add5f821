//! `discover`: the tasks, sessions, bindings and telemetry that match a text, and the next steps that they
//! suggest.
//!
//! Nothing is written here but the full-text index, which a search completes. A suggestion is something that `bind`
//! would accept at this moment.

use crate::{
    error::{Error, Result},
    refusal::Kind,
    sessions::{registration, state},
    store::{
        Store, bindings,
        finding::{self, Rank},
        sessions::Session,
        tasks::{self, Scope},
    },
    words::program,
};
use conveyor_proto::ids::ThreadId;
use conveyor_proto::types::{
    common::{Caller, Role},
    discover::{BindingMatch, DiscoverParams, DiscoverResult, Suggestion},
    session::SessionRow,
    task::TaskRow,
};
use rusqlite::Connection;

/// The largest number of entries in a section.
const MOST: i64 = 1000;

/// Answers `discover.run`.
///
/// # Errors
/// `invalid_limit`.
pub async fn discover(store: &Store, params: DiscoverParams) -> Result<DiscoverResult> {
    let limit = usize::try_from(params.limit).ok().filter(|_| (1..=MOST).contains(&params.limit));
    let Some(limit) = limit else {
        let message = format!("the limit is {}: it must be between 1 and {MOST}", params.limit);
        return Err(Error::invalid(Kind::InvalidLimit, message));
    };
    if !Query::new(&params.query).is_empty() {
        // Where nothing can be written, what the index has is searched.
        if let Err(error) = store.complete_search().await {
            tracing::warn!(%error, "the full-text index could not be completed for a search");
        }
    }
    store.read(move |connection| look(connection, &params, limit)).await
}

fn look(connection: &Connection, params: &DiscoverParams, limit: usize) -> Result<DiscoverResult> {
    let query = Query::new(&params.query);
    let scope = Scope::current_if(!params.all);
    let tasks = finding::tasks(connection, scope, limit, |task| query.task(task))?;
    let found = finding::sessions(connection, scope, limit, |session| query.session(session))?;
    let mut sessions = Vec::new();
    for (_, session) in &found {
        sessions.push(row(connection, session, params)?);
    }
    let matched = !tasks.is_empty() || !sessions.is_empty();
    let telemetry =
        if query.is_empty() { Vec::new() } else { finding::telemetry(connection, query.text, limit)? };
    Ok(DiscoverResult {
        tasks: tasks.into_iter().map(|(_, task)| task).collect(),
        sessions,
        bindings: finding::bindings(connection, limit, |binding| query.binding(binding))?
            .into_iter()
            .map(|(_, binding)| binding)
            .collect(),
        telemetry,
        suggestions: suggestions(connection, &query, &params.caller, limit, matched)?,
        query: query.text.to_owned(),
    })
}

fn row(connection: &Connection, session: &Session, params: &DiscoverParams) -> Result<SessionRow> {
    let binding = bindings::open_of_session(connection, &session.id)?;
    let task = binding.as_ref().map(|binding| binding.task_id.as_str());
    let communication = registration::communication(session, task, params.caller.program.as_deref());
    Ok(registration::row(
        session.clone(),
        communication,
        registration::Token::asked(params.show_identity_token),
    ))
}

/// The text to look for.
struct Query<'a> {
    text: &'a str,
    lower: String,
}

impl<'a> Query<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.trim();
        Self { text, lower: text.to_lowercase() }
    }

    const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Ranks how well names and other texts match. `None` if nothing matches.
    fn rank<'t>(
        &self,
        names: impl IntoIterator<Item = Option<&'t str>>,
        texts: impl IntoIterator<Item = Option<&'t str>>,
    ) -> Option<Rank> {
        if self.is_empty() {
            return Some(Rank::Exact);
        }
        let names = names.into_iter().flatten().map(|name| (true, name));
        let texts = texts.into_iter().flatten().map(|text| (false, text));
        names.chain(texts).filter_map(|(is_name, text)| self.rank_of(is_name, &text.to_lowercase())).min()
    }

    fn rank_of(&self, is_name: bool, text: &str) -> Option<Rank> {
        let query = self.lower.as_str();
        let mut places = text.match_indices(query).map(|(place, _)| place).peekable();
        match places.peek()? {
            0 if is_name && text.len() == query.len() => Some(Rank::Exact),
            0 if is_name => Some(Rank::Prefix),
            _ => {
                let begins_word =
                    |place: usize| !text[..place].ends_with(|before: char| before.is_alphanumeric());
                Some(if places.any(begins_word) { Rank::Word } else { Rank::Substring })
            }
        }
    }

    fn task(&self, task: &TaskRow) -> Option<Rank> {
        let texts = [Some(task.goal.as_str()), task.summary.as_deref(), Some(task.state.as_str())];
        self.rank([Some(task.name.as_str())], texts)
    }

    fn session(&self, session: &Session) -> Option<Rank> {
        let names = [
            Some(session.name.as_str()),
            session.tmux_session.as_deref(),
            session.codex_session_id.as_ref().map(ThreadId::as_str),
        ];
        let texts = [Some(session.role.as_str()), Some(session.state.as_str()), Some(session.cwd.as_str())];
        self.rank(names, texts)
    }

    fn binding(&self, binding: &BindingMatch) -> Option<Rank> {
        let names = [
            Some(binding.task_name.as_str()),
            binding.worker_name.as_deref(),
            binding.manager_name.as_deref(),
        ];
        self.rank(names, [Some(binding.task_goal.as_str()), Some(binding.state.as_str())])
    }
}

/// The pairs that can be bound, the best matches first, and the roles for which no session exists.
fn suggestions(
    connection: &Connection,
    query: &Query<'_>,
    caller: &Caller,
    limit: usize,
    matched: bool,
) -> Result<Vec<Suggestion>> {
    let mut suggestions = Vec::new();
    if matched {
        let any = |rank: Option<Rank>| Some(rank.unwrap_or(Rank::None));
        let tasks = finding::unbound_tasks(connection, limit, |task| any(query.task(task)))?;
        // Each pair needs a worker and a manager.
        let most = limit.saturating_mul(2);
        let free = |role| {
            finding::unbound_sessions(connection, most, |session| {
                let is_free =
                    session.role == role && (session.pid.is_none() || state::is_owner_alive(session));
                is_free.then(|| any(query.session(session))).flatten()
            })
        };
        let mut workers = free(Role::Worker)?;
        let mut managers = free(Role::Manager)?;
        for (task_rank, task) in tasks {
            let Some((worker_rank, worker)) = first(&mut workers) else { break };
            // Among managers that match equally well, one in the worker's folder is preferred.
            managers.sort_by_key(|(rank, manager)| (*rank, manager.cwd != worker.cwd));
            let Some((manager_rank, manager)) = first(&mut managers) else { break };
            if [task_rank, worker_rank, manager_rank].iter().all(|rank| *rank == Rank::None) {
                break;
            }
            suggestions.push(bind(connection, caller, &task, &worker, &manager));
        }
    }
    for role in [Role::Worker, Role::Manager] {
        let is_there = |session: &Session| (session.role == role).then_some(Rank::None);
        if finding::sessions(connection, Scope::Current, 1, is_there)?.is_empty() {
            suggestions.push(register(role));
        }
    }
    Ok(suggestions)
}

fn first<T>(of: &mut Vec<T>) -> Option<T> {
    (!of.is_empty()).then(|| of.remove(0))
}

fn bind(
    connection: &Connection,
    caller: &Caller,
    task: &TaskRow,
    worker: &Session,
    manager: &Session,
) -> Suggestion {
    // `bind` refuses an ambiguous name, so the id is used then.
    let is_clear = tasks::resolve(connection, &task.name).is_ok_and(|found| found.id == task.id);
    let task = if is_clear { task.name.clone() } else { task.id.to_string() };
    let command = format!(
        "{} bind --task {} --worker {} --manager {}",
        program(caller),
        quoted(&task),
        quoted(&worker.name),
        quoted(&manager.name)
    );
    Suggestion::Bind { command, task, worker: worker.name.clone(), manager: manager.name.clone() }
}

/// A name as one word for a shell, always in single quotes.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\'', "'\\''"))
}

fn register(role: Role) -> Suggestion {
    let word = role.as_str();
    let prompt = format!(
        "Ask the Codex session that is to be the {word}: \"Use the manage-codex-workers skill and register \
         yourself as a {word}.\""
    );
    match role {
        Role::Worker => Suggestion::RegisterWorker { prompt },
        Role::Manager => Suggestion::RegisterManager { prompt },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, name: &str, text: &str, expect: Option<Rank>) {
        assert_eq!(
            Query::new(query).rank([Some(name)], [Some(text)]),
            expect,
            "{query:?} in {name:?}, {text:?}"
        );
    }

    #[test]
    fn a_name_comes_before_its_beginning_a_word_and_a_part() {
        check("", "n", "", Some(Rank::Exact));
        check(" Greeting ", "greeting", "", Some(Rank::Exact));
        check("gree", "Greeting", "", Some(Rank::Prefix));
        check("gree", "a", "greet", Some(Rank::Word));
        check("w2", "ap-w2", "", Some(Rank::Word));
        check("eet", "greeting", "", Some(Rank::Substring));
        check("eet", "meet-eet", "", Some(Rank::Word));
        check("GRÜ", "ein grüner", "", Some(Rank::Word));
        check("x", "greeting", "goal", None);
    }
}
