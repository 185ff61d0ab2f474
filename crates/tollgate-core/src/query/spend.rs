//! Who spends what: the question, and its answer.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What spend is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The day in UTC on which calls came, as `2026-01-31`.
    Day,
    /// The team that the key belongs to; empty where it belongs to none.
    Team,
    /// The user that the key belongs to; empty where it belongs to none.
    User,
    /// The key, by its id. What was called without one stands under `(master)` or `(local)`, which no key is called.
    Key,
    /// The public model name; empty for calls that no deployment has taken. Of a month's models so many are told apart,
    /// and the rest stands under `(other)`.
    Model,
    /// The deployment that answered; empty where none did.
    Deployment,
    /// The caller's own user, as the caller says; calls without one are in no row, only in the total. As many are
    /// told apart as of models.
    EndUser,
    /// What the caller wants calls counted under, in the same way; a call with several tags is in several rows.
    Tag,
}

impl Dimension {
    /// Every dimension, in the order in which answers show them.
    pub const ALL: [Self; 8] = [
        Self::Day,
        Self::Team,
        Self::User,
        Self::Key,
        Self::Model,
        Self::Deployment,
        Self::EndUser,
        Self::Tag,
    ];

    /// The name in questions and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Team => "team",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::EndUser => "end_user",
            Self::Tag => "tag",
        }
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|known| known.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
            format!("spend is not known by {text:?}: {}", names.join(", "))
        })
    }
}

/// Dimensions, each once. Written with commas: `model,team`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By(Vec<Dimension>);

impl By {
    /// In the order in which answers show them.
    pub fn each(&self) -> impl Iterator<Item = Dimension> {
        Dimension::ALL.into_iter().filter(|known| self.0.contains(known))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let by: Vec<Dimension> = names.map(str::parse).collect::<Result<_, _>>()?;
        if by.contains(&Dimension::EndUser) && by.contains(&Dimension::Tag) {
            return Err("spend is known by end_user or by tag, not by both".to_owned());
        }
        Ok(Self(by))
    }
}

impl Serialize for By {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = self.each().map(Dimension::name).collect();
        serializer.serialize_str(&names.join(","))
    }
}

impl<'de> Deserialize<'de> for By {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whose spend is asked for. What is absent does not matter. Spend is known by whole days of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields, default)]
pub struct SpendFilter {
    /// Not before the day of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this; the day that it falls into is counted as a whole, where it is not that day's first instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What it is told apart by.
    #[cfg_attr(feature = "openapi", param(value_type = String))]
    #[serde(skip_serializing_if = "By::is_empty")]
    pub by: By,
    /// Of this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of this user's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Of this team's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// With this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// So many rows at most; default 100, at most 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl SpendFilter {
    /// How many rows are answered at most.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(100).clamp(1, 10_000)
    }

    /// The first day, as `2026-01-31`.
    pub fn first_day(&self) -> Option<String> {
        self.since.map(day_of)
    }

    /// The last day.
    pub fn last_day(&self) -> Option<String> {
        let last = self.until.map(|until| until.checked_sub(jiff::SignedDuration::from_nanos(1)));
        last.map(|last| day_of(last.unwrap_or(Timestamp::MIN)))
    }
}

/// The day of `at` in UTC, as `2026-01-31`.
pub fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// What was spent, and for what. The sums are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SpendRow {
    /// The day, where it is told apart by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The team, in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The caller's own user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    /// The tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Calls that ended.
    pub calls: i64,
    /// Of them, those that did not end well; refused ones are among them.
    pub failed_calls: i64,
    /// Tokens in.
    pub input_tokens: i64,
    /// Tokens out.
    pub output_tokens: i64,
    /// What they cost, where that is known.
    pub cost_nano_usd: i64,
    /// Calls whose cost is not known.
    pub unpriced_calls: i64,
}

impl SpendRow {
    /// Where it says what it is of.
    pub fn place(&mut self, dimension: Dimension) -> &mut Option<String> {
        match dimension {
            Dimension::Day => &mut self.day,
            Dimension::Team => &mut self.team,
            Dimension::User => &mut self.user,
            Dimension::Key => &mut self.key,
            Dimension::Model => &mut self.model,
            Dimension::Deployment => &mut self.deployment,
            Dimension::EndUser => &mut self.end_user,
            Dimension::Tag => &mut self.tag,
        }
    }

    /// What it is of.
    pub fn of(&self, dimension: Dimension) -> Option<&str> {
        match dimension {
            Dimension::Day => self.day.as_deref(),
            Dimension::Team => self.team.as_deref(),
            Dimension::User => self.user.as_deref(),
            Dimension::Key => self.key.as_deref(),
            Dimension::Model => self.model.as_deref(),
            Dimension::Deployment => self.deployment.as_deref(),
            Dimension::EndUser => self.end_user.as_deref(),
            Dimension::Tag => self.tag.as_deref(),
        }
    }
}

/// Who spent what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spend {
    /// One row for each of what it is told apart by: the latest day first, and the dearest first within it. None where
    /// it is told apart by nothing.
    pub rows: Vec<SpendRow>,
    /// There are more, which `limit` left out.
    pub truncated: bool,
    /// All that the filter lets through, rows that were left out included.
    pub total: SpendRow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_asked_for() {
        let at = |text: &str| Some(text.parse().unwrap());
        let filter = SpendFilter {
            since: at("2026-01-30T23:59:00Z"),
            until: at("2026-02-01T00:00:00Z"),
            ..SpendFilter::default()
        };
        assert_eq!(filter.first_day().as_deref(), Some("2026-01-30"));
        assert_eq!(filter.last_day().as_deref(), Some("2026-01-31"));
        let filter = SpendFilter { until: at("2026-02-01T00:00:01Z"), ..filter };
        assert_eq!(filter.last_day().as_deref(), Some("2026-02-01"));
    }

    #[test]
    fn dimensions_are_written_with_commas() {
        let by: By = "team, model,team".parse().unwrap();
        assert_eq!(by.each().map(Dimension::name).collect::<Vec<_>>(), ["team", "model"]);
        assert_eq!(serde_json::to_string(&by).unwrap(), "\"team,model\"");
        assert!("".parse::<By>().unwrap().is_empty());
        assert!("tag,end_user".parse::<By>().unwrap_err().contains("not by both"));
        assert!("colour".parse::<By>().unwrap_err().contains("day, team"));
    }
}
