//! Programs that stand in for Codex in a process table: with its name and arguments, and with files open.
#![expect(clippy::disallowed_methods, reason = "a process of its own to look at")]

use crate::platform::{self, Pid};
use camino::Utf8Path;
use jiff::Timestamp;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::symlink,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Opens each file that it is told, and ends with its input.
const SCRIPT: &str =
    r#"n=3; echo up; while read -r p; do eval "exec $n<\"\$p\""; n=$((n + 1)); echo open; done"#;

#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts a program of this name in a folder. The first argument must be a word, which becomes the name of a file.
    pub(crate) fn start(folder: &Utf8Path, name: &str, arguments: &[&str]) -> Self {
        fs::create_dir_all(folder).unwrap();
        let program = folder.join(name);
        if !program.exists() {
            symlink("/bin/sh", &program).unwrap();
        }
        fs::write(folder.join(arguments[0]), SCRIPT).unwrap();
        let mut child = Command::new(&program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut new = Self { child, input, output };
        new.answers("up\n");
        new
    }

    /// Opens a file for reading and keeps it open. There is room for seven.
    pub(crate) fn open(&mut self, file: &Utf8Path) {
        writeln!(self.input.as_mut().unwrap(), "{file}").unwrap();
        self.answers("open\n");
    }

    fn answers(&mut self, expect: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, expect);
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::try_from(i64::from(self.child.id())).unwrap()
    }

    pub(crate) fn started(&self) -> Timestamp {
        platform::started_at(self.pid()).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
