//! What the figures were measured on.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use crate::report::{Times, digits};

/// The machine, its load, the time, and what one flush to its disk takes: most works that a person or an agent
/// decided wait for one or more of those.
pub(crate) fn describe() -> String {
    let uname = output("uname", &["-srm"]);
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let date = output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
    let load = output("uptime", &[]);
    let load = load.rsplit_once("load average").map_or("", |(_, load)| load);
    let load = load.trim_start_matches(['s', ':', ' ']);
    format!(
        "{}, {threads} cores, {uname}\n{date}, load {load}, flush of 4 KiB to the disk: {}",
        processor(),
        flush()
    )
}

fn processor() -> String {
    if cfg!(target_os = "macos") {
        return output("sysctl", &["-n", "machdep.cpu.brand_string"]);
    }
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find_map(|line| line.strip_prefix("model name"));
    model
        .map_or_else(|| "unknown processor".to_owned(), |name| name.trim_matches([':', '\t', ' ']).to_owned())
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Appends and flushes as the daemon's log of transactions does.
fn flush() -> String {
    let folder = tempfile::Builder::new().prefix("cv-").tempdir_in("/tmp").expect("/tmp is writable");
    let mut file = File::create(folder.path().join("flushed")).expect("the folder is writable");
    let times = Times::of(100, || {
        let begun = Instant::now();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).expect("the file is writable");
        begun.elapsed()
    });
    format!("median {} ms, p99 {}", digits(times.median()), digits(times.percentile(99)))
}
