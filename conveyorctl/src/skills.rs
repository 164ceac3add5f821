//! The skills that come with the program: their files, and how they are put into a folder of skills and taken out again.
//!
//! A file that somebody changed is never overwritten or removed unasked. Beside the files of each skill lies a record of what was
//! installed, by which a changed file is told from one of an earlier version.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

/// A skill: a folder with a `SKILL.md`.
pub(crate) struct Skill {
    pub(crate) name: &'static str,
    files: &'static [File],
}

struct File {
    /// Path of the file, relative to the skill's folder.
    path: &'static str,
    content: &'static str,
    executable: bool,
}

macro_rules! file {
    ($skill:literal, $path:literal, executable: $executable:literal) => {
        File {
            path: $path,
            content: include_str!(concat!("../../skills/", $skill, "/", $path)),
            executable: $executable,
        }
    };
}

/// Every skill that comes with the program.
pub(crate) const SKILLS: &[Skill] = &[
    Skill {
        name: "manage-codex-workers",
        files: &[
            file!("manage-codex-workers", "SKILL.md", executable: false),
            file!("manage-codex-workers", "agents/openai.yaml", executable: false),
        ],
    },
    Skill {
        name: "codex-review",
        files: &[
            file!("codex-review", "SKILL.md", executable: false),
            file!("codex-review", "scripts/codex-review", executable: true),
        ],
    },
];

/// Name of the record in a skill's folder.
const RECORD: &str = ".conveyor.json";

/// What was installed: paths with the SHA-256 of their content.
#[derive(Default, Serialize, Deserialize)]
struct Record {
    files: BTreeMap<String, String>,
}

/// What installing or removing does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// The file is not there yet.
    Create,
    /// The file is of an earlier version.
    Update,
    /// The file is as it should be.
    Keep,
    /// The file is of an earlier version, and the skill has no such file any more. Or the skill is to go.
    Remove,
    /// The file was changed, or was never installed from here: it is overwritten or removed only when asked for.
    Changed,
}

/// Whether what somebody changed is removed with the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It stays.
    Kept,
    /// It goes.
    Removed,
}

/// A file and what installing or removing does to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// Path of the file, relative to the skill's folder.
    pub(crate) path: String,
    pub(crate) action: Action,
}

/// A path, and what the system said of it.
#[derive(Debug)]
pub(crate) struct SkillError {
    path: Utf8PathBuf,
    error: io::Error,
}

impl fmt::Display for SkillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.error)
    }
}

fn at(path: &Utf8Path) -> impl FnOnce(io::Error) -> SkillError + '_ {
    |error| SkillError { path: path.to_owned(), error }
}

impl Skill {
    /// What installing into `folder` does, file by file.
    ///
    /// # Errors
    /// When a file there cannot be read.
    pub(crate) fn plan(&self, folder: &Utf8Path) -> Result<Vec<Step>, SkillError> {
        let record = recorded(folder)?;
        // Writing through a link would change what the link leads to, most likely a checkout.
        let foreign = is_link(folder);
        let mut steps = Vec::new();
        for file in self.files {
            let action = match (read(&folder.join(file.path))?, record.files.get(file.path)) {
                (Some(found), _) if found == file.content.as_bytes() => Action::Keep,
                (None, _) if !foreign => Action::Create,
                (Some(found), Some(installed)) if sha256(&found) == *installed && !foreign => Action::Update,
                _ => Action::Changed,
            };
            steps.push(Step { path: file.path.to_owned(), action });
        }
        let dropped =
            record.files.iter().filter(|(path, _)| self.files.iter().all(|file| file.path != path.as_str()));
        for (path, installed) in dropped {
            if read(&folder.join(path))?.is_some_and(|found| sha256(&found) == *installed) {
                steps.push(Step { path: path.clone(), action: Action::Remove });
            }
        }
        Ok(steps)
    }

    /// Carries out a plan. A changed file is kept beside the new one, under a name with its hash; a link in the
    /// folder's place is replaced.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn install(&self, folder: &Utf8Path, plan: &[Step]) -> Result<(), SkillError> {
        if is_link(folder) {
            fs::remove_file(folder).map_err(at(folder))?;
        }
        for step in plan {
            let path = folder.join(&step.path);
            match (step.action, read(&path)?) {
                (Action::Changed, Some(found)) => {
                    let hash = sha256(&found);
                    let (short, _) = hash.split_at(8);
                    let aside = Utf8PathBuf::from(format!("{path}.{short}.bak"));
                    fs::rename(&path, &aside).map_err(at(&path))?;
                }
                (Action::Remove, _) => fs::remove_file(&path).map_err(at(&path))?,
                _ => {}
            }
        }
        for file in self.files {
            let mode = if file.executable { 0o755 } else { 0o644 };
            write(&folder.join(file.path), file.content.as_bytes(), mode)?;
        }
        let files =
            self.files.iter().map(|file| (file.path.to_owned(), sha256(file.content.as_bytes()))).collect();
        let path = folder.join(RECORD);
        let record = serde_json::to_vec_pretty(&Record { files })
            .map_err(|error| SkillError { path: path.clone(), error: error.into() })?;
        write(&path, &record, 0o644)
    }
}

impl Skill {
    /// What removing from `folder` does, file by file. What is not there needs no step.
    ///
    /// # Errors
    /// When a file there cannot be read.
    pub(crate) fn removal(&self, folder: &Utf8Path) -> Result<Vec<Step>, SkillError> {
        // What lies behind a link was not put there by us.
        if is_link(folder) {
            return Ok(Vec::new());
        }
        let record = recorded(folder)?;
        let bundled = |path: &str| self.files.iter().find(|file| file.path == path);
        let mut paths: Vec<&str> = self.files.iter().map(|file| file.path).collect();
        paths.extend(record.files.keys().map(String::as_str).filter(|path| bundled(path).is_none()));
        let mut steps = Vec::new();
        for path in paths {
            let Some(found) = read(&folder.join(path))? else { continue };
            let is_ours = record.files.get(path).is_some_and(|installed| sha256(&found) == *installed)
                || bundled(path).is_some_and(|file| file.content.as_bytes() == found);
            let action = if is_ours { Action::Remove } else { Action::Changed };
            steps.push(Step { path: path.to_owned(), action });
        }
        Ok(steps)
    }

    /// Carries out a plan of [`Skill::removal`], and removes the record and the folders that are empty then.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(crate) fn remove(
        &self,
        folder: &Utf8Path,
        plan: &[Step],
        changed: Changed,
    ) -> Result<(), SkillError> {
        if is_link(folder) {
            return Ok(());
        }
        let goes = |step: &&Step| {
            step.action == Action::Remove || changed == Changed::Removed && step.action == Action::Changed
        };
        let paths: Vec<Utf8PathBuf> = plan.iter().filter(goes).map(|step| folder.join(&step.path)).collect();
        for path in paths.iter().chain([&folder.join(RECORD)]) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(path)(error)),
                _ => {}
            }
        }
        // From the inside out. A folder that holds something else stays, and so do those above it.
        let inner = paths.iter().filter_map(|path| path.parent()).flat_map(Utf8Path::ancestors);
        let mut folders: Vec<&Utf8Path> =
            inner.filter(|inner| inner.starts_with(folder)).chain([folder]).collect();
        folders.sort_by_key(|inner| std::cmp::Reverse(inner.as_str().len()));
        for inner in folders {
            let _ = fs::remove_dir(inner);
        }
        Ok(())
    }
}

fn is_link(path: &Utf8Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn recorded(folder: &Utf8Path) -> Result<Record, SkillError> {
    let Some(text) = read(&folder.join(RECORD))? else { return Ok(Record::default()) };
    // A record that cannot be read counts as no record: every file that differs is then taken for changed.
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// The content of a file, or none when there is no such file.
fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, SkillError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Writes a file whole, or not at all.
fn write(path: &Utf8Path, content: &[u8], mode: u32) -> Result<(), SkillError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let unfinished = Utf8PathBuf::from(format!("{path}.{}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(content)?;
            // The mode that a file is created with is cut by the umask.
            file.set_permissions(fs::Permissions::from_mode(mode))
        })
        .and_then(|()| fs::rename(&unfinished, path));
    written.map_err(at(path))
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
