//! The Codex home that a running Codex uses, told by the process itself.
//!
//! A caller need not say it: a script that registers a pane knows a process id, and its own environment may be another.

use super::rollout::discovery::{LOCK_FOLDER, ROLLOUT_FOLDERS};
use crate::platform::{self, Pid};
use camino::{Utf8Path, Utf8PathBuf};

/// The name of the folder in a user's home that Codex uses when `CODEX_HOME` is not set.
const DEFAULT_FOLDER: &str = ".codex";

/// The home that a Codex which runs as `pid`, or below it, was started with. `None` when no Codex runs there, or when
/// the system tells neither the environment of the process nor its open files. Blocks.
#[must_use]
pub fn of_process(pid: Pid) -> Option<Utf8PathBuf> {
    let below = platform::descendants(pid).unwrap_or_default();
    std::iter::once(pid).chain(below).filter(|pid| is_codex(*pid)).find_map(of_codex)
}

/// Whether a process runs a program that is named as Codex's are.
#[must_use]
pub fn is_codex(pid: Pid) -> bool {
    platform::program_name(pid).is_some_and(|name| name.starts_with("codex"))
}

fn of_codex(pid: Pid) -> Option<Utf8PathBuf> {
    let variable = |name| platform::environment(pid, name).map(Utf8PathBuf::from);
    // A value that is no folder was cut (see `platform::environment`), or is relative to where Codex started.
    let folder = |path: Utf8PathBuf| (path.is_absolute() && path.is_dir()).then_some(path);
    let named = variable("CODEX_HOME").or_else(|| Some(variable("HOME")?.join(DEFAULT_FOLDER)));
    // The databases may be kept in another folder (`sqlite_home`), so files tell less than the environment.
    named.and_then(folder).or_else(|| by_open_files(pid))
}

/// The home whose locks, rollouts or databases a process holds open.
fn by_open_files(pid: Pid) -> Option<Utf8PathBuf> {
    let files = platform::open_files(pid).ok()?.into_iter();
    let paths = files.filter_map(|file| Utf8PathBuf::from_path_buf(file.path).ok());
    paths.filter_map(|path| of_file(&path).map(Utf8Path::to_owned)).next()
}

/// The Codex home that a file stands in, by the file's name and folder. The numbers in the names of Codex's databases
/// change with its versions.
fn of_file(path: &Utf8Path) -> Option<&Utf8Path> {
    let name = path.file_name()?;
    if name.starts_with("state_") && name.ends_with(".sqlite") {
        return path.parent();
    }
    let is_home_folder = |folder: &&Utf8Path| {
        let name = folder.file_name();
        name == Some(LOCK_FOLDER) && path.extension() == Some("lock")
            || ROLLOUT_FOLDERS.iter().any(|of| name == Some(of)) && path.extension() == Some("jsonl")
    };
    path.ancestors().skip(1).find(is_home_folder)?.parent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_told_by_the_files_in_it() {
        let of = |path| of_file(Utf8Path::new(path)).map(Utf8Path::as_str);
        assert_eq!(of("/h/.codex/state_5.sqlite"), Some("/h/.codex"));
        assert_eq!(of("/h/my codex/thread-writer-locks/01a1.lock"), Some("/h/my codex"));
        assert_eq!(of("/h/c/sessions/2026/11/30/rollout-x.jsonl"), Some("/h/c"));
        assert_eq!(of("/h/c/archived_sessions/rollout-x.jsonl"), Some("/h/c"));
        for other in
            ["/h/.codex/state_5.sqlite-wal", "/h/sessions/notes.txt", "/h/thread-writer-locks/x", "/dev/null"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
