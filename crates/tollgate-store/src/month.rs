//! Months: what the tables of the index are cut into. Which one a call belongs to is said by its id.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollgate_core::call::CallId;

/// A month of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month of `at`.
    pub(crate) fn of(at: Timestamp) -> Self {
        let date = at.to_zoned(TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }

    /// The month in which the call `id` came.
    pub(crate) fn of_call(id: &str) -> Option<Self> {
        id.parse::<CallId>().ok()?.arrived().map(Self::of)
    }

    /// The month that a table's name ends with.
    pub(crate) fn of_table(name: &str) -> Option<Self> {
        let digits = name.rsplit_once('_')?.1;
        let (year, month) = digits.split_at_checked(4)?;
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        (digits.len() == 6 && (1..=12).contains(&month)).then_some(Self { year, month })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}", self.year, self.month)
    }
}

/// The first id that a call can have that comes at `at`: ids sort by time (RFC 9562 §5.7).
pub(crate) fn first_id(at: Timestamp) -> String {
    let ms = u64::try_from(at.as_millisecond()).unwrap_or(0) & 0xffff_ffff_ffff;
    let hex = format!("{ms:012x}");
    format!("{}-{}-7000-8000-000000000000", &hex[..8], &hex[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_their_month_and_sort_by_time() {
        let id = CallId::new().to_string();
        let now = Timestamp::now();
        assert_eq!(Month::of_call(&id), Some(Month::of(now)));
        assert!(first_id(now - jiff::SignedDuration::from_secs(5)) < id);
        assert!(first_id(now + jiff::SignedDuration::from_secs(5)) > id);
        let november = Month { year: 2026, month: 11 };
        assert_eq!(
            (november.to_string().as_str(), Month::of_table("calls_202611")),
            ("202611", Some(november))
        );
        assert_eq!((Month::of_table("calls_2026"), Month::of_table("sqlite_stat1")), (None, None));
    }
}
