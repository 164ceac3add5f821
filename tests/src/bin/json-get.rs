//! Prints one value of the JSON on standard input, for scripts on machines without jq.
//!
//! `json-get a.b.0` prints a string as it is and any other value as JSON; it fails when there is no
//! such value.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    match value_at(std::env::args().nth(1).as_deref()) {
        Ok(text) if writeln!(io::stdout(), "{text}").is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            let _ = writeln!(io::stderr(), "json-get: {message}");
            ExitCode::FAILURE
        }
    }
}

fn value_at(path: Option<&str>) -> Result<String, String> {
    let path = path.ok_or("a path is needed, as in: json-get tasks.0.name")?;
    let mut input = String::new();
    io::stdin().read_to_string(&mut input).map_err(|error| error.to_string())?;
    let document: Value = serde_json::from_str(&input).map_err(|error| format!("not JSON: {error}"))?;
    let pointer = format!("/{}", path.replace('.', "/"));
    match document.pointer(&pointer).ok_or_else(|| format!("no {path} in it"))? {
        Value::String(text) => Ok(text.clone()),
        other => Ok(other.to_string()),
    }
}
