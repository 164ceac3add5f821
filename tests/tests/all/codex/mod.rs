//! The real Codex in the offline lab, and the stand-in for it.

mod real;
mod real_approvals;
mod real_start;
mod real_threads;
mod real_typing;
mod standin;

use conveyor_tests::harness::{Program, announce, codex_versions, tried_versions};

/// The versions of Codex on this machine. Announces those that are missing.
fn present_versions() -> Vec<Program> {
    let versions = codex_versions();
    let missing = tried_versions().count() - versions.len();
    if missing > 0 {
        announce(&format!(
            "SKIPPED for {missing} of {} versions of Codex, which are not on this machine (.ci/run installs them)",
            tried_versions().count()
        ));
    }
    versions
}
