//! The declaration of a method: its name, parameters and result.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

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
    /// Whether the method opens a subscription; its result type is then the item that is streamed.
    pub subscription: bool,
    /// JSON schema of the parameters.
    pub params: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    /// JSON schema of the result.
    pub result: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// Declares methods and the list of them.
///
/// The doc comment of each is its summary in `rpc.discover`. `subscription` marks a method that streams
/// items of its result type until it is ended by the method of the same namespace named `unsubscribe`.
macro_rules! methods {
    ($( $(#[doc = $doc:literal])+ $name:literal => $ty:ident($params:ty) -> $result:ty $(, $sub:ident)? ;)+) => {
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
                    subscription: methods!(@sub $($sub)?),
                    params: |g| g.subschema_for::<$params>(),
                    result: |g| g.subschema_for::<$result>(),
                },
            )+]
        }
    };
    (@sub subscription) => { true };
    (@sub) => { false };
}
pub(crate) use methods;
