//! Who may call, and what they may: keys, the users and teams that they belong to, and what each of them holds.

mod caller;
mod holder;
mod key;
mod model_pattern;
mod nobody;
mod spec;
mod tool_pattern;

pub use self::caller::{By, Caller, NotLetIn};
pub use self::holder::{Account, Holder, HolderKind, HolderRef, Team, User};
pub use self::key::{Key, KeyHash, KeySecret, Rotation};
pub use self::model_pattern::ModelPattern;
pub use self::nobody::Nobody;
pub use self::spec::{KeySpec, Member, Network, Role, SpecError, TeamRole, TeamSpec, UserSpec};
pub use self::tool_pattern::ToolPattern;
pub(crate) use self::tool_pattern::glob;
