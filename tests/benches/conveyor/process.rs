//! What a process costs: processor time, memory, and bytes written to the disk. From procfs on Linux, from `ps` on macOS.

use std::time::Duration;

use nix::unistd::Pid;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// At most, ever. macOS does not tell it of other processes; there it is what is resident now.
    pub(crate) peak: u64,
}

/// # Panics
/// When the process is gone.
#[cfg(not(target_os = "macos"))]
pub(crate) fn memory(pid: Pid) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("procfs tells memory");
        let kibibytes = line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB");
        kibibytes.parse::<u64>().expect("a number of kB") * 1024
    };
    Memory { resident: field("VmRSS"), peak: field("VmHWM") }
}

/// Processor time of all threads of a process, in user code and in the kernel.
///
/// # Panics
/// When the process is gone.
#[cfg(not(target_os = "macos"))]
pub(crate) fn processor_time(pid: Pid) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name in brackets may hold anything.
    let (_, fields) = stat.rsplit_once(") ").expect("procfs tells times");
    let mut fields = fields.split(' ').skip(11).map(|field| field.parse::<u64>().expect("ticks"));
    let ticks = fields.next().unwrap_or_default() + fields.next().unwrap_or_default();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    #[expect(clippy::cast_precision_loss, reason = "ticks of a bench are far below 2^52")]
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

#[cfg(target_os = "macos")]
fn ps(pid: Pid, field: &str) -> String {
    let output = std::process::Command::new("/bin/ps")
        .args(["-o", &format!("{field}="), "-p", &pid.to_string()])
        .output()
        .expect("ps runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// # Panics
/// When the process is gone.
#[cfg(target_os = "macos")]
pub(crate) fn memory(pid: Pid) -> Memory {
    let resident = ps(pid, "rss").parse::<u64>().expect("ps tells kB") * 1024;
    Memory { resident, peak: resident }
}

/// Processor time of all threads of a process, in user code and in the kernel.
///
/// # Panics
/// When the process is gone.
#[cfg(target_os = "macos")]
pub(crate) fn processor_time(pid: Pid) -> Duration {
    // Minutes and seconds, as in 1:02.34, with hours before them after the first.
    let seconds = ps(pid, "time")
        .split(':')
        .fold(0.0, |total, part| total * 60.0 + part.parse::<f64>().expect("ps tells a time"));
    Duration::from_secs_f64(seconds)
}

/// Bytes that a process has had written to the disk. `None` where the system does not tell.
#[cfg(not(target_os = "macos"))]
pub(crate) fn written(pid: Pid) -> Option<u64> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    told.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Bytes that a process has had written to the disk. `None` where the system does not tell.
#[cfg(target_os = "macos")]
pub(crate) fn written(_pid: Pid) -> Option<u64> {
    None
}
