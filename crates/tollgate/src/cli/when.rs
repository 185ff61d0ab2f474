//! Points in time as people write them.

use anyhow::{Context, Result};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Reads `1h`, `30m`, `2d` (ago), a day, or a time as in RFC 3339.
pub(super) fn moment(text: &str) -> Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Ok(day.to_zoned(TimeZone::UTC)?.timestamp());
    }
    let ago: Span =
        text.parse().with_context(|| format!("{text}: write 1h, 2d, 2026-01-31 or a time as in RFC 3339"))?;
    Ok(Timestamp::now().to_zoned(TimeZone::UTC).checked_sub(ago)?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let hour = Timestamp::now().duration_since(moment("1h").unwrap()).as_secs();
        assert!((3_590..3_610).contains(&hour), "{hour}");
        assert!(moment("2d").unwrap() < moment("1d").unwrap());
        assert_eq!(moment("2026-01-31").unwrap().to_string(), "2026-01-31T00:00:00Z");
        assert_eq!(moment("2026-01-31T01:00:00+01:00").unwrap().to_string(), "2026-01-31T00:00:00Z");
        assert!(moment("yesterday-ish").unwrap_err().to_string().contains("write 1h"));
    }
}
