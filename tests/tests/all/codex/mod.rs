//! The real Codex in the offline lab, and the stand-in for it.

mod real;
mod real_approvals;
mod real_start;
mod standin;

use conveyor_tests::harness::{CODEX_VERSIONS, Program, announce, codex_versions};

/// The versions of Codex on this machine. Announces those that are missing.
fn present_versions() -> Vec<Program> {
    let versions = codex_versions();
    let missing = CODEX_VERSIONS.len() - versions.len();
    if missing > 0 {
        announce(&format!(
            "SKIPPED for {missing} of {} versions of Codex, which are not on this machine (.ci/run installs them)",
            CODEX_VERSIONS.len()
        ));
    }
    versions
}
