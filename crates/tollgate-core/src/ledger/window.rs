//! The stretches of time over which is counted.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

/// A stretch of time over which is counted; when it is over, counting begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Window {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock, in UTC.
    Hour,
    /// A day of the calendar.
    Day,
    /// A month of the calendar.
    Month,
    /// So many hours, counted from when the rule was made.
    Every(u32),
    /// All time.
    Total,
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first instant that belongs to it.
    pub start: Timestamp,
    /// The first that does not; `None` where it never ends.
    pub end: Option<Timestamp>,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const MOST_HOURS: u32 = 24 * 3_660;

impl Window {
    /// The window that `now` is in. Days and months are those of `zone`; windows of so many hours are counted from
    /// `since`.
    pub fn bounds(self, now: Timestamp, since: Timestamp, zone: &TimeZone) -> Bounds {
        match self {
            Self::Minute => stretch(now, Timestamp::UNIX_EPOCH, MINUTE),
            Self::Hour => stretch(now, Timestamp::UNIX_EPOCH, HOUR),
            Self::Every(hours) => stretch(now, since, i64::from(hours.max(1)) * HOUR),
            Self::Day => calendar(now, zone, |day| Ok((day.start_of_day()?, day.checked_add(1.day())?))),
            Self::Month => calendar(now, zone, |day| {
                Ok((day.first_of_month()?.start_of_day()?, day.first_of_month()?.checked_add(1.month())?))
            }),
            Self::Total => Bounds { start: Timestamp::UNIX_EPOCH, end: None },
        }
    }

    /// Whether what was counted in it must outlive a restart. What is over within a minute need not.
    pub const fn outlives_a_restart(self) -> bool {
        !matches!(self, Self::Minute)
    }
}

/// The stretch of `seconds` that `now` is in, counted from `since`.
fn stretch(now: Timestamp, since: Timestamp, seconds: i64) -> Bounds {
    let passed = (now.as_second() - since.as_second()).div_euclid(seconds);
    let at = |count: i64| {
        let second = since.as_second().saturating_add(count.saturating_mul(seconds));
        Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
    };
    Bounds { start: at(passed), end: Some(at(passed + 1)) }
}

type Days = Result<(Zoned, Zoned), jiff::Error>;

/// From the first instant of one day to that of another: a day need not begin at midnight, where clocks are changed.
fn calendar(now: Timestamp, zone: &TimeZone, days: impl Fn(&Zoned) -> Days) -> Bounds {
    let ends = days(&now.to_zoned(zone.clone())).and_then(|(from, to)| Ok((from, to.start_of_day()?)));
    match ends {
        Ok((from, to)) => Bounds { start: from.timestamp(), end: Some(to.timestamp()) },
        // The end of representable time.
        Err(_) => Bounds { start: now, end: now.checked_add(SignedDuration::from_hours(1)).ok() },
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minute => f.write_str("minute"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Month => f.write_str("month"),
            Self::Every(hours) if hours % 24 == 0 => write!(f, "{}d", hours / 24),
            Self::Every(hours) => write!(f, "{hours}h"),
            Self::Total => f.write_str("total"),
        }
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Total];
        if let Some(window) = named.into_iter().find(|window| window.to_string() == text) {
            return Ok(window);
        }
        let count = |unit: char, hours: u32| {
            let digits = text.strip_suffix(unit)?;
            let digits = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<u32>().ok()?.checked_mul(hours)
        };
        let hours = count('d', 24).or_else(|| count('h', 1)).filter(|hours| (1..=MOST_HOURS).contains(hours));
        hours.map(Self::Every).ok_or_else(|| {
            format!("{text:?} is no window: minute, hour, day, month, total, or so many days or hours, such as 30d")
        })
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(window: &str, now: &str, zone: &str) -> (String, String) {
        let window: Window = window.parse().unwrap();
        let since = "2026-01-10T12:00:00Z".parse().unwrap();
        let found = window.bounds(now.parse().unwrap(), since, &TimeZone::get(zone).unwrap());
        (found.start.to_string(), found.end.map(|end| end.to_string()).unwrap_or_default())
    }

    #[test]
    fn days_and_months_are_those_of_the_calendar() {
        let (from, to) = bounds("day", "2026-03-29T12:00:00Z", "Europe/Berlin");
        assert_eq!(
            (from.as_str(), to.as_str()),
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            "23 hours"
        );
        let (from, to) = bounds("month", "2026-12-31T23:30:00Z", "Europe/Berlin");
        assert_eq!((from.as_str(), to.as_str()), ("2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"));
        let (from, to) = bounds("month", "2026-01-31T23:30:00Z", "UTC");
        assert_eq!((from.as_str(), to.as_str()), ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"));
        // Where clocks go forward at midnight, the day begins at one.
        let (from, _) = bounds("day", "2018-11-04T12:00:00Z", "America/Sao_Paulo");
        assert_eq!(from, "2018-11-04T03:00:00Z");
    }

    #[test]
    fn so_many_days_are_counted_from_the_beginning_of_the_rule() {
        let (from, to) = bounds("30d", "2026-02-09T11:59:59Z", "UTC");
        assert_eq!((from.as_str(), to.as_str()), ("2026-01-10T12:00:00Z", "2026-02-09T12:00:00Z"));
        let (from, _) = bounds("30d", "2026-02-09T12:00:00Z", "UTC");
        assert_eq!(from, "2026-02-09T12:00:00Z");
        let (from, _) = bounds("12h", "2026-01-10T11:00:00Z", "UTC");
        assert_eq!(from, "2026-01-10T00:00:00Z", "a clock that was set back");
        assert_eq!(bounds("total", "2026-02-09T12:00:00Z", "UTC").1, "");
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in ["", "0d", "-1d", "30", "+3d", "1.5d", "week", "99999999999d", "1 d", "d"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        for text in ["minute", "hour", "day", "month", "total", "30d", "12h"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        assert_eq!("24h".parse::<Window>().unwrap().to_string(), "1d");
    }

    proptest! {
        /// Windows follow each other without a gap, so that nothing is counted twice or not at all.
        #[test]
        fn now_is_in_its_window_and_the_next_begins_at_its_end(
            second in 0_i64..4_000_000_000,
            window in prop::sample::select(vec!["minute", "hour", "day", "month", "30d", "7h"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia"]),
        ) {
            let window: Window = window.parse().unwrap();
            let (zone, now) = (TimeZone::get(zone).unwrap(), Timestamp::from_second(second).unwrap());
            let since = Timestamp::from_second(1_000_000).unwrap();
            let found = window.bounds(now, since, &zone);
            let end = found.end.unwrap();
            prop_assert!(found.start <= now && now < end);
            prop_assert_eq!(window.bounds(found.start, since, &zone), found);
            prop_assert_eq!(window.bounds(end, since, &zone).start, end);
        }
    }
}
