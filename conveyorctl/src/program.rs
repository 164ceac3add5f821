//! The name that this program goes by: it stands in usage lines, errors and examples.

use conveyor_proto::settings::Environment;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

/// One of the names under which the program is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Conveyorctl,
    Conveyor,
    Workerctl,
}

impl Program {
    /// The name that the program was called by; `CONVEYOR_CLI_PROG` wins where it is one of the three names. Any other
    /// name means `conveyorctl`.
    pub(crate) fn from_call(called: Option<&OsStr>, environment: &dyn Environment) -> Self {
        let forced = environment.get("CONVEYOR_CLI_PROG").and_then(|name| Self::named(&name));
        let own = || {
            called.and_then(|path| Path::new(path).file_name()).and_then(OsStr::to_str).and_then(Self::named)
        };
        forced.or_else(own).unwrap_or(Self::Conveyorctl)
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Conveyorctl, Self::Conveyor, Self::Workerctl]
            .into_iter()
            .find(|program| program.as_str() == name)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Conveyorctl => "conveyorctl",
            Self::Conveyor => "conveyor",
            Self::Workerctl => "workerctl",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Forced(Option<&'static str>);

    impl Environment for Forced {
        fn get(&self, name: &str) -> Option<String> {
            (name == "CONVEYOR_CLI_PROG").then_some(self.0?.to_owned())
        }
    }

    #[track_caller]
    fn check(called: &str, forced: Option<&'static str>, expect: &str) {
        let program = Program::from_call(Some(OsStr::new(called)), &Forced(forced));
        assert_eq!(program.as_str(), expect);
    }

    #[test]
    fn it_answers_to_the_name_it_was_called_by() {
        check("/usr/bin/conveyor", None, "conveyor");
        check("workerctl", None, "workerctl");
        check("conveyorctl", None, "conveyorctl");
        check("/tmp/renamed", None, "conveyorctl");
        check("/usr/bin/conveyor", Some("workerctl"), "workerctl");
        check("/usr/bin/conveyor", Some("other"), "conveyor");
    }
}
