//! The real Codex in the offline lab, and the stand-in for it.

mod real;
mod real_approvals;
mod real_start;
mod real_threads;
mod real_typing;
mod standin;

use conveyor_tests::harness::{Program, codex_versions, is_installed, skipped, tried_versions};

/// The versions of Codex on this machine. Notes those that are missing.
fn present_versions() -> Vec<Program> {
    let versions = codex_versions();
    let present = |wanted: &&str| {
        versions.iter().any(|found| matches!(found, Program::Codex { version, .. } if version == wanted))
    };
    let missing: Vec<&str> = tried_versions().filter(|version| !present(version)).collect();
    if !missing.is_empty() {
        skipped(&format!("with the real Codex {}", missing.join(", ")), why_missing());
    }
    versions
}

fn why_missing() -> &'static str {
    if !is_installed("python3") {
        "python3 is not installed"
    } else if !is_installed("npm") {
        "npm is not installed"
    } else {
        "tests/lab/install-codex VERSION target/codex/VERSION installs it"
    }
}
