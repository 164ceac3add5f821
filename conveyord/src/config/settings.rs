//! The registry of the settings: where each can be set, and what holds when it is nowhere set.
//!
//! The table of `docs/guide.md` is made of it: `UPDATE_DOCS=1 cargo test --workspace --locked --lib -- config` rewrites it.

use conveyor_proto::types::start::{FULL_ACCESS, NO_APPROVAL};

/// A setting. Its value comes from the flag, else from the environment variable, else from the key of `config.toml`, else
/// it is the default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<T> {
    /// Its key in `config.toml`. The program has it as a field of the file.
    #[cfg(test)]
    pub(super) key: &'static str,
    pub(super) variable: &'static str,
    /// The flag of `conveyord`, where it has one. The program has it as a field of the flags.
    #[cfg(test)]
    pub(super) flag: Option<&'static str>,
    pub(super) default: T,
    /// What it decides, in words for the guide.
    #[cfg(test)]
    pub(super) meaning: &'static str,
}

macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $key:literal, $variable:literal $(, $flag:literal)?; )+) => {
        $(
            $(#[doc = $doc])+
            pub(super) const $name: Setting<$type> = Setting {
                #[cfg(test)]
                key: $key,
                variable: $variable,
                #[cfg(test)]
                flag: settings!(@flag $($flag)?),
                default: $default,
                #[cfg(test)]
                meaning: concat!($($doc),+).trim_ascii(),
            };
        )+

        /// Every setting, with its default as text.
        #[cfg(test)]
        pub(super) fn all() -> Vec<(Setting<()>, String)> {
            vec![$( (
                Setting { key: $name.key, variable: $name.variable, flag: $name.flag, default: (), meaning: $name.meaning },
                $name.default.to_string(),
            ), )+]
        }
    };
    (@flag $flag:literal) => {
        Some($flag)
    };
    (@flag) => {
        None
    };
}

settings! {
    /// whether Dispatch runs by itself
    DISPATCH: bool = true, "dispatch", "CONVEYOR_DISPATCH", "--no-dispatch";
    /// whether rollouts are read as they grow
    WATCH: bool = true, "watch", "CONVEYOR_WATCH", "--no-watch";
    /// the name under which the daemon's own Dispatch works
    DISPATCHER_ID: &str = "dispatch-local", "dispatcher_id", "CONVEYOR_DISPATCHER_ID", "--dispatcher-id";
    /// what is logged, for example `conveyord=debug`
    LOG: &str = "info", "log", "CONVEYOR_LOG", "--log";
    /// how long a send waits for its record, in milliseconds
    RECEIPT_TIMEOUT_MS: u64 = 5000, "receipt_timeout_ms", "CONVEYOR_RECEIPT_TIMEOUT_MS";
    /// how long a completion waits for a follow-up turn, in milliseconds
    COMPLETION_SETTLE_MS: u64 = 50, "completion_settle_ms", "CONVEYOR_COMPLETION_SETTLE_MS";
    /// the limit of each call of tmux and other programs, in milliseconds
    COMMAND_TIMEOUT_MS: u64 = 5000, "command_timeout_ms", "CONVEYOR_COMMAND_TIMEOUT_MS";
    /// `--sandbox` of a Codex that is started
    CODEX_SANDBOX: &str = FULL_ACCESS, "codex_sandbox", "CONVEYOR_CODEX_SANDBOX";
    /// `--ask-for-approval` of a Codex that is started
    CODEX_APPROVAL: &str = NO_APPROVAL, "codex_approval", "CONVEYOR_CODEX_APPROVAL";
}
