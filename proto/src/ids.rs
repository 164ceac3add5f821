//! Ids: text, one type per kind so that they cannot be mixed up. Ours are `kind-<uuid v7>`; those of Codex are as Codex
//! wrote them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_ids {
    ($( $(#[$meta:meta])+ $name:ident $(, $prefix:literal)?; )+) => { $(
        $(#[$meta])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            $(
            /// What ids of this kind begin with (those of imported rows may differ).
            pub const PREFIX: &'static str = $prefix;
            )?

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self { Self(text) }
        }
    )+ };
}

text_ids! {
    /// The id of a task.
    TaskId, "task";
    /// The id of a registered session.
    SessionId, "session";
    /// The id of a binding of task, worker and manager.
    BindingId, "binding";
    /// The id of a durable command.
    CommandId, "command";
    /// The id of a run.
    RunId, "run";
    /// The id of a Codex thread, a UUID today. The empty id stands for a thread that nobody named.
    #[derive(Default)]
    ThreadId;
    /// The id of a turn of a Codex thread.
    TurnId;
}

impl ThreadId {
    /// Takes an id as it is; `None` when it is empty.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }
}
