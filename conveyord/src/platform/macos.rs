//! macOS: libproc and kqueue.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use libproc::bsd_info::BSDInfo;
use libproc::file_info::{ListFDs, PIDFDInfo, PIDFDInfoFlavor, ProcFDType, pidfdinfo};
use libproc::proc_pid::{PIDInfo, PidInfoFlavor, listpidinfo, pidinfo};
use libproc::processes::{ProcFilter, pids_by_type};
use nix::errno::Errno;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use nix::unistd::Uid;

use super::{OpenFile, Pid, Process, ProcessStart};

/// `SZOMB` of `sys/proc.h`.
const ZOMBIE: u32 = 5;

/// The argument by which the kernel also answers for a process that has ended but was not waited for.
const WITH_ZOMBIES: u64 = 1;

/// `MAXPATHLEN` of `sys/param.h`.
const MAX_PATH: usize = 1024;

/// `vnode_fdinfowithpath` of `sys/proc_info.h`, which the libproc crate does not have: 176 bytes about the
/// descriptor and the file, which nothing here reads, then the path with a zero at its end.
#[repr(C)]
struct VnodePathInfo {
    head: [u64; 22],
    path: [u8; MAX_PATH],
}

const _: () = assert!(size_of::<VnodePathInfo>() == 1200, "the kernel writes 1200 bytes");

impl Default for VnodePathInfo {
    fn default() -> Self {
        Self { head: [0; 22], path: [0; MAX_PATH] }
    }
}

impl PIDFDInfo for VnodePathInfo {
    fn flavor() -> PIDFDInfoFlavor {
        PIDFDInfoFlavor::VNodePathInfo
    }
}

/// `proc_vnodepathinfo` of `sys/proc_info.h`, which the libproc crate does not have: the working folder and the
/// root folder of a process. Each has 152 bytes about the file, which nothing here reads, then the path.
#[repr(C)]
struct FoldersInfo {
    about_folder: [u64; 19],
    folder: [u8; MAX_PATH],
    about_root: [u64; 19],
    root: [u8; MAX_PATH],
}

const _: () = assert!(size_of::<FoldersInfo>() == 2352, "the kernel writes 2352 bytes");

impl PIDInfo for FoldersInfo {
    fn flavor() -> PidInfoFlavor {
        PidInfoFlavor::VNodePathInfo
    }
}

pub(super) fn process(pid: Pid) -> io::Result<Process> {
    let info = bsd_info(pid)?;
    Ok(Process {
        parent: Pid::try_from(i64::from(info.pbi_ppid)).ok(),
        group: Pid::try_from(i64::from(info.pbi_pgid)).ok(),
        foreground: Pid::try_from(i64::from(info.e_tpgid)).ok(),
        start: ProcessStart(
            info.pbi_start_tvsec.saturating_mul(1_000_000).saturating_add(info.pbi_start_tvusec),
        ),
        user: Uid::from_raw(info.pbi_uid),
        is_zombie: info.pbi_status == ZOMBIE,
    })
}

/// The start of a process is in microseconds of the wall clock.
pub(super) fn wall_clock(start: ProcessStart) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(start.0).ok()?).ok()
}

/// A descriptor that becomes readable when the process has ended: a kqueue with this single event.
pub(super) fn exit_event(pid: Pid) -> io::Result<OwnedFd> {
    let ident = usize::try_from(pid.as_raw()).map_err(io::Error::other)?;
    let (filter, flags) = (EventFilter::EVFILT_PROC, EvFlags::EV_ADD);
    let exit = KEvent::new(ident, filter, flags, FilterFlag::NOTE_EXIT, 0, 0);
    let queue = Kqueue::new()?;
    // Without room for events, this call only registers the event and does not wait.
    queue.kevent(&[exit], &mut [], None)?;
    Ok(queue.into())
}

pub(super) fn pids() -> io::Result<Vec<Pid>> {
    let pids = pids_by_type(ProcFilter::All)?;
    Ok(pids.into_iter().filter_map(|pid| Pid::try_from(i64::from(pid)).ok()).collect())
}

/// The children of a process, chosen by the kernel: what `proc_listchildpids` of libproc asks it. A process that has
/// ended has none.
pub(super) fn children(pid: Pid) -> io::Result<Vec<Pid>> {
    let ppid = u32::try_from(pid.as_raw()).map_err(io::Error::other)?;
    // The libproc crate takes an empty list for an error if an earlier call of this thread has left one.
    Errno::clear();
    let pids = pids_by_type(ProcFilter::ByParentProcess { ppid })?;
    Ok(pids.into_iter().filter_map(|pid| Pid::try_from(i64::from(pid)).ok()).collect())
}

pub(super) fn program_name(pid: Pid) -> Option<String> {
    libproc::proc_pid::name(pid.as_raw()).ok()
}

pub(super) fn executable(pid: Pid) -> Option<PathBuf> {
    libproc::proc_pid::pidpath(pid.as_raw()).ok().map(PathBuf::from)
}

/// The kernel tells arguments by sysctl(3) only, which needs unsafe code. ps(1) prints them with blanks between
/// them, so an argument that contains a blank comes in parts.
pub(super) fn arguments(pid: Pid) -> Option<Vec<String>> {
    let arguments: Vec<String> = ps(pid, "-ww")?.split_whitespace().map(str::to_owned).collect();
    (!arguments.is_empty()).then_some(arguments)
}

/// ps(1) prints the environment after the arguments, so a value that contains a blank is cut there.
pub(super) fn environment(pid: Pid, name: &str) -> Option<String> {
    let printed = ps(pid, "-Eww")?;
    printed.split_whitespace().find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "a look at a process, which blocks as all of them do")]
fn ps(pid: Pid, style: &str) -> Option<String> {
    let pid = pid.to_string();
    let ps = std::process::Command::new("/bin/ps").args([style, "-o", "args=", "-p", &pid]).output().ok()?;
    Some(String::from_utf8_lossy(&ps.stdout).into_owned())
}

pub(super) fn working_folder(pid: Pid) -> Option<PathBuf> {
    let info = pidinfo::<FoldersInfo>(pid.as_raw(), 0).ok()?;
    let bytes = info.folder.split(|byte| *byte == 0).next().filter(|bytes| !bytes.is_empty())?;
    Some(Path::new(OsStr::from_bytes(bytes)).to_path_buf())
}

pub(super) fn open_files(pid: Pid) -> io::Result<Vec<OpenFile>> {
    let info = bsd_info(pid)?;
    // The libproc crate refuses an empty list, and a process that is ending has no descriptors.
    if info.pbi_nfiles == 0 {
        return Ok(Vec::new());
    }
    let capacity = usize::try_from(info.pbi_nfiles).map_err(io::Error::other)?;
    let descriptors = listpidinfo::<ListFDs>(pid.as_raw(), capacity).map_err(io::Error::other)?;
    let mut files = Vec::new();
    for descriptor in descriptors {
        if !matches!(ProcFDType::from(descriptor.proc_fdtype), ProcFDType::VNode) {
            continue;
        }
        // A descriptor may be closed after it was listed.
        if let Ok(info) = pidfdinfo::<VnodePathInfo>(pid.as_raw(), descriptor.proc_fd) {
            let path = path_of(&info);
            // A deleted file keeps its last path here.
            if path.is_absolute() && path.exists() {
                files.push(OpenFile { fd: descriptor.proc_fd, path });
            }
        }
    }
    Ok(files)
}

fn path_of(info: &VnodePathInfo) -> PathBuf {
    let bytes = info.path.split(|byte| *byte == 0).next().unwrap_or_default();
    Path::new(OsStr::from_bytes(bytes)).to_path_buf()
}

fn bsd_info(pid: Pid) -> io::Result<BSDInfo> {
    // The libproc crate returns errors only as text. This call fails with "no such process" or "not
    // permitted", and kill(2) with signal 0 tells which of them it was.
    pidinfo::<BSDInfo>(pid.as_raw(), WITH_ZOMBIES).map_err(|message| {
        let kind = match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), None) {
            Err(Errno::ESRCH) => io::ErrorKind::NotFound,
            Err(Errno::EPERM) => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, message)
    })
}
