//! Verbs that are about the program alone: they need no daemon, no state root and no home.

use crate::skips::skipped;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs the program with nothing around it.
fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conveyorctl")).args(args).env_clear().output().unwrap()
}

/// What a program says of a text on its standard input; none where it is not installed.
fn judged_by(program: &str, args: &[&str], text: &[u8]) -> Option<Output> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(output)
}

#[track_caller]
fn completion(shell: &str) -> Vec<u8> {
    let output = run(&["completions", shell]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The script calls the program back for the words.
    for word in ["conveyorctl", "CONVEYOR_COMPLETE"] {
        assert!(text.contains(word), "the script of {shell} has {word}");
    }
    text.into_bytes()
}

#[test]
fn each_shell_can_read_its_script() {
    for (shell, check) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let script = completion(shell);
        match judged_by(shell, check, &script) {
            Some(verdict) => assert!(verdict.status.success(), "{shell}: {verdict:?}"),
            None => skipped(&format!("with {shell}"), "it is not installed"),
        }
    }
    for shell in ["elvish", "powershell"] {
        let _ = completion(shell);
    }
    assert_eq!(run(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn bash_completes_verbs_and_options() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_conveyorctl")).parent().unwrap();
    let mut script = format!("PATH='{}':$PATH COMP_TYPE=9\n", folder.display()).into_bytes();
    script.extend(completion("bash"));
    script.extend_from_slice(
        b"\nCOMP_WORDS=(conveyorctl finish-t); COMP_CWORD=1
_clap_complete_conveyorctl conveyorctl finish-t conveyorctl
printf '%s\\n' \"${COMPREPLY[@]}\"
COMP_WORDS=(conveyorctl reconcile --ap); COMP_CWORD=2
_clap_complete_conveyorctl conveyorctl --ap reconcile
printf '%s\\n' \"${COMPREPLY[@]}\"\n",
    );
    let Some(output) = judged_by("bash", &["--norc", "-s"], &script) else {
        return skipped("with bash", "it is not installed");
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "finish-task\n--apply\n", "{output:?}");
}

#[test]
fn every_verb_has_a_manual_page() {
    let folder = tempfile_dir();
    let output = run(&["man", "--out", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in
        ["conveyorctl.1", "conveyorctl-bind.1", "conveyorctl-daemon-start.1", "conveyorctl-stop-task.1"]
    {
        assert!(names.iter().any(|written| written == name), "{name} is among {names:?}");
    }
    let mut seen = false;
    for name in &names {
        let page = std::fs::read(folder.join(name)).unwrap();
        let text = String::from_utf8_lossy(&page).into_owned();
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(text.contains(part), "{name} has {part}");
        }
        // `-ww` has groff tell what it does not know.
        if let Some(laid_out) = judged_by("groff", &["-man", "-Tascii", "-ww"], &page) {
            assert!(laid_out.status.success() && !laid_out.stdout.is_empty(), "{name}: {laid_out:?}");
            assert!(laid_out.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&laid_out.stderr));
            seen = true;
        }
    }
    if !seen {
        skipped("with groff", "it is not installed");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

fn tempfile_dir() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("conveyorctl-man-{}", std::process::id()))
}

#[test]
fn one_page_is_printed() {
    let page = |args: &[&str]| String::from_utf8(run(&[&["man"], args].concat()).stdout).unwrap();
    assert!(page(&[]).contains(".TH CONVEYORCTL 1"));
    assert!(page(&["daemon", "start"]).contains(".TH CONVEYORCTL-DAEMON-START 1"));
    let refused = run(&["man", "frobnicate"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("there is no verb `frobnicate`"));
}
