//! Points in time as people write them.

use anyhow::{Context, Result};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Unit};

/// Reads `1h`, `30m`, `2d` (ago), a day, or a time as in RFC 3339.
pub(super) fn moment(text: &str) -> Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Ok(day.to_zoned(TimeZone::UTC)?.timestamp());
    }
    Ok(Timestamp::now().to_zoned(TimeZone::UTC).checked_sub(span(text)?)?.timestamp())
}

/// Reads `1h`, `30m`, `2d` (from now), a day, or a time as in RFC 3339, for clap.
pub(super) fn ahead(text: &str) -> Result<Timestamp, String> {
    let told = |error: anyhow::Error| format!("{error:#}");
    if let Ok(span) = span(text) {
        let at = Timestamp::now().to_zoned(TimeZone::UTC).checked_add(span);
        return at.map(|at| at.timestamp()).map_err(|error| told(error.into()));
    }
    moment(text).map_err(told)
}

/// Reads `1h`, `30m`, `2d` as so many seconds, for clap. A day has 24 hours.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
    let length = span(text).map_err(|error| format!("{error:#}"))?;
    let seconds = length.total((Unit::Second, SpanRelativeTo::days_are_24_hours()));
    let seconds = seconds.map_err(|error| error.to_string())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked before")]
    if (0.0..=f64::from(u32::MAX)).contains(&seconds) {
        Ok(seconds as u32)
    } else {
        Err("it is too long, or less than nothing".to_owned())
    }
}

fn span(text: &str) -> Result<Span> {
    text.parse().with_context(|| format!("{text}: write 1h, 2d, 2026-01-31 or a time as in RFC 3339"))
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

    #[test]
    fn what_is_ahead_is_counted_from_now() {
        let hour = ahead("1h").unwrap().duration_since(Timestamp::now()).as_secs();
        assert!((3_590..3_610).contains(&hour), "{hour}");
        assert_eq!(ahead("2126-01-31").unwrap().to_string(), "2126-01-31T00:00:00Z");
        assert!(ahead("soonish").unwrap_err().contains("write 1h"));
        assert_eq!((seconds("1h"), seconds("2d"), seconds("0s")), (Ok(3_600), Ok(172_800), Ok(0)));
        assert!(seconds("-1h").is_err() && seconds("900y").is_err() && seconds("x").is_err());
    }
}
