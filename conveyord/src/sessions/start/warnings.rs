//! What whoever starts a session should know of how its Codex runs.

use crate::codex::{launch::Options, rules};
use camino::{Utf8Path, Utf8PathBuf};

/// One thing to know. Two sessions with the same one are warned of together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Codex may do everything and asks for nothing.
    FullAccess,
    /// Codex's commands run in a sandbox that keeps them from our socket.
    Sandboxed { sandbox: String, program: String, codex_home: Utf8PathBuf },
}

impl Warning {
    /// What to know of a session that was started with these options. Reads the rule files, so it may block.
    #[must_use]
    pub fn of(options: &Options, program: &str, codex_home: &Utf8Path) -> Vec<Self> {
        let full = options.is_unrestrained().then_some(Self::FullAccess);
        let sandboxed = options.enclosing_sandbox().filter(|_| !rules::let_out(codex_home, program));
        let sandboxed = sandboxed.map(|sandbox| Self::Sandboxed {
            sandbox: sandbox.to_owned(),
            program: program.to_owned(),
            codex_home: codex_home.to_owned(),
        });
        full.into_iter().chain(sandboxed).collect()
    }

    /// The warning in words, about these sessions.
    #[must_use]
    pub fn about(&self, sessions: &[&str]) -> String {
        let whose = sessions.join(" and ");
        match self {
            Self::FullAccess => format!(
                "Codex of {whose} has full access to this machine and asks for no approval; --sandbox, \
                 --ask-for-approval or the daemon's codex_sandbox and codex_approval restrict it"
            ),
            Self::Sandboxed { sandbox, program, codex_home } => format!(
                "commands of {whose} run in sandbox {sandbox}, where {program} does not reach its daemon unless a rule \
                 of Codex lets it, such as prefix_rule(pattern=[[\"{program}\", \"printf\"]], decision=\"allow\") in \
                 {codex_home}/rules/conveyor.rules"
            ),
        }
    }

    /// The warnings about several sessions, each once.
    #[must_use]
    pub fn about_all(sessions: &[(&str, &[Self])]) -> Vec<String> {
        let mut said: Vec<(&Self, Vec<&str>)> = Vec::new();
        for (session, warnings) in sessions {
            for warning in *warnings {
                match said.iter_mut().find(|(known, _)| *known == warning) {
                    Some((_, names)) => names.push(session),
                    None => said.push((warning, vec![session])),
                }
            }
        }
        said.into_iter().map(|(warning, names)| warning.about(&names)).collect()
    }
}
