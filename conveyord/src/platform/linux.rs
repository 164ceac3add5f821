//! Linux: procfs (proc(5)) and pidfd.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use nix::errno::Errno;
use nix::unistd::{SysconfVar, Uid, sysconf};
use rustix::process::{PidfdFlags, pidfd_open};

use super::{OpenFile, Pid, Process, ProcessStart};
use crate::clock;

/// How the kernel marks the path of an open file that was deleted.
const DELETED: &[u8] = b" (deleted)";

pub(super) fn process(pid: Pid) -> io::Result<Process> {
    let stat = fs::read(proc_path(pid, "stat"))?;
    // The folder of a process belongs to its effective user, also where its files belong to root because the process
    // may not be dumped (proc_pid(5)). The kernel writes a whole page of memory figures to tell the same in `status`.
    let user = Uid::from_raw(fs::metadata(format!("/proc/{pid}"))?.uid());
    parse(&stat, user).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected text in procfs"))
}

/// The children of a process, as the kernel keeps them for each of its threads. A process that has ended has none.
///
/// # Errors
/// `Unsupported` if the kernel was built without `CONFIG_PROC_CHILDREN` (proc_pid_task(5)).
pub(super) fn children(pid: Pid) -> io::Result<Vec<Pid>> {
    let threads = match fs::read_dir(proc_path(pid, "task")) {
        Ok(threads) => threads,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut children = Vec::new();
    for thread in threads {
        let thread = match thread {
            Ok(thread) => thread.path(),
            Err(error) if is_gone(&error) => break,
            Err(error) => return Err(error),
        };
        match fs::read_to_string(thread.join("children")) {
            Ok(line) => children.extend(line.split_ascii_whitespace().filter_map(number)),
            // The thread has ended: its children are listed for another thread of the process.
            Err(error) if is_gone(&error) && tells_children() => {}
            Err(error) if is_gone(&error) => return Err(io::ErrorKind::Unsupported.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

fn number(word: &str) -> Option<Pid> {
    Pid::try_from(word.parse::<i64>().ok()?).ok()
}

/// Whether the kernel tells the children of a thread at all.
fn tells_children() -> bool {
    static TELLS: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/thread-self/children").exists());
    *TELLS
}

/// Whether a process or thread ended before or while something was read of it.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

/// The kernel gives the start in ticks since the boot, but the time of the boot only in whole seconds. So the
/// result is computed from the time that has passed since the start.
pub(super) fn wall_clock(start: ProcessStart) -> Option<Timestamp> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let up: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let ticks_per_second = i32::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let started = f64::from(u32::try_from(start.0).ok()?) / f64::from(ticks_per_second);
    let ago = SignedDuration::try_from_secs_f64(up - started).ok()?;
    clock::timestamp().checked_sub(ago).ok()
}

/// A descriptor that becomes readable when the process has ended (pidfd_open(2)).
pub(super) fn exit_event(pid: Pid) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

pub(super) fn pids() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        pids.extend(name.to_str().and_then(number));
    }
    Ok(pids)
}

pub(super) fn program_name(pid: Pid) -> Option<String> {
    Some(fs::read_to_string(proc_path(pid, "comm")).ok()?.trim_end().to_owned())
}

pub(super) fn executable(pid: Pid) -> Option<PathBuf> {
    let path = fs::read_link(proc_path(pid, "exe")).ok()?;
    // An update replaces the file of a program that runs on.
    match path.as_os_str().as_encoded_bytes().strip_suffix(DELETED) {
        Some(before) if is_deleted(&path) => Some(PathBuf::from(OsStr::from_bytes(before))),
        _ => Some(path),
    }
}

pub(super) fn arguments(pid: Pid) -> Option<Vec<String>> {
    // A process that has ended and was not waited for has none.
    let line = fs::read(proc_path(pid, "cmdline")).ok().filter(|line| !line.is_empty())?;
    let arguments = line.strip_suffix(b"\0").unwrap_or(&line).split(|byte| *byte == 0);
    Some(arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect())
}

pub(super) fn environment(pid: Pid, name: &str) -> Option<String> {
    let variables = fs::read(proc_path(pid, "environ")).ok()?;
    let value =
        |variable: &[u8]| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    variables.split(|byte| *byte == 0).find_map(value).and_then(|value| String::from_utf8(value).ok())
}

pub(super) fn working_folder(pid: Pid) -> Option<PathBuf> {
    fs::read_link(proc_path(pid, "cwd")).ok()
}

pub(super) fn open_files(pid: Pid) -> io::Result<Vec<OpenFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(proc_path(pid, "fd"))? {
        let entry = entry?;
        let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // A descriptor may be closed after it was listed.
        if let (Some(fd), Ok(path)) = (fd, fs::read_link(entry.path()))
            && path.is_absolute()
            && !is_deleted(&path)
        {
            files.push(OpenFile { fd, path });
        }
    }
    Ok(files)
}

fn proc_path(pid: Pid, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

fn is_deleted(path: &Path) -> bool {
    // A real name may end like the mark.
    path.as_os_str().as_encoded_bytes().ends_with(DELETED) && !path.exists()
}

/// Parses `/proc/PID/stat`.
fn parse(stat: &[u8], user: Uid) -> Option<Process> {
    // The second field is the name of the command in parentheses and may contain anything, so the fields are
    // counted after it.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent: i64 = fields.next()?.parse().ok()?;
    let group: i64 = fields.next()?.parse().ok()?;
    // `tpgid` is field 8, counted from 1. The field before was 5.
    let foreground: i64 = fields.nth(8 - 6)?.parse().ok()?;
    // `starttime` is field 22.
    let start = fields.nth(22 - 9)?.parse().ok()?;
    Some(Process {
        parent: Pid::try_from(parent).ok(),
        group: Pid::try_from(group).ok(),
        // -1 without a terminal.
        foreground: Pid::try_from(foreground).ok(),
        start: ProcessStart(start),
        user,
        is_zombie: matches!(state, "Z" | "X" | "x"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_hold_anything() {
        let stat = b"42 (a) b\xff (c)) S 7 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 12345 1000 10 1844\n";
        let user = Uid::from_raw(1001);
        let process = parse(stat, user).unwrap();
        assert_eq!(process.parent.map(Pid::as_raw), Some(7));
        assert_eq!(process.start, ProcessStart(12345));
        assert_eq!(process.user, user);
        assert!(!process.is_zombie);
        assert!(parse(b"42 (x) Z", user).is_none());
    }
}
