//! The same work by the reference, agent-conveyor 0.1.0: run by a script, its figures kept for the table.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use camino::Utf8PathBuf;
use conveyor_tests::harness::workspace_root;
use conveyor_tests::rollout::Rollout;
use serde_json::{Value, json};

use crate::inputs;
use crate::report::{Reference, print};

/// Where inputs, the reference itself and its figures are kept: beside what cargo builds.
fn folder() -> Utf8PathBuf {
    let bench =
        Utf8PathBuf::try_from(std::env::current_exe().expect("a program knows itself")).expect("UTF-8");
    bench.ancestors().nth(3).expect("benches run from target/PROFILE/deps").join("bench-reference")
}

fn results_file() -> Utf8PathBuf {
    folder().join("results.json")
}

/// The figures of the last measurement; none when there was none.
pub(crate) fn results() -> BTreeMap<String, Reference> {
    let text = fs::read_to_string(results_file()).unwrap_or_default();
    let results: Value = serde_json::from_str(&text).unwrap_or_default();
    let works = results.as_object().into_iter().flatten();
    works
        .map(|(id, result)| {
            let figure = result["figure"].as_str().unwrap_or_default().to_owned();
            (id.clone(), Reference { figure, median_ms: result["median_ms"].as_f64() })
        })
        .collect()
}

/// Writes the inputs that our own benches use, and measures the reference with them.
pub(crate) fn measure(works: &[String]) {
    let inputs = folder().join("inputs");
    // Those of an earlier run would add to these.
    let _ = fs::remove_dir_all(&inputs);
    print("writing the rollouts\n");
    let path = |rollout: Rollout| rollout.path().to_string();
    let completions =
        inputs::completions(&inputs, inputs::COMPLETING_WORKERS, inputs::COMPLETIONS).into_iter().map(path);
    let listed = json!({
        "mixed": path(inputs::mixed(&inputs, inputs::MIXED_BYTES)),
        "completions": completions.collect::<Vec<_>>(),
        "histories": inputs::HISTORIES.map(|records| path(inputs::history(&inputs, records))),
    });
    let list = inputs.join("inputs.json");
    fs::write(&list, listed.to_string()).expect("the folder is writable");
    let status = Command::new("python3")
        .arg(workspace_root().join("tests/benches/reference/measure.py"))
        .args(["--inputs", list.as_str(), "--venv", folder().join("venv").as_str()])
        .args(["--results", results_file().as_str()])
        .args(works)
        .status()
        .expect("python3 starts");
    fs::remove_dir_all(&inputs).expect("the folder is ours");
    assert!(status.success(), "the reference was not measured: {status}");
}
