//! Stretches of time as LiteLLM writes them: `30s`, `30m`, `24h`, `30d`, `1w`, `1mo`.

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use serde_json::Value;
use tollgate_core::ledger::Window;

use crate::error::ApiError;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Seconds(i64),
    Months(i64),
}

impl Length {
    fn read(member: &str, value: &Value) -> Result<Self, ApiError> {
        let wrong =
            || ApiError::of(member, "a number and its unit: `30s`, `30m`, `24h`, `30d`, `1w` or `1mo`");
        let text = value.as_str().ok_or_else(wrong)?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (count, unit) = text.split_at(digits);
        let count: i64 = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
        let seconds = match unit {
            "s" => 1,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            "mo" => return Ok(Self::Months(count)),
            _ => return Err(wrong()),
        };
        count.checked_mul(seconds).map(Self::Seconds).ok_or_else(wrong)
    }
}

/// The window of a budget: `1mo` is a month of the calendar, the rest so many hours from the making of the budget.
pub(super) fn window(member: &str, value: &Value) -> Result<Window, ApiError> {
    match Length::read(member, value)? {
        Length::Months(1) => Ok(Window::Month),
        Length::Months(_) => {
            Err(ApiError::of(member, "a budget's window is one month (`1mo`), or so many days (`90d`)"))
        }
        Length::Seconds(seconds) if seconds % HOUR == 0 => {
            format!("{}h", seconds / HOUR).parse().map_err(|why: String| ApiError::of(member, why))
        }
        Length::Seconds(_) => Err(ApiError::of(member, "a budget's window is whole hours")),
    }
}

/// How LiteLLM writes a window; `None` where it never ends.
pub(super) fn written(window: Window) -> Option<String> {
    match window {
        Window::Total => None,
        Window::Month => Some("1mo".to_owned()),
        Window::Day => Some("1d".to_owned()),
        Window::Hour => Some("1h".to_owned()),
        Window::Minute => Some("1m".to_owned()),
        Window::Every(_) => Some(window.to_string()),
    }
}

/// When something ends that begins now.
pub(super) fn end(member: &str, value: &Value, now: Timestamp) -> Result<Timestamp, ApiError> {
    let far = |_| ApiError::of(member, "too far in the future");
    match Length::read(member, value)? {
        Length::Seconds(seconds) => now.checked_add(SignedDuration::from_secs(seconds)).map_err(far),
        Length::Months(months) => {
            let then = now.to_zoned(TimeZone::UTC).checked_add(months.min(12_000).months());
            then.map(|then| then.timestamp()).map_err(far)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_window_is_read_and_written_back() {
        for (text, back) in
            [("30d", "30d"), ("24h", "1d"), ("1h", "1h"), ("1w", "7d"), ("1mo", "1mo"), ("120m", "2h")]
        {
            let window = window("budget_duration", &json!(text)).unwrap();
            assert_eq!(written(window).as_deref(), Some(back), "{text}");
        }
        for text in
            ["", "30", "d", "0d", "-1d", "1.5d", "30s", "90m", "2mo", "99999999999999999999d", "1y", "é"]
        {
            assert!(window("budget_duration", &json!(text)).is_err(), "{text}");
        }
        assert!(window("budget_duration", &json!(30)).is_err());
    }

    #[test]
    fn an_end_is_so_long_after_now() {
        let now = "2026-01-31T00:00:00Z".parse().unwrap();
        let end = |text: &str| end("duration", &json!(text), now).unwrap().to_string();
        assert_eq!(end("30s"), "2026-01-31T00:00:30Z");
        assert_eq!(end("1d"), "2026-02-01T00:00:00Z");
        assert_eq!(end("1mo"), "2026-02-28T00:00:00Z");
    }
}
