//! The declaration of a method: its name, parameters and result.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Whether a method leaves everything as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It changes no row, no file, no pane and no process. Calling it once more does no harm.
    Read,
    /// It may change something, be it only a note that it was called.
    Write,
}

/// Whether a client may send a request again when its connection ended before the answer, so that nobody knows whether the
/// request was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The second call finds what the first one left, and leaves it so. A trail may get one more note that it was asked.
    Always,
    /// As [`Repeat::Always`] when one of these holds of the parameters, otherwise as [`Repeat::Never`].
    If {
        /// What has to hold of the parameters; one of them is enough.
        any: &'static [Given],
        /// The method that shows whether a call was carried out.
        look_at: &'static str,
    },
    /// The second call would do it once more, or be refused because the first one has done it.
    Never {
        /// The method that shows whether a call was carried out.
        look_at: &'static str,
    },
}

/// A condition on one parameter of a call. `null`, `false` and the empty text count as not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// The parameter of this name is set.
    Set(&'static str),
    /// The parameter of this name is not set.
    Unset(&'static str),
}

impl Given {
    /// Whether it holds of these parameters.
    fn holds(self, params: &Value) -> bool {
        let (Self::Set(name) | Self::Unset(name)) = self;
        let value = params.get(name).unwrap_or(&Value::Null);
        let set = !(value.is_null() || value == false || value == "");
        set == matches!(self, Self::Set(_))
    }
}

impl Repeat {
    /// Whether a call with these parameters may be sent again although it may have been carried out.
    #[must_use]
    pub fn is_safe(self, params: &Value) -> bool {
        match self {
            Self::Always => true,
            Self::If { any, .. } => any.iter().any(|given| given.holds(params)),
            Self::Never { .. } => false,
        }
    }

    /// The method that shows whether a call was carried out, where a second call is not always harmless.
    #[must_use]
    pub const fn look_at(self) -> Option<&'static str> {
        match self {
            Self::Always => None,
            Self::If { look_at, .. } | Self::Never { look_at } => Some(look_at),
        }
    }
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
    /// Whether it may be sent again when its answer was lost.
    pub repeat: Repeat,
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
/// `begins`. What writes also says by `again` whether it may be sent [again](Repeat): `always`, `never`, or `if` one of
/// its parameters is set or unset; and by `see` which method shows whether it was carried out. `subscription` marks a
/// method that streams items of its result type until it is ended by the method of the same namespace named
/// `unsubscribe`.
macro_rules! methods {
    ($( $(#[doc = $doc:literal])+ $name:literal => $ty:ident($params:ty) -> $result:ty,
        $access:ident $(, again($($again:tt)+))? $(, see($see:ident))?, by($($caller:ident),+) $(, $sub:ident)? ;)+) => {
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
        /// The method of this name.
        #[must_use]
        pub fn find(name: &str) -> Option<$crate::method::MethodInfo> {
            all().into_iter().find(|method| method.name == name)
        }
        /// Every method, in the order of the declaration.
        #[must_use]
        pub fn all() -> Vec<$crate::method::MethodInfo> {
            vec![$(
                $crate::method::MethodInfo {
                    name: $name,
                    summary: concat!($($doc),+).trim_ascii(),
                    access: methods!(@access $access),
                    begins: methods!(@begins $access),
                    repeat: methods!(@repeat $access $(, again($($again)+))? $(, see($see))?),
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
    (@repeat reads) => { $crate::method::Repeat::Always };
    (@repeat $writes:ident, again(always)) => { $crate::method::Repeat::Always };
    (@repeat $writes:ident, again(if $($given:ident($parameter:ident)),+), see($see:ident)) => {
        $crate::method::Repeat::If {
            any: &[$(methods!(@given $given $parameter)),+],
            look_at: <$see as $crate::method::Method>::NAME,
        }
    };
    (@repeat $writes:ident, again(never), see($see:ident)) => {
        $crate::method::Repeat::Never { look_at: <$see as $crate::method::Method>::NAME }
    };
    (@given set $parameter:ident) => { $crate::method::Given::Set(stringify!($parameter)) };
    (@given unset $parameter:ident) => { $crate::method::Given::Unset(stringify!($parameter)) };
    (@caller person) => { $crate::method::CallerRole::Person };
    (@caller manager) => { $crate::method::CallerRole::Manager };
    (@caller worker) => { $crate::method::CallerRole::Worker };
    (@sub subscription) => { true };
    (@sub) => { false };
}
pub(crate) use methods;
