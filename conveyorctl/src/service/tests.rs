use super::*;
use plist::{Dictionary, Value};

const UID: Manager = Manager::Launchd { uid: 501 };

fn settings(root: &str) -> Settings {
    Settings {
        program: "/opt/my programs/conveyord".into(),
        files: StateFiles::in_root(root.into()),
        database_named: false,
        variables: vec![("PATH", "/opt/homebrew/bin:/usr/bin".to_owned()), ("LANG", "C.UTF-8".to_owned())],
    }
}

fn folders() -> Folders {
    Folders { home: "/h".into(), config: "/h/.config".into() }
}

#[track_caller]
fn texts(manager: Manager, settings: &Settings) -> Vec<String> {
    let files = manager.files(settings, &folders()).unwrap();
    assert_eq!(
        files.iter().map(|file| file.path.clone()).collect::<Vec<_>>(),
        manager.paths(&folders()),
        "each file has its place"
    );
    files.into_iter().map(|file| file.text).collect()
}

/// The value of a key of a unit file.
#[track_caller]
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn the_units_name_program_root_and_socket() {
    let [service, socket] = texts(Manager::Systemd, &settings("/state")).try_into().unwrap();
    assert_eq!(
        value(&service, "ExecStart"),
        "\"/opt/my programs/conveyord\" \"--state-root\" \"/state\" \"--started-by\" \"systemd\" \
         \"--unit\" \"conveyord.service\""
    );
    assert_eq!(value(&service, "Environment"), "\"PATH=/opt/homebrew/bin:/usr/bin\"");
    assert_eq!(value(&socket, "ListenStream"), "/state/conveyord.sock");
    for text in [service, socket] {
        assert!(is_ours(&text) && !text.contains('@'), "{text}");
    }
}

#[test]
fn what_systemd_would_interpret_is_taken_literally() {
    let [service, socket] = texts(Manager::Systemd, &settings("/s/100% \"$HOME\" \\x")).try_into().unwrap();
    let command = value(&service, "ExecStart");
    assert!(command.contains(r#""/s/100%% \"$$HOME\" \\x""#), "{command}");
    assert_eq!(value(&socket, "ListenStream"), r#"/s/100%% "$HOME" \x/conveyord.sock"#);
}

#[test]
fn a_named_database_is_the_services_too() {
    let mut settings = settings("/data/other.db.d");
    settings.files.database = "/data/other.db".into();
    settings.database_named = true;
    for text in [texts(Manager::Systemd, &settings).remove(0), texts(UID, &settings).remove(0)] {
        assert!(text.contains("--database") && text.contains("/data/other.db"), "{text}");
    }
}

#[test]
fn control_characters_are_refused() {
    let refused = Manager::Systemd.files(&settings("/state\nExecStart=/bin/sh"), &folders());
    assert_eq!(refused, Err(ControlCharacter { name: "the state root" }));
}

/// What launchd.plist(5) documents of the keys that are used: their types and units.
#[test]
fn the_agent_has_only_documented_keys_of_their_types() {
    let text = texts(UID, &settings("/r/R&D <x>")).remove(0);
    assert!(is_ours(&text) && !text.contains('@'), "{text}");
    let agent = Value::from_reader_xml(text.as_bytes()).unwrap().into_dictionary().unwrap();
    let string = |value: &Value| value.as_string().is_some();
    let integer = |value: &Value| value.as_signed_integer().is_some();
    let boolean = |value: &Value| value.as_boolean().is_some();
    for (key, value) in &agent {
        let is_right = match key.as_str() {
            "Label" | "StandardOutPath" | "StandardErrorPath" | "ProcessType" => string(value),
            "ThrottleInterval" | "ExitTimeOut" => integer(value),
            "RunAtLoad" | "AbandonProcessGroup" => boolean(value),
            "ProgramArguments" => value.as_array().is_some_and(|words| words.iter().all(string)),
            "EnvironmentVariables" => value.as_dictionary().is_some_and(|set| set.values().all(string)),
            "SoftResourceLimits" => value.as_dictionary().is_some_and(|limits| limits.values().all(integer)),
            "KeepAlive" => value.as_dictionary().is_some_and(|when| when.values().all(boolean)),
            "Sockets" => value.as_dictionary().is_some_and(|sockets| sockets.len() == 1),
            _ => false,
        };
        assert!(is_right, "{key}: {value:?}");
    }
    let text_of = |dictionary: &Dictionary, key: &str| {
        dictionary.get(key).and_then(Value::as_string).unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    assert_eq!(text_of(&agent, "Label"), "io.github.agent-conveyor.conveyord");
    assert_eq!(
        text_of(&agent, "ProcessType"),
        "Interactive",
        "as Background all that it starts is throttled"
    );
    assert_eq!(text_of(&agent, "StandardErrorPath"), "/r/R&D <x>/logs/conveyord.stderr");
    assert_eq!(agent["RunAtLoad"].as_boolean(), Some(true));
    assert_eq!(agent["KeepAlive"].as_dictionary().unwrap()["SuccessfulExit"].as_boolean(), Some(false));
    let words: Vec<&str> =
        agent["ProgramArguments"].as_array().unwrap().iter().filter_map(Value::as_string).collect();
    assert_eq!(
        words,
        [
            "/opt/my programs/conveyord",
            "--state-root",
            "/r/R&D <x>",
            "--started-by",
            "launchd",
            "--unit",
            "io.github.agent-conveyor.conveyord"
        ]
    );
    let variables = agent["EnvironmentVariables"].as_dictionary().unwrap();
    assert_eq!(text_of(variables, "PATH"), "/opt/homebrew/bin:/usr/bin");
    // The name is the one by which the daemon asks for it.
    let socket = agent["Sockets"].as_dictionary().unwrap()["conveyord"].as_dictionary().unwrap();
    assert_eq!(text_of(socket, "SockPathName"), "/r/R&D <x>/conveyord.sock");
    assert_eq!(socket["SockPathMode"].as_signed_integer(), Some(0o600));
    assert_eq!(socket.len(), 2);
}

#[test]
fn each_manager_is_told_by_its_own_commands() {
    let lines =
        |steps: Vec<Step>| -> Vec<String> { steps.into_iter().map(|step| step.command.join(" ")).collect() };
    assert_eq!(
        lines(UID.load(&folders())),
        [
            "launchctl enable gui/501/io.github.agent-conveyor.conveyord",
            "launchctl bootstrap gui/501 \
             /h/Library/LaunchAgents/io.github.agent-conveyor.conveyord.plist"
        ]
    );
    let service = "gui/501/io.github.agent-conveyor.conveyord";
    assert_eq!(
        lines(UID.unload()),
        [format!("launchctl bootout {service}"), format!("launchctl print {service}")]
    );
    assert_eq!(UID.stop_hint(), format!("launchctl bootout {service}"));
    assert_eq!(
        lines(Manager::Systemd.load(&folders())),
        [
            "systemctl --user daemon-reload",
            "systemctl --user enable --now conveyord.socket conveyord.service"
        ]
    );
    assert_eq!(Manager::Systemd.stop_hint(), "systemctl --user stop conveyord.socket conveyord.service");
}

#[test]
fn only_variables_that_are_set_are_written() {
    let found = variables(|name| (name == "TMUX_TMPDIR").then(|| "/t".to_owned()));
    assert_eq!(found, [("TMUX_TMPDIR", "/t".to_owned())]);
}
