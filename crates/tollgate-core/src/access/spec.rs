//! What may be said of keys, users and teams: the one shape that is created, changed and checked. What is not a member
//! here cannot be set from outside.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ModelPattern, ToolPattern};
use crate::ledger::{Budget, Limit, RuleError};

/// What the holder of a key may do besides calling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything, changes nothing.
    Auditor,
    /// Manages the keys of the key's own team.
    TeamAdmin,
    /// Calls, and sees its own.
    #[default]
    Member,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Auditor, Self::TeamAdmin, Self::Member];

    /// The name in records and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::TeamAdmin => "team_admin",
            Self::Member => "member",
        }
    }
}

/// What a user is in a team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Manages it.
    Admin,
    /// Belongs to it.
    #[default]
    Member,
}

/// A user in a team.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The user's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user: Arc<str>,
    /// What it is there.
    #[serde(default)]
    pub role: TeamRole,
}

macro_rules! specs {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$member_doc:meta])+ $member:ident: $type:ty,)* })+) => {
        $(
            $(#[$doc])+
            #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
            #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
            #[serde(default)]
            pub struct $name {
                /// What people call it.
                #[serde(skip_serializing_if = "Option::is_none")]
                pub alias: Option<String>,
                /// Whether its calls are refused.
                pub blocked: bool,
                /// The models that it may call: all of them where absent, none where empty.
                #[serde(skip_serializing_if = "Option::is_none")]
                pub models: Option<Vec<ModelPattern>>,
                /// The tools that it may call (`files/read_*`): all of them where absent, none where empty.
                #[serde(skip_serializing_if = "Option::is_none")]
                pub tools: Option<Vec<ToolPattern>>,
                /// What may be spent.
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub budgets: Vec<Budget>,
                /// What may be used.
                #[serde(skip_serializing_if = "Vec::is_empty")]
                pub limits: Vec<Limit>,
                /// Whatever else its maker wants to keep with it.
                #[serde(skip_serializing_if = "Map::is_empty")]
                pub metadata: Map<String, Value>,
                $($(#[$member_doc])+ pub $member: $type,)*
            }

            impl $name {
                /// The members that may be set, for whoever reads one from outside and denies every other.
                pub const MEMBERS: &'static [&'static str] =
                    &["alias", "blocked", "models", "tools", "budgets", "limits", "metadata", $(stringify!($member),)*];

                /// What is wrong with it, if anything.
                pub fn check(&self) -> Result<(), SpecError> {
                    check_text("alias", self.alias.as_deref())?;
                    check_rules(&self.budgets, &self.limits)?;
                    check_size(&self.metadata)?;
                    check_own(self)
                }
            }
        )+
    };
}

specs! {
    /// What may be said of a key.
    KeySpec {
        /// The user that it belongs to, whose budgets and limits hold too.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<Arc<str>>,
        /// The team that it belongs to, whose budgets and limits hold too.
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        #[serde(skip_serializing_if = "Option::is_none")]
        team: Option<Arc<str>>,
        /// What it may do besides calling.
        role: Role,
        /// Whether it acts with its user's accounts at tool servers; only an admin says so.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        acts: bool,
        /// The addresses and networks that it may be used from (`10.0.0.0/8`); any where absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        addresses: Option<Vec<Network>>,
        /// When it ends.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    }
    /// What may be said of a user.
    UserSpec {
        /// How to reach them.
        #[serde(skip_serializing_if = "Option::is_none")]
        email: Option<String>,
    }
    /// What may be said of a team.
    TeamSpec {
        /// Who belongs to it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        members: Vec<Member>,
    }
}

/// Why what was said of a holder cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {why}")]
pub struct SpecError {
    /// The member, such as `budgets[0].window`.
    pub member: String,
    /// What is wrong with it.
    pub why: String,
}

impl SpecError {
    fn of(member: &str, why: impl Into<String>) -> Self {
        Self { member: member.to_owned(), why: why.into() }
    }
}

/// The longest text that people give, in bytes.
const LONGEST_TEXT: usize = 256;

/// The most rules of each kind that a holder has: every call is checked against all of them.
const MOST_RULES: usize = 32;

/// The most that is kept with a holder besides, as JSON, in bytes.
const MOST_METADATA: usize = 16 << 10;

/// The most members of a team, and networks of a key.
const MOST_ENTRIES: usize = 10_000;

fn check_text(member: &str, text: Option<&str>) -> Result<(), SpecError> {
    let wrong = |text: &str| {
        text.trim().is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control)
    };
    match text.filter(|text| wrong(text)) {
        Some(_) => Err(SpecError::of(
            member,
            format!("1 to {LONGEST_TEXT} bytes of text without control characters"),
        )),
        None => Ok(()),
    }
}

fn check_rules(budgets: &[Budget], limits: &[Limit]) -> Result<(), SpecError> {
    for (member, count) in [("budgets", budgets.len()), ("limits", limits.len())] {
        if count > MOST_RULES {
            return Err(SpecError::of(member, format!("{MOST_RULES} at most")));
        }
    }
    let at = |list: &str, at: usize, error: RuleError| {
        SpecError::of(&format!("{list}[{at}].{}", error.member), error.why)
    };
    for (index, budget) in budgets.iter().enumerate() {
        budget.check().map_err(|error| at("budgets", index, error))?;
    }
    for (index, limit) in limits.iter().enumerate() {
        limit.check().map_err(|error| at("limits", index, error))?;
    }
    let mut ids: Vec<&str> = budgets.iter().map(|b| &*b.id).chain(limits.iter().map(|l| &*l.id)).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(SpecError::of("budgets", format!("two rules have the id {:?}", two[0]))),
        None => Ok(()),
    }
}

fn check_size(metadata: &Map<String, Value>) -> Result<(), SpecError> {
    // A map of JSON values is always written.
    let size = serde_json::to_vec(metadata).map_or(usize::MAX, |text| text.len());
    if size > MOST_METADATA {
        return Err(SpecError::of("metadata", format!("{MOST_METADATA} bytes of JSON at most")));
    }
    Ok(())
}

/// What is checked of one kind only.
trait Own {
    fn own(&self) -> Result<(), SpecError>;
}

fn check_own(spec: &impl Own) -> Result<(), SpecError> {
    spec.own()
}

impl Own for KeySpec {
    fn own(&self) -> Result<(), SpecError> {
        check_text("user", self.user.as_deref())?;
        check_text("team", self.team.as_deref())?;
        if self.role == Role::TeamAdmin && self.team.is_none() {
            return Err(SpecError::of("role", "a team admin's key belongs to a team"));
        }
        if self.acts && self.user.is_none() {
            return Err(SpecError::of("acts", "a key acts for the user that it belongs to (`user`)"));
        }
        if self.addresses.as_ref().is_some_and(|networks| networks.len() > MOST_ENTRIES) {
            return Err(SpecError::of("addresses", format!("{MOST_ENTRIES} at most")));
        }
        Ok(())
    }
}

impl Own for UserSpec {
    fn own(&self) -> Result<(), SpecError> {
        check_text("email", self.email.as_deref())
    }
}

impl Own for TeamSpec {
    fn own(&self) -> Result<(), SpecError> {
        if self.members.len() > MOST_ENTRIES {
            return Err(SpecError::of("members", format!("{MOST_ENTRIES} at most")));
        }
        let mut users: Vec<&str> = self.members.iter().map(|member| &*member.user).collect();
        users.iter().try_for_each(|user| check_text("members", Some(user)))?;
        users.sort_unstable();
        match users.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => Err(SpecError::of("members", format!("{:?} is named twice", two[0]))),
            None => Ok(()),
        }
    }
}

/// A network of addresses (CIDR, RFC 4632 §3.1), or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `peer` is in it. An IPv4 address that came in an IPv6 one is itself (RFC 4291 §2.5.5.2).
    pub fn holds(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                ours.to_bits() & mask == theirs.to_bits() & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                ours.to_bits() & mask == theirs.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address and no network, such as 10.0.0.0/8");
        let (address, bits) = match text.split_once('/') {
            None => (text.as_str(), None),
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
        };
        let address = address.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_only() {
        let holds = |network: &str, peer: &str| {
            Network::try_from(network.to_owned()).unwrap().holds(peer.parse().unwrap())
        };
        assert!(
            holds("10.0.0.0/8", "10.255.0.1")
                && holds("10.1.2.3", "10.1.2.3")
                && holds("0.0.0.0/0", "8.8.8.8")
        );
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"), "as a dual-stack socket says it");
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && holds("::/0", "2001:db8::1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(!holds("::/0", "10.0.0.1") && !holds("0.0.0.0/0", "::1"));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "example.com", "10.0.0.0/", "::/129", "10.0.0.0/-1"] {
            assert!(Network::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let why = |json: Value| {
            let spec: KeySpec = serde_json::from_value(json).unwrap();
            spec.check().map_err(|error| error.member)
        };
        let budget = |id: &str| serde_json::json!({ "id": id, "amount_usd": "1", "window": "day" });
        assert_eq!(why(serde_json::json!({})), Ok(()));
        assert_eq!(why(serde_json::json!({ "alias": "a\u{7}b" })), Err("alias".into()));
        assert_eq!(why(serde_json::json!({ "role": "team_admin" })), Err("role".into()));
        assert_eq!(why(serde_json::json!({ "budgets": [budget("a"), budget("a")] })), Err("budgets".into()));
        assert_eq!(why(serde_json::json!({ "budgets": [budget("a/b")] })), Err("budgets[0].id".into()));
        let mut nowhere = budget("a");
        nowhere["time_zone"] = "Atlantis/Capital".into();
        assert_eq!(
            why(serde_json::json!({ "budgets": [budget("b"), nowhere] })),
            Err("budgets[1].time_zone".into())
        );
        let limit = serde_json::json!({ "id": "l", "measure": "concurrent_calls", "max": 1, "per": "day" });
        assert_eq!(why(serde_json::json!({ "limits": [limit] })), Err("limits[0].per".into()));
    }
}
