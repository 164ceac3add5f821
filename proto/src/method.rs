//! The declaration of a method: its name, parameters and result.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// Whether a method leaves everything as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It changes no row, no file, no pane and no process. Calling it once more does no harm.
    Read,
    /// It may change something, be it only a note that it was called.
    Write,
}

/// Who calls: a session that the daemon has registered, or anybody else.
///
/// A declaration, not a guard: the daemon asks nobody who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerRole {
    /// A person, or a program that no session runs.
    Person,
    /// A session that is registered as manager, for its own task.
    Manager,
    /// A session that is registered as worker, for itself.
    Worker,
}

/// One JSON-RPC method. Parameters travel by name.
pub trait Method {
    /// The name on the wire, `namespace.verb` in snake_case.
    const NAME: &'static str;
    /// The parameters object.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// The result object.
    type Result: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
}

/// What the registry knows of a method beyond its types.
#[derive(Debug, Clone)]
pub struct MethodInfo {
    /// The name on the wire.
    pub name: &'static str,
    /// One line for people, from the declaration's doc comment.
    pub summary: &'static str,
    /// Whether it changes anything.
    pub access: Access,
    /// Whether it may be the first call in a new state root. Any other one finds nothing there.
    pub begins: bool,
    /// Who may call it.
    pub callers: &'static [CallerRole],
    /// Whether the method opens a subscription; its result type is then the item that is streamed.
    pub subscription: bool,
    /// JSON schema of the parameters.
    pub params: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    /// JSON schema of the result.
    pub result: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// Declares methods and the list of them.
///
/// The doc comment of each is its summary in `rpc.discover`. `reads` or `writes` and the callers follow the result; a
/// method that changes something under some parameters only `writes`; one that writes and needs nothing that is there
/// `begins`. `subscription` marks a method that streams
/// items of its result type until it is ended by the method of the same namespace named `unsubscribe`.
macro_rules! methods {
    ($( $(#[doc = $doc:literal])+ $name:literal => $ty:ident($params:ty) -> $result:ty,
        $access:ident, by($($caller:ident),+) $(, $sub:ident)? ;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub struct $ty;
            impl $crate::method::Method for $ty {
                const NAME: &'static str = $name;
                type Params = $params;
                type Result = $result;
            }
        )+
        /// Every method, in the order of the declaration.
        #[must_use]
        pub fn all() -> Vec<$crate::method::MethodInfo> {
            vec![$(
                $crate::method::MethodInfo {
                    name: $name,
                    summary: concat!($($doc),+).trim_ascii(),
                    access: methods!(@access $access),
                    begins: methods!(@begins $access),
                    callers: &[$(methods!(@caller $caller)),+],
                    subscription: methods!(@sub $($sub)?),
                    params: |g| g.subschema_for::<$params>(),
                    result: |g| g.subschema_for::<$result>(),
                },
            )+]
        }
    };
    (@access reads) => { $crate::method::Access::Read };
    (@access writes) => { $crate::method::Access::Write };
    (@access begins) => { $crate::method::Access::Write };
    (@begins begins) => { true };
    (@begins $other:ident) => { false };
    (@caller person) => { $crate::method::CallerRole::Person };
    (@caller manager) => { $crate::method::CallerRole::Manager };
    (@caller worker) => { $crate::method::CallerRole::Worker };
    (@sub subscription) => { true };
    (@sub) => { false };
}
pub(crate) use methods;
