//! `worker.start`: starts a plain Codex in tmux. The session registers itself as a worker later.

use super::{
    Workers, attach,
    launch::{Launch, taken},
};
use crate::{
    clock,
    codex::{
        launch::PromptFile,
        prompts::findable,
        worker_prompts::{self, Steps},
    },
    error::{Error, Result},
    refusal::Kind,
};
use conveyor_proto::types::create::{StartParams, StartResult};

impl Workers {
    /// Answers `worker.start`. Writes no rows, since nobody is registered yet.
    ///
    /// # Errors
    /// `codex_missing`, `invalid_name`, `cwd_missing`, `tmux_session_exists`, `prompt_not_written`.
    pub async fn start(&self, params: StartParams) -> Result<StartResult> {
        let StartParams { session, cwd, start_prompt, codex_args, caller } = params;
        let _lock = self.locks.of(&session).await;
        let prepared = self.prepare(&session, &session, cwd.as_deref(), &caller).await?;
        if prepared.taken.is_some() {
            return Err(taken(&session));
        }
        let program = caller.program.as_deref().unwrap_or("conveyorctl");
        let steps = steps(program, &session, prepared.cwd.as_str(), &codex_args);
        let prompt = if start_prompt {
            let text = findable(worker_prompts::start(program, &session, &prepared.cwd, &steps), &caller);
            let unwritten = |error: std::io::Error| {
                let message = format!("the first prompt could not be written below {}: {error}", self.root);
                Error::unavailable(Kind::PromptNotWritten, message).hint("see how full the disk is")
            };
            Some(PromptFile::write(&text, &self.root, &session).map_err(unwritten)?)
        } else {
            None
        };
        let launch = Launch { extra: &codex_args, prompt: prompt.as_ref() };
        let mark = clock::new_id("start");
        let started = self.launch(&prepared, &session, &mark, launch, &caller).await?;
        prepared.tmux.close_with_program(started.pane_id).await?;
        Ok(StartResult {
            attach_command: attach::by_hand(prepared.tmux.server().socket().as_str(), &session, &caller),
            register_worker_command_template: steps.register,
            start_manager_command_template: steps.manager,
            bind_command_template: steps.bind,
            manager_config_questions_command_template: steps.questions,
            start_prompt_path: prompt.map(|prompt| prompt.path().to_string()),
            start_prompt_sent: start_prompt,
            cwd: prepared.cwd.to_string(),
            session,
        })
    }
}

fn steps(program: &str, session: &str, cwd: &str, codex_args: &[String]) -> Steps {
    let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    let cwd = quoted(cwd);
    let arguments: String = codex_args.iter().map(|argument| format!(" {}", quoted(argument))).collect();
    let arguments = if arguments.is_empty() { String::new() } else { format!(" --{arguments}") };
    Steps {
        register: format!(
            "{program} register-worker --name <worker> --pid <pid> --codex-session <rollout.jsonl> --cwd {cwd} \
             --tmux-session {session}"
        ),
        manager: format!("{program} start-manager --name <manager> --cwd {cwd}{arguments}"),
        bind: format!("{program} bind --task <task> --worker <worker> --manager <manager>"),
        questions: format!("{program} manager-config <task> --questions"),
    }
}
