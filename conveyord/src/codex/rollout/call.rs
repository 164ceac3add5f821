//! The calls of tools as a rollout records them: the only place where a command or a patch that Codex asks about is
//! whole when the screen cuts the question.

use crate::words::shell_line;
use serde_json::{Map, Value};
use std::fmt;

/// What kind of tool is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A command in a shell. It may hold a patch, which Codex then applies itself.
    Shell,
    /// A patch.
    Patch,
    /// A tool of an MCP server.
    Tool { server: String, tool: String },
    /// A request for permissions. Codex shows it in words of its own.
    Permissions,
    /// A tool whose calls Codex never asks about, or one that is not known here.
    Other,
}

/// A call of a tool. `Debug` prints the length of its text only.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    pub id: String,
    pub form: Form,
    /// The whole command or patch, or the tool with its arguments.
    pub text: String,
    /// The folder that the call names.
    pub cwd: Option<String>,
    /// Why, in the model's words.
    pub reason: Option<String>,
    /// What else the call asks for, such as another shell or more permissions: each as `name: value`.
    pub more: Vec<String>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("form", &self.form)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// The arguments of a shell that are told otherwise, or change nothing about what runs.
const PLAIN: [&str; 5] = ["justification", "yield_time_ms", "max_output_tokens", "timeout_ms", "timeout"];

/// The values of arguments with which a call asks for no more than the sandbox allows.
const SANDBOXED: [(&str, &str); 2] =
    [("sandbox_permissions", "\"use_default\""), ("with_escalated_permissions", "false")];

/// The folders of the shells that are not told: those of the system.
const SYSTEM_FOLDERS: [&str; 2] = ["/bin/", "/usr/bin/"];

/// How a patch begins its part for a file.
const FILES: [&str; 3] = ["*** Add File: ", "*** Update File: ", "*** Delete File: "];
/// How a patch names the place to which it moves the file of the part.
const MOVED: &str = "*** Move to: ";

/// A file that a patch names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patched<'a> {
    pub path: &'a str,
    pub moved_to: Option<&'a str>,
}

impl Call {
    /// Reads the payload of a `response_item`. `None` if it is no call.
    #[must_use]
    pub fn read(payload: &Value) -> Option<Self> {
        let text = |name: &str| payload.get(name).and_then(Value::as_str);
        let id = text("call_id")?.to_owned();
        match text("type")? {
            "function_call" => {
                let raw = text("arguments").unwrap_or_default();
                let arguments = serde_json::from_str(raw).unwrap_or_default();
                Some(Self::function(id, text("name").unwrap_or_default(), text("namespace"), raw, &arguments))
            }
            "custom_tool_call" => {
                let form = if text("name") == Some("apply_patch") { Form::Patch } else { Form::Other };
                Some(Self::plain(id, form, text("input").unwrap_or_default()))
            }
            "local_shell_call" => {
                Some(Self::shell(id, payload.get("action")?.as_object()?, "command", "working_directory"))
            }
            _ => None,
        }
    }

    fn function(
        id: String,
        name: &str,
        namespace: Option<&str>,
        raw: &str,
        arguments: &Map<String, Value>,
    ) -> Self {
        // Before it had namespaces, Codex wrote `mcp__SERVER__TOOL`.
        let (name, namespace) = match name.strip_prefix("mcp__").and_then(|name| name.split_once("__")) {
            Some((server, tool)) if namespace.is_none() => (tool, Some(server)),
            _ => (name, namespace.and_then(|name| name.strip_prefix("mcp__"))),
        };
        match (name, namespace) {
            // Codex 0.130 ends the namespace with the separator, and 0.169 does not.
            (tool, Some(server)) => {
                let server = server.trim_end_matches('_');
                let form = Form::Tool { server: server.to_owned(), tool: tool.to_owned() };
                Self::plain(id, form, &format!("{server}.{tool}({raw})"))
            }
            ("exec_command", None) => Self::shell(id, arguments, "cmd", "workdir"),
            ("shell_command" | "shell" | "local_shell" | "container.exec", None) => {
                Self::shell(id, arguments, "command", "workdir")
            }
            ("apply_patch", None) => {
                let input = arguments.get("input").and_then(Value::as_str);
                Self::plain(id, Form::Patch, input.unwrap_or(raw))
            }
            ("request_permissions", None) => {
                Self::plain(id, Form::Permissions, &format!("request_permissions({raw})"))
            }
            (tool, None) => Self::plain(id, Form::Other, &format!("{tool}({raw})")),
        }
    }

    fn plain(id: String, form: Form, text: &str) -> Self {
        Self { id, form, text: text.to_owned(), cwd: None, reason: None, more: Vec::new() }
    }

    /// A call of a shell tool that reads its command and folder from these arguments. An argument that another tool reads
    /// so is told beside them, and never instead of them.
    fn shell(id: String, arguments: &Map<String, Value>, command: &str, folder: &str) -> Self {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::to_owned);
        let more = arguments.iter().filter(|(name, value)| {
            let name = name.as_str();
            let sandboxed = || SANDBOXED.contains(&(name, value.to_string().as_str()));
            name != command && name != folder && !PLAIN.contains(&name) && !value.is_null() && !sandboxed()
        });
        let mut more: Vec<String> = more.map(|(name, value)| format!("{name}: {value}")).collect();
        Self {
            id,
            form: Form::Shell,
            text: match arguments.get(command) {
                Some(Value::String(command)) => command.clone(),
                Some(Value::Array(words)) => {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    match script(&words) {
                        Some((shell, script)) => {
                            if is_foreign(shell) {
                                more.push(format!("shell: {}", Value::from(shell)));
                            }
                            script.to_owned()
                        }
                        None => shell_line(&words),
                    }
                }
                _ => String::new(),
            },
            cwd: text(folder),
            reason: text("justification"),
            more,
        }
    }

    /// The files that the patch of this call names. Empty if it holds no patch.
    #[must_use]
    pub fn files(&self) -> Vec<Patched<'_>> {
        let may_hold = match self.form {
            Form::Patch => true,
            Form::Shell => self.text.contains("apply_patch") || self.text.contains("applypatch"),
            Form::Tool { .. } | Form::Permissions | Form::Other => false,
        };
        let mut files: Vec<Patched<'_>> = Vec::new();
        for line in self.text.lines().filter(|_| may_hold) {
            if let Some(path) = FILES.iter().find_map(|start| line.strip_prefix(start)) {
                files.push(Patched { path: path.trim(), moved_to: None });
            } else if let (Some(path), Some(file)) = (line.strip_prefix(MOVED), files.last_mut()) {
                file.moved_to = Some(path.trim());
            }
        }
        files
    }
}

/// The shell and the script of `bash -lc SCRIPT`. Codex shows the script alone, whatever folder the shell is in.
fn script<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let [shell, "-lc" | "-c", script] = words else { return None };
    let name = shell.rsplit('/').next().unwrap_or(shell);
    ["bash", "zsh", "sh"].contains(&name).then_some((*shell, *script))
}

/// Whether a shell is none of the system's. One that is named without a folder is looked up where all programs are.
fn is_foreign(shell: &str) -> bool {
    let name = SYSTEM_FOLDERS.iter().find_map(|folder| shell.strip_prefix(folder)).unwrap_or(shell);
    name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn function(name: &str, arguments: &Value) -> Call {
        let payload = json!({
            "type": "function_call", "name": name, "arguments": arguments.to_string(), "call_id": "c",
        });
        Call::read(&payload).unwrap()
    }

    #[test]
    fn the_shells_of_all_versions_are_read() {
        for (name, arguments) in [
            ("exec_command", json!({"cmd": "ls\nrm x", "workdir": "/w", "justification": "why"})),
            ("shell_command", json!({"command": "ls\nrm x", "workdir": "/w", "justification": "why"})),
            (
                "shell",
                json!({"command": ["bash", "-lc", "ls\nrm x"], "workdir": "/w", "justification": "why"}),
            ),
        ] {
            let call = function(name, &arguments);
            assert_eq!((call.form.clone(), call.text.as_str()), (Form::Shell, "ls\nrm x"), "{name}");
            assert_eq!((call.cwd.as_deref(), call.reason.as_deref()), (Some("/w"), Some("why")), "{name}");
            assert!(call.more.is_empty() && call.files().is_empty());
        }
        let call = function("shell", &json!({"command": ["rm", "-rf", "a b"]}));
        assert_eq!(call.text, "rm -rf 'a b'");
        let local = json!({
            "type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["/bin/sh", "-c", "ls"]},
        });
        assert_eq!(Call::read(&local).unwrap().text, "ls");
    }

    #[test]
    fn what_a_call_asks_for_beyond_its_command_is_told() {
        let arguments = json!({
            "cmd": "ls", "shell": "/tmp/sh", "sandbox_permissions": "require_escalated", "login": null,
            "additional_permissions": {"network": {"enabled": true}},
        });
        let more = [
            "shell: \"/tmp/sh\"",
            "sandbox_permissions: \"require_escalated\"",
            "additional_permissions: {\"network\":{\"enabled\":true}}",
        ];
        let mut found = function("exec_command", &arguments).more;
        found.sort_by_key(|line| more.iter().position(|known| known == line));
        assert_eq!(found, more);
        let escalated = json!({"command": ["bash", "-lc", "ls"], "with_escalated_permissions": true});
        assert_eq!(function("shell", &escalated).more, ["with_escalated_permissions: true"]);
        for plain in
            [json!({"with_escalated_permissions": false}), json!({"sandbox_permissions": "use_default"})]
        {
            assert!(function("exec_command", &plain).more.is_empty(), "{plain}");
        }
    }

    #[test]
    fn a_shell_that_is_none_of_the_systems_is_told() {
        for shell in ["/tmp/bash", "./sh", "/opt/mine/zsh", "/bin/../tmp/sh"] {
            let call = function("shell", &json!({"command": [shell, "-lc", "ls"]}));
            assert_eq!(call.text, "ls", "the screen shows the script alone");
            assert_eq!(call.more, [format!("shell: \"{shell}\"")]);
        }
        for shell in ["bash", "/bin/sh", "/usr/bin/zsh"] {
            let call = function("shell", &json!({"command": [shell, "-lc", "ls"]}));
            assert!(call.more.is_empty(), "{shell}");
        }
    }

    #[test]
    fn patches_are_read_from_their_tool_and_from_a_shell() {
        let patch =
            "*** Begin Patch\n*** Add File: a\n+x\n*** Update File: b\n*** Move to: c\n@@\n*** End Patch";
        let custom =
            json!({"type": "custom_tool_call", "name": "apply_patch", "call_id": "c", "input": patch});
        let shell = function("exec_command", &json!({"cmd": format!("apply_patch <<'EOF'\n{patch}\nEOF\n")}));
        for call in [Call::read(&custom).unwrap(), function("apply_patch", &json!({"input": patch})), shell] {
            let names: Vec<_> = call.files().iter().map(|file| (file.path, file.moved_to)).collect();
            assert_eq!(names, [("a", None), ("b", Some("c"))]);
            assert!(call.text.contains(patch));
        }
        let quoted = function("exec_command", &json!({"cmd": format!("cat <<'EOF'\n{patch}\nEOF")}));
        assert!(quoted.files().is_empty(), "a shell that only writes a patch down applies none");
    }

    #[test]
    fn a_tool_of_a_server_is_told_with_its_arguments() {
        for namespace in ["mcp__slow", "mcp__slow__"] {
            let payload = json!({
                "type": "function_call", "name": "ping", "namespace": namespace, "arguments": "{\"a\":1}", "call_id": "c",
            });
            let call = Call::read(&payload).unwrap();
            assert_eq!(call.form, Form::Tool { server: "slow".to_owned(), tool: "ping".to_owned() });
            assert_eq!(call.text, "slow.ping({\"a\":1})");
        }
        assert_eq!(function("mcp__slow__ping", &json!({})).text, "slow.ping({})");
        assert_eq!(Call::read(&json!({"type": "function_call_output", "call_id": "c"})), None);
    }
}
