//! `install-skills`: the bundled skills into Codex's folder of skills.

use crate::error::CommandError;
use crate::screen::Form;
use crate::skills::{Action, SKILLS, Skill, SkillError, Step};
use crate::ui::Ui;
use crate::values::codex_home;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use conveyor_proto::text::printable;
use serde::Serialize;

/// Install the skills for Codex: manage-codex-workers and codex-review
///
/// A file that was changed since it was installed is not overwritten without --force.
#[derive(Debug, Args)]
pub(crate) struct InstallSkillsArgs {
    /// Codex's home; default: $CODEX_HOME, else ~/.codex
    #[arg(long, value_name = "DIR")]
    codex_home: Option<String>,
    /// Show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Overwrite changed files too; each is kept beside the new one as NAME.HASH.bak
    #[arg(long)]
    force: bool,
}

/// What the verb prints as JSON.
#[derive(Serialize)]
struct Installed {
    codex_home: Utf8PathBuf,
    dry_run: bool,
    skills: Vec<InstalledSkill>,
}

#[derive(Serialize)]
struct InstalledSkill {
    name: &'static str,
    source: String,
    target: Utf8PathBuf,
    files: Vec<Step>,
}

pub(crate) fn run(ui: &mut Ui, args: &InstallSkillsArgs) -> Result<(), CommandError> {
    let home = codex_home(args.codex_home.as_deref(), ui.environment())?;
    let failed = |error: SkillError| {
        CommandError::failed("skills", format!("failed to install the skills: {error}"))
            .hint("--codex-home names another home of Codex")
    };
    let mut skills = Vec::new();
    for skill in SKILLS {
        let target = home.join("skills").join(skill.name);
        let files = skill.plan(&target).map_err(failed)?;
        skills.push((skill, InstalledSkill { name: skill.name, source: source(skill), target, files }));
    }
    if !args.dry_run {
        if !args.force {
            refuse_changed(skills.iter().map(|(_, installed)| installed))?;
        }
        for (skill, installed) in &skills {
            skill.install(&installed.target, &installed.files).map_err(failed)?;
        }
    }
    let skills = skills.into_iter().map(|(_, installed)| installed).collect();
    let installed = Installed { codex_home: home, dry_run: args.dry_run, skills };
    match ui.form() {
        Form::Json => ui.json(&installed),
        Form::Scripts | Form::People => ui.text(&text(&installed)),
    }
}

/// The name under which scripts for agent-conveyor 0.1.0 know a bundled skill.
fn source(skill: &Skill) -> String {
    format!("agent-conveyor:{}", skill.name)
}

fn refuse_changed<'a>(skills: impl Iterator<Item = &'a InstalledSkill>) -> Result<(), CommandError> {
    let changed: Vec<Utf8PathBuf> = skills.flat_map(|skill| changed(&skill.target, &skill.files)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let files: Vec<&str> = changed.iter().map(|path| path.as_str()).collect();
    Err(CommandError::failed(
        "skill_changed",
        format!(
            "nothing was installed: changed since it was installed, or not from here: {}",
            printable(&files.join(", "))
        ),
    )
    .hint("--force overwrites them and keeps each beside the new one; --dry-run shows what would be done"))
}

fn changed(target: &Utf8Path, files: &[Step]) -> Vec<Utf8PathBuf> {
    files.iter().filter(|step| step.action == Action::Changed).map(|step| target.join(&step.path)).collect()
}

fn text(installed: &Installed) -> String {
    let said = if installed.dry_run { "would install" } else { "installed" };
    let mut text = format!("{said} Codex skills into {}\n", printable(installed.codex_home.as_str()));
    for skill in &installed.skills {
        text.push_str(&format!("{} -> {}\n", skill.name, printable(skill.target.as_str())));
        for path in changed(&skill.target, &skill.files).iter().filter(|_| installed.dry_run) {
            text.push_str(&format!("  changed, needs --force: {}\n", printable(path.as_str())));
        }
    }
    text
}
