//! `uninstall-skills`: what `install-skills` put into Codex's folder of skills, out again.

use crate::error::CommandError;
use crate::screen::Form;
use crate::skills::{Action, Changed, SKILLS, SkillError, Step};
use crate::ui::Ui;
use crate::values::codex_home;
use camino::Utf8PathBuf;
use clap::Args;
use conveyor_proto::text::printable;
use serde::Serialize;

/// Remove the skills that `install-skills` put there
///
/// Files that were changed since, and files that came from elsewhere, stay.
#[derive(Debug, Args)]
pub(crate) struct UninstallSkillsArgs {
    /// Codex's home; default: $CODEX_HOME, else ~/.codex
    #[arg(long, value_name = "DIR")]
    codex_home: Option<String>,
    /// Show what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Remove changed files too
    #[arg(long)]
    force: bool,
}

/// What the verb prints as JSON.
#[derive(Serialize)]
struct Removed {
    codex_home: Utf8PathBuf,
    dry_run: bool,
    skills: Vec<RemovedSkill>,
}

#[derive(Serialize)]
struct RemovedSkill {
    name: &'static str,
    target: Utf8PathBuf,
    /// The files that are there. Those that are not removed have the action `changed`.
    files: Vec<Step>,
}

pub(crate) fn run(ui: &mut Ui, args: &UninstallSkillsArgs) -> Result<(), CommandError> {
    let home = codex_home(args.codex_home.as_deref(), ui.environment())?;
    let failed = |error: SkillError| {
        CommandError::failed("skills", format!("failed to remove the skills: {error}"))
            .hint("--codex-home names another home of Codex")
    };
    let changed = if args.force { Changed::Removed } else { Changed::Kept };
    let mut skills = Vec::new();
    for skill in SKILLS {
        let target = home.join("skills").join(skill.name);
        let mut files = skill.removal(&target).map_err(failed)?;
        if !args.dry_run {
            skill.remove(&target, &files, changed).map_err(failed)?;
        }
        if changed == Changed::Removed {
            files.iter_mut().for_each(|step| step.action = Action::Remove);
        }
        skills.push(RemovedSkill { name: skill.name, target, files });
    }
    let removed = Removed { codex_home: home, dry_run: args.dry_run, skills };
    match ui.form() {
        Form::Json => ui.json(&removed),
        Form::Scripts | Form::People => ui.text(&text(&removed)),
    }
}

fn text(removed: &Removed) -> String {
    let said = if removed.dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    for skill in &removed.skills {
        let target = printable(skill.target.as_str());
        if skill.files.iter().any(|step| step.action == Action::Remove) {
            text.push_str(&format!("{said} {} from {target}\n", skill.name));
        }
        for step in skill.files.iter().filter(|step| step.action == Action::Changed) {
            text.push_str(&format!("kept, since it was changed: {target}/{}\n", printable(&step.path)));
        }
    }
    if text.is_empty() {
        text = format!("no skills of ours are in {}\n", printable(removed.codex_home.as_str()));
    }
    text
}
