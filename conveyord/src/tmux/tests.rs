//! The client against a real tmux server of its own.
#![expect(clippy::disallowed_methods, reason = "tmux is driven from outside")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use camino::Utf8Path;
use tempfile::TempDir;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A tmux server in a temporary folder, which ends with the test.
struct PrivateServer {
    folder: TempDir,
}

impl PrivateServer {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn address(&self) -> TmuxServer {
        TmuxServer::at(Utf8Path::from_path(self.folder.path()).unwrap().join("socket"))
    }

    fn client(&self) -> Tmux {
        Tmux::new(self.address(), PATIENCE)
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) {
        let socket = self.address();
        let run = Command::new("tmux")
            .args(["-f", "/dev/null", "-S", socket.socket().as_str()])
            .args(args)
            .output();
        let output = run.expect("tmux is installed");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts a session that runs `script` in /bin/sh.
    #[track_caller]
    fn start(&self, name: &str, script: &str) {
        self.tmux(&["new-session", "-d", "-x", "80", "-y", "24", "-s", name, "/bin/sh", "-c", script]);
    }

    /// Starts a program that asks for bracketed pastes and writes all its input, raw, to a file.
    async fn start_recorder(&self, name: &str) -> Recorder {
        let file = self.folder.path().join(name);
        let script = format!("stty raw -echo; printf '\\033[?2004hready'; exec cat > '{}'", file.display());
        self.start(name, &script);
        let pane = self.client().session(name).await.unwrap().unwrap();
        until(async || {
            self.client().capture(pane.pane_id, 0, CaptureStyle::Plain).await.unwrap().contains("ready")
        })
        .await;
        Recorder { file, pane }
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", self.address().socket().as_str(), "kill-server"]).output();
    }
}

struct Recorder {
    file: PathBuf,
    pane: Pane,
}

impl Recorder {
    /// All input of the program, as soon as it ends in `end`.
    async fn received(&self, end: &str) -> String {
        until(async || fs::read(&self.file).unwrap().ends_with(end.as_bytes())).await;
        fs::read_to_string(&self.file).unwrap()
    }
}

async fn until(condition: impl AsyncFn() -> bool) {
    let looked = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.expect("the condition came true in time");
}

fn bracketed(text: &str) -> String {
    format!("\u{1b}[200~{text}\u{1b}[201~")
}

async fn buffers(server: &PrivateServer) -> Vec<u8> {
    let address = server.address();
    let args = ["-S", address.socket().as_str(), "list-buffers"];
    Command::new("tmux").args(args).output().unwrap().stdout
}

#[tokio::test]
async fn a_session_is_found_by_its_whole_name_only() {
    let server = PrivateServer::new();
    server.start("work", "exec cat");
    server.start("dotted.name", "exec cat");
    let tmux = server.client();
    assert_eq!(tmux.session("work").await.unwrap().unwrap().session_name, "work");
    assert_eq!(tmux.session("dotted.name").await.unwrap().unwrap().session_name, "dotted_name");
    for other in ["wor", "w", "work2", "", "=work", "$0", "%0", "work:0", "*", "{mouse}"] {
        assert_eq!(tmux.session(other).await.unwrap(), None, "{other}");
        let error = tmux.kill_session(other).await.unwrap_err();
        assert!(matches!(error, TmuxError::SessionMissing { .. }), "{other}: {error}");
    }
    tmux.kill_session("work").await.unwrap();
    assert_eq!(tmux.session("work").await.unwrap(), None);
    assert!(tmux.session("dotted.name").await.unwrap().is_some());
}

#[tokio::test]
async fn a_pane_tells_what_it_is() {
    let server = PrivateServer::new();
    server.start("one", "printf '\\033]2;⠋ a title | b\\007'; exec cat");
    let tmux = server.client();
    until(async || tmux.session("one").await.unwrap().unwrap().title == "⠋ a title | b").await;
    until(async || tmux.session("one").await.unwrap().unwrap().current_command == "cat").await;
    let pane = tmux.session("one").await.unwrap().unwrap();
    assert_eq!(
        (pane.width, pane.height, pane.dead, pane.in_mode, pane.alternate_on),
        (80, 24, false, false, false)
    );
    assert!(pane.pane_pid > 1);
    assert_eq!(tmux.pane(pane.pane_id).await.unwrap(), Some(pane));
    assert_eq!(tmux.pane("%999".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn the_active_pane_stands_for_the_session() {
    let server = PrivateServer::new();
    server.start("one", "exec cat");
    let first = server.client().session("one").await.unwrap().unwrap();
    server.tmux(&["split-window", "-t", "one:", "cat"]);
    server.tmux(&["new-window", "-t", "one:", "cat"]);
    let tmux = server.client();
    let panes = tmux.panes().await.unwrap();
    assert_eq!(panes.len(), 3);
    assert_eq!(panes.iter().filter(|pane| pane.active).count(), 1);
    assert_eq!(tmux.session("one").await.unwrap().unwrap().pane_id, panes[2].pane_id);
    assert!(!tmux.pane(first.pane_id).await.unwrap().unwrap().active);
}

#[tokio::test]
async fn text_and_style_are_captured() {
    let server = PrivateServer::new();
    server.start(
        "one",
        "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo row$i; done; printf '\\033[2mdim\\033[0m'; exec cat",
    );
    let tmux = server.client();
    let pane = tmux.session("one").await.unwrap().unwrap().pane_id;
    until(async || tmux.capture(pane, 0, CaptureStyle::Plain).await.unwrap().ends_with("dim")).await;
    let visible = tmux.capture(pane, 0, CaptureStyle::Plain).await.unwrap();
    assert_eq!(visible.lines().count(), 24);
    let with_history = tmux.capture(pane, 10, CaptureStyle::Plain).await.unwrap();
    assert_eq!(with_history.lines().count(), 34);
    assert!(tmux.capture(pane, 0, CaptureStyle::Styled).await.unwrap().contains("\u{1b}[2mdim"));
    let (found, shown) = tmux.pane_and_text(pane, 10, CaptureStyle::Plain).await.unwrap();
    assert_eq!((Some(found), shown.text), (tmux.pane(pane).await.unwrap(), with_history));
}

#[track_caller]
fn paste_cases() -> Vec<String> {
    [
        "-t starts with a dash",
        "ends with a semicolon;",
        "one\ntwo\n\tthree",
        "$HOME `id` #{pane_id} \"quoted\" 'too' \\ ä ⠋",
        "\n",
        &"long text ".repeat(20_000),
    ]
    .map(str::to_owned)
    .into()
}

#[tokio::test]
async fn text_arrives_as_one_bracketed_paste() {
    let server = PrivateServer::new();
    let tmux = server.client();
    for (number, text) in paste_cases().into_iter().enumerate() {
        let recorder = server.start_recorder(&format!("recorder{number}")).await;
        tmux.paste(&recorder.pane, &sanitize(&text)).await.unwrap();
        tmux.press(&recorder.pane, &Key::enter()).await.unwrap();
        assert!(recorder.received("\r").await == bracketed(&text) + "\r", "case {number}");
    }
    assert_eq!(buffers(&server).await, b"");
}

#[tokio::test]
async fn keys_are_pressed_and_an_empty_text_is_nothing() {
    let server = PrivateServer::new();
    let recorder = server.start_recorder("recorder").await;
    let tmux = server.client();
    tmux.paste(&recorder.pane, &sanitize("")).await.unwrap();
    for key in ["-", ";", "é", "C-c", "Tab", "Escape", "Enter"] {
        tmux.press(&recorder.pane, &Key::parse(key).unwrap()).await.unwrap();
    }
    assert_eq!(recorder.received("\r").await, "-;é\u{3}\t\u{1b}\r");
}

#[tokio::test]
async fn every_key_of_the_table_is_known_to_tmux() {
    let server = PrivateServer::new();
    server.start("one", "exec cat");
    for name in key::NAMES {
        // tmux refuses to bind a name that it does not know as a key.
        server.tmux(&["bind-key", "-T", "root", name, "list-panes"]);
    }
}

#[tokio::test]
async fn senders_to_one_pane_do_not_mix() {
    let server = PrivateServer::new();
    let recorder = server.start_recorder("recorder").await;
    let queues = PaneQueues::default();
    let texts: Vec<String> = (0..12).map(|number| format!("message {number} ").repeat(500)).collect();
    let mut senders = tokio::task::JoinSet::new();
    for text in texts.clone() {
        let (tmux, queues, pane) = (server.client(), queues.clone(), recorder.pane.clone());
        senders.spawn(async move {
            let _turn = queues.turn(tmux.server(), pane.pane_id).await;
            tmux.paste(&pane, &sanitize(&text)).await.unwrap();
            tmux.press(&pane, &Key::enter()).await.unwrap();
        });
    }
    senders.join_all().await;
    tmux_end(&server, &recorder).await;
    let received = recorder.received("\u{4}").await;
    let mut messages: Vec<&str> = received.trim_end_matches('\u{4}').split_terminator('\r').collect();
    messages.sort_unstable();
    let mut expected: Vec<String> = texts.iter().map(|text| bracketed(text)).collect();
    expected.sort_unstable();
    assert!(messages == expected, "{} messages", messages.len());
}

async fn tmux_end(server: &PrivateServer, recorder: &Recorder) {
    server.client().press(&recorder.pane, &Key::parse("C-d").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_missing_pane_is_told_and_leaves_no_buffer() {
    let server = PrivateServer::new();
    server.start("one", "exec cat");
    let tmux = server.client();
    let there = tmux.session("one").await.unwrap().unwrap();
    let gone = Pane { pane_id: "%77".parse().unwrap(), ..there };
    let pane = gone.pane_id;
    let errors = [
        tmux.paste(&gone, &sanitize("secret")).await.unwrap_err(),
        tmux.press(&gone, &Key::escape()).await.unwrap_err(),
        tmux.capture(pane, 0, CaptureStyle::Plain).await.unwrap_err(),
        tmux.pane_and_text(pane, 0, CaptureStyle::Plain).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, TmuxError::PaneMissing { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(!error.may_have_acted());
    }
    assert_eq!(buffers(&server).await, b"");
}

/// A pane that tmux gives no keys to, or that shares them, gets nothing, even if that began after the look.
#[tokio::test]
async fn nothing_is_typed_into_a_pane_that_diverts_keys() {
    let server = PrivateServer::new();
    let recorder = server.start_recorder("recorder").await;
    let other = server.start_recorder("other").await;
    let tmux = server.client();
    server.tmux(&["join-pane", "-d", "-s", "=other:", "-t", "=recorder:"]);
    let id = recorder.pane.pane_id.to_string();
    let diversions: [(&[&str], &[&str], Diversion); 4] = [
        (&["copy-mode", "-t", &id], &["send-keys", "-X", "-t", &id, "cancel"], Diversion::Mode),
        (&["clock-mode", "-t", &id], &["copy-mode", "-q", "-t", &id], Diversion::Mode),
        (
            &["set-option", "-w", "-t", &id, "synchronize-panes", "on"],
            &["set-option", "-w", "-t", &id, "synchronize-panes", "off"],
            Diversion::Synchronized,
        ),
        (&["select-pane", "-d", "-t", &id], &["select-pane", "-e", "-t", &id], Diversion::InputOff),
    ];
    for (begin, end, diversion) in diversions {
        server.tmux(begin);
        until(async || {
            tmux.pane(recorder.pane.pane_id).await.unwrap().unwrap().diverts_keys() == Some(diversion)
        })
        .await;
        for error in [
            tmux.paste(&recorder.pane, &sanitize("secret")).await.unwrap_err(),
            tmux.press(&recorder.pane, &Key::enter()).await.unwrap_err(),
        ] {
            assert!(matches!(error, TmuxError::PaneChanged { .. }), "{begin:?}: {error}");
            assert!(!error.may_have_acted());
        }
        server.tmux(end);
        until(async || tmux.pane(recorder.pane.pane_id).await.unwrap().unwrap().diverts_keys().is_none())
            .await;
    }
    assert_eq!(buffers(&server).await, b"");
    tmux.press(&recorder.pane, &Key::parse("x").unwrap()).await.unwrap();
    assert_eq!(recorder.received("x").await, "x");
    assert_eq!(fs::read(&other.file).unwrap(), b"");
    // Another program in the pane, under the same id.
    server.tmux(&["respawn-pane", "-k", "-t", &id, "exec cat"]);
    let error = tmux.press(&recorder.pane, &Key::enter()).await.unwrap_err();
    assert!(matches!(error, TmuxError::PaneChanged { .. }), "{error}");
}

/// tmux prints the name of a command as it is. A line feed in it must neither fail the list nor forge a pane.
#[tokio::test]
async fn the_name_of_a_program_changes_no_pane() {
    let server = PrivateServer::new();
    server.start("victim", "exec cat");
    let tmux = server.client();
    let victim = tmux.session("victim").await.unwrap().unwrap();
    let forged = format!("x\n$0\t{}\t1\t1\t1\t0\t1\t0\t0\t80\t24\t0\t0\t0", victim.pane_id);
    let script = format!("exec -a '{forged}' cat");
    server.tmux(&["new-session", "-d", "-s", "forger", "/bin/bash", "-c", &script]);
    until(async || {
        tmux.session("forger").await.unwrap().is_some_and(|pane| pane.current_command.contains('x'))
    })
    .await;
    let panes = tmux.panes().await.unwrap();
    assert_eq!(panes.len(), 2);
    let seen = tmux.session("victim").await.unwrap().unwrap();
    assert_eq!((seen.pane_pid, seen.dead, seen.in_mode), (victim.pane_pid, false, false));
    let (seen, _) = tmux.pane_and_text(victim.pane_id, 0, CaptureStyle::Plain).await.unwrap();
    assert_eq!(seen.pane_pid, victim.pane_pid);
}

#[tokio::test]
async fn the_last_session_can_be_ended() {
    let server = PrivateServer::new();
    server.start("only", "exec cat");
    let tmux = server.client();
    tmux.kill_session("only").await.unwrap();
    until(async || matches!(tmux.panes().await, Err(TmuxError::ServerGone { .. }))).await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_and_not_started() {
    let server = PrivateServer::new();
    let tmux = server.client();
    let never_there = tmux.panes().await.unwrap_err();
    assert!(matches!(never_there, TmuxError::ServerGone { .. }), "{never_there}");
    server.start("one", "exec cat");
    let pane = tmux.session("one").await.unwrap().unwrap();
    server.tmux(&["kill-server"]);
    until(async || matches!(tmux.panes().await, Err(TmuxError::ServerGone { .. }))).await;
    let error = tmux.paste(&pane, &sanitize("text")).await.unwrap_err();
    assert!(matches!(error, TmuxError::ServerGone { .. }), "{error}");
    assert!(matches!(tmux.panes().await, Err(TmuxError::ServerGone { .. })));
}

#[tokio::test]
async fn a_tmux_that_hangs_is_given_up() {
    let server = PrivateServer::new();
    let hung = server.folder.path().join("hung-tmux");
    // Another process writes the script. A file that this process still has open for writing cannot be
    // executed (`ETXTBSY`), and a forked child of another test may have it open.
    let script = format!("printf '#!/bin/sh\\nexec sleep 600\\n' > '{0}' && chmod 700 '{0}'", hung.display());
    assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
    let tmux = Tmux::new(server.address(), Duration::from_millis(200)).with_program(&hung);
    server.start("one", "exec cat");
    let pane = server.client().session("one").await.unwrap().unwrap();
    let error = tmux.press(&pane, &Key::enter()).await.unwrap_err();
    assert!(matches!(error, TmuxError::TimedOut { operation: PRESS, .. }), "{error}");
    assert!(error.may_have_acted());
    let error = tmux.paste(&pane, &sanitize("text")).await.unwrap_err();
    assert!(matches!(error, TmuxError::TimedOut { operation: LOAD_BUFFER, .. }), "{error}");
    assert!(!error.may_have_acted());
}

#[tokio::test]
async fn a_missing_or_unusable_tmux_is_told() {
    let server = PrivateServer::new();
    let missing = server.client().with_program("conveyor-no-such-tmux");
    let error = missing.version().await.unwrap_err();
    assert!(matches!(error, TmuxError::NotInstalled), "{error}");
    let plain_file = server.folder.path().join("plain-file");
    fs::write(&plain_file, "").unwrap();
    let error = server.client().with_program(&plain_file).version().await.unwrap_err();
    assert!(matches!(error, TmuxError::PermissionDenied { .. }), "{error}");
    assert!(server.client().version().await.unwrap().starts_with("tmux "));
}

/// A program that prints its arguments, folder and variables, and then stays.
fn teller(words: &[&str]) -> Vec<String> {
    let script = r#"printf '%s\n' "$@" "$PWD" "$GIVEN"; sleep 600"#;
    let argv = ["/bin/sh", "-c", script, "sh"].into_iter().chain(words.iter().copied());
    argv.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_session_starts_with_its_arguments_folder_and_variables_where_no_server_runs() {
    let server = PrivateServer::new();
    let tmux = server.client();
    let folder =
        server.folder.path().canonicalize().unwrap().join("a #{pane_id} #[fill=red] ##[x] #(id) %d;");
    fs::create_dir(&folder).unwrap();
    let cwd = Utf8Path::from_path(&folder).unwrap();
    let argv = teller(&["it's $HOME `id`", "ends in;", "and in \\;", "-x"]);
    let env = [("GIVEN".to_owned(), "a value;".to_owned())];
    let new = NewSession { name: "one", cwd, argv: &argv, env: &env };
    let started = tmux.new_session(&new).await.unwrap();
    let pane = tmux.pane(started.pane_id).await.unwrap().unwrap();
    assert_eq!((pane.pane_pid, pane.session_id.as_str()), (started.pane_pid, started.session_id.as_str()));
    assert_eq!((pane.width, pane.height), (120, 40));
    let text = async || tmux.capture(started.pane_id, 0, CaptureStyle::Plain).await.unwrap();
    until(async || text().await.contains("a value;")).await;
    assert!(text().await.starts_with("it's $HOME `id`\nends in;\nand in \\;\n-x\n"), "{}", text().await);
    assert!(text().await.contains(cwd.as_str()), "{}", text().await);

    let given = tmux.session_variable(&started.session_id, "GIVEN").await.unwrap();
    assert_eq!(given.as_deref(), Some("a value;"));
    assert_eq!(tmux.session_variable(&started.session_id, "NONE").await.unwrap(), None);
    assert!(tmux.global_variables().await.unwrap().contains(&"PATH".to_owned()));

    let error = tmux.new_session(&new).await.unwrap_err();
    assert!(matches!(error, TmuxError::SessionExists { .. }), "{error}");
    tmux.kill_session_by_id(&started.session_id).await.unwrap();
}

/// A tmux that makes another folder of what it is given.
#[tokio::test]
async fn a_session_that_runs_elsewhere_is_ended() {
    let server = PrivateServer::new();
    let folder = tempfile::tempdir().unwrap();
    let argv: Vec<String> = ["/bin/sh", "-c", "read line"].iter().map(|&word| word.to_owned()).collect();
    let new = NewSession { name: "one", cwd: Utf8Path::new("/"), argv: &argv, env: &[] };
    let wrapper = folder.path().join("tmux");
    fs::write(&wrapper, "#!/bin/sh\ncase \"$*\" in *new-session*) cd /tmp;; esac\nexec tmux \"$@\"\n")
        .unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o700)).unwrap();
    let error = server.client().with_program(wrapper).new_session(&new).await.unwrap_err();
    assert!(error.to_string().contains("its program runs in /tmp instead of /"), "{error}");
    assert!(server.client().panes().await.is_err(), "nothing runs on");
}

#[tokio::test]
async fn a_program_that_ends_at_once_leaves_its_words_until_the_pane_is_let_go() {
    let server = PrivateServer::new();
    server.start("other", "exec sleep 600");
    let tmux = server.client();
    let argv: Vec<String> =
        ["/bin/sh", "-c", "echo last words"].iter().map(|&word| word.to_owned()).collect();
    let new = NewSession { name: "short", cwd: Utf8Path::new("/"), argv: &argv, env: &[] };
    let started = tmux.new_session(&new).await.unwrap();
    until(async || tmux.pane(started.pane_id).await.unwrap().is_some_and(|pane| pane.dead)).await;
    // tmux scrolls the text up to make room for its own line, "Pane is dead".
    let text = tmux.capture(started.pane_id, 10, CaptureStyle::Plain).await.unwrap();
    assert!(text.contains("last words"), "{text}");

    let argv: Vec<String> = ["/bin/sh", "-c", "read line"].iter().map(|&word| word.to_owned()).collect();
    let new = NewSession { name: "long", argv: &argv, ..new };
    let started = tmux.new_session(&new).await.unwrap();
    tmux.close_with_program(started.pane_id).await.unwrap();
    let pane = tmux.pane(started.pane_id).await.unwrap().unwrap();
    tmux.press(&pane, &Key::enter()).await.unwrap();
    until(async || tmux.session("long").await.unwrap().is_none()).await;
}
